//! What samples cost, in numbers that add up exactly.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ComputeSummary, CostModel, Evaluation, MetricsError};

/// How often the network was evaluated with how many blocks and estimates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationCounts {
    /// Samples.
    pub samples: u64,
    /// Evaluations with so many blocks and so many estimates.
    evaluations: BTreeMap<u32, BTreeMap<u32, u64>>,
}

impl EvaluationCounts {
    /// Counts of `samples` samples, of whose evaluations none is counted yet.
    pub fn new(samples: u64) -> Self {
        Self {
            samples,
            evaluations: BTreeMap::new(),
        }
    }

    /// Counts an evaluation of one sample `times` times.
    pub fn count(&mut self, evaluation: Evaluation, times: u64) {
        let Evaluation { blocks, estimates } = evaluation;
        let of_blocks = self.evaluations.entry(blocks).or_default();
        *of_blocks.entry(estimates).or_default() += times;
    }

    /// Adds the counts of other samples.
    pub fn add(&mut self, other: &Self) {
        self.samples += other.samples;
        for (&blocks, estimates) in &other.evaluations {
            for (&estimates, &times) in estimates {
                self.count(Evaluation { blocks, estimates }, times);
            }
        }
    }

    /// Blocks and operations of all samples. No samples cost nothing.
    ///
    /// # Errors
    /// Where an evaluation ran more blocks than the network has.
    pub fn summary(&self, cost: &CostModel) -> Result<ComputeSummary, MetricsError> {
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
    use crate::ComputeCost;

    fn counts(blocks: &[u32]) -> EvaluationCounts {
        let mut counts = EvaluationCounts::new(blocks.len() as u64);
        for &blocks in blocks {
            let estimates = blocks;
            counts.count(Evaluation { blocks, estimates }, 1);
        }
        counts
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let whole = counts(&[1, 4, 2, 2]);
        let mut parts = counts(&[1, 4]);
        parts.add(&counts(&[2, 2]));
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
}
