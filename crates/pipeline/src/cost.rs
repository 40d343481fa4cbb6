//! What the evaluations of a network cost.

use adadiff_metrics::{ComputeCost, Evaluation, EvaluationCounts};
use adadiff_uem::{AdaDiffConfig, ExitTrace};

/// The operations of a network's parts.
pub fn network_cost(model: &AdaDiffConfig) -> ComputeCost {
    let flops = model.backbone.flops();
    ComputeCost {
        embed_flops: flops.embed,
        block_flops: flops.blocks,
        estimator_flops: model.estimator_flops(),
        decode_flops: flops.decode,
    }
}

/// The evaluations of a trace of `samples` samples, each of them `branches` evaluations of the network
/// whose blocks the trace adds up.
pub(crate) fn evaluation_counts(
    trace: &ExitTrace,
    samples: usize,
    branches: u32,
) -> EvaluationCounts {
    let mut counts = EvaluationCounts::new(samples as u64);
    for step in &trace.steps {
        for (&blocks, uncertainty) in step.blocks.iter().zip(&step.uncertainty) {
            for branch in 0..branches {
                let evaluation = Evaluation {
                    blocks: blocks / branches + u32::from(branch < blocks % branches),
                    estimates: uncertainty.len() as u32,
                };
                counts.count(evaluation, 1);
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use adadiff_metrics::CostModel;
    use adadiff_uem::TraceStep;

    fn trace(blocks: &[u32]) -> ExitTrace {
        let mut trace = ExitTrace::new(4);
        trace.steps.push(TraceStep {
            timestep: 1.0,
            blocks: blocks.to_vec(),
            uncertainty: blocks
                .iter()
                .map(|&blocks| vec![0.5; blocks as usize])
                .collect(),
        });
        trace
    }

    #[test]
    fn parts_of_a_trace_add_up_to_the_whole() {
        let whole = evaluation_counts(&trace(&[1, 4, 2, 2]), 4, 1);
        let mut parts = evaluation_counts(&trace(&[1, 4]), 2, 1);
        parts.add(&evaluation_counts(&trace(&[2, 2]), 2, 1));
        assert_eq!(parts, whole);
    }

    #[test]
    fn both_branches_of_guidance_count() {
        // The pairs run 2 + 1 and 4 + 4 blocks; the estimates are those of the pair.
        let guided = evaluation_counts(&trace(&[3, 8]), 2, 2);
        let mut expected = EvaluationCounts::new(2);
        for (blocks, estimates) in [(2, 3), (1, 3), (4, 8), (4, 8)] {
            expected.count(Evaluation { blocks, estimates }, 1);
        }
        assert_eq!(guided, expected);
        let cost = CostModel::from(ComputeCost {
            embed_flops: 0.0,
            block_flops: vec![1.0; 4],
            estimator_flops: 0.0,
            decode_flops: 0.0,
        });
        assert_eq!(guided.summary(&cost).unwrap().blocks_total, 11);
    }
}
