//! What samples cost, in numbers that add up exactly.

use std::collections::BTreeMap;

use adadiff_metrics::{ComputeSummary, Evaluation};
use adadiff_uem::ExitTrace;
use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::methods::CostModel;

/// How often the network was evaluated with how many blocks and estimates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effort {
    /// Samples.
    pub samples: u64,
    /// Evaluations with so many blocks and so many estimates.
    evaluations: BTreeMap<u32, BTreeMap<u32, u64>>,
}

impl Effort {
    /// The evaluations of a trace of `samples` samples, each of them `branches` evaluations of the
    /// network whose blocks the trace adds up.
    pub(super) fn of_trace(trace: &ExitTrace, samples: usize, branches: u32) -> Self {
        let mut effort = Self {
            samples: samples as u64,
            evaluations: BTreeMap::new(),
        };
        for step in &trace.steps {
            for (&blocks, uncertainty) in step.blocks.iter().zip(&step.uncertainty) {
                for branch in 0..branches {
                    let blocks = blocks / branches + u32::from(branch < blocks % branches);
                    effort.count(blocks, uncertainty.len() as u32, 1);
                }
            }
        }
        effort
    }

    fn count(&mut self, blocks: u32, estimates: u32, times: u64) {
        let of_blocks = self.evaluations.entry(blocks).or_default();
        *of_blocks.entry(estimates).or_default() += times;
    }

    /// Adds the effort of other samples.
    pub fn add(&mut self, other: &Self) {
        self.samples += other.samples;
        for (&blocks, estimates) in &other.evaluations {
            for (&estimates, &times) in estimates {
                self.count(blocks, estimates, times);
            }
        }
    }

    /// Blocks and operations of all samples. An effort of nothing costs nothing.
    ///
    /// # Errors
    /// Where an evaluation ran more blocks than the network has.
    pub fn summary(&self, cost: &CostModel) -> Result<ComputeSummary> {
        let (mut count, mut blocks_total, mut flops) = (0_u64, 0_u64, 0.0);
        for (&blocks, estimates) in &self.evaluations {
            for (&estimates, &times) in estimates {
                count += times;
                blocks_total += times * u64::from(blocks);
                flops += times as f64 * cost.flops(Evaluation { blocks, estimates })?;
            }
        }
        let available = count * cost.blocks() as u64;
        Ok(ComputeSummary {
            blocks_total,
            blocks_mean: blocks_total as f64 / count.max(1) as f64,
            block_reduction: available.saturating_sub(blocks_total) as f64
                / available.max(1) as f64,
            gflops_per_image: flops / self.samples.max(1) as f64 / 1e9,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adadiff_metrics::ComputeCost;
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
    fn parts_add_up_to_the_whole() {
        let whole = Effort::of_trace(&trace(&[1, 4, 2, 2]), 4, 1);
        let mut parts = Effort::of_trace(&trace(&[1, 4]), 2, 1);
        parts.add(&Effort::of_trace(&trace(&[2, 2]), 2, 1));
        assert_eq!(parts, whole);
        let cost = ComputeCost {
            embed_flops: 0.0,
            block_flops: vec![1e9; 4],
            estimator_flops: 0.0,
            decode_flops: 0.0,
        };
        let cost = CostModel::from(cost);
        let summary = whole.summary(&cost).unwrap();
        assert_eq!((summary.blocks_total, summary.blocks_mean), (9, 2.25));
        assert_eq!(
            (summary.block_reduction, summary.gflops_per_image),
            (0.4375, 2.25)
        );
        // Evaluations of two blocks that are not the first two.
        let other = cost.with_evaluation(2, 5e9);
        assert_eq!(whole.summary(&other).unwrap().gflops_per_image, 3.75);
    }

    #[test]
    fn both_branches_of_guidance_count() {
        let guided = Effort::of_trace(&trace(&[3, 8]), 2, 2);
        let mut expected = Effort::of_trace(&trace(&[2, 4]), 2, 1);
        expected.add(&Effort {
            samples: 0,
            ..Effort::of_trace(&trace(&[1, 4]), 2, 1)
        });
        // The estimates are those of the pair.
        assert_eq!(guided.samples, expected.samples);
        assert_eq!(guided.evaluations.keys().collect::<Vec<_>>(), [&1, &2, &4]);
        assert_eq!(guided.evaluations[&4].values().sum::<u64>(), 2);
    }
}
