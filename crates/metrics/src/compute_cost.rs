//! What a sampling run computed, in blocks and floating-point operations.

use serde::{Deserialize, Serialize};

use crate::MetricsError;

/// Floating-point operations (two for each multiply-add) of the parts of a network, each for one
/// evaluation of one sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComputeCost {
    /// What comes before the first block: patches, timestep, condition.
    pub embed_flops: f64,
    /// Every block, in order; an early exit runs the first of them.
    pub block_flops: Vec<f64>,
    /// One uncertainty estimate.
    pub estimator_flops: f64,
    /// What comes after the last block that runs.
    pub decode_flops: f64,
}

/// One evaluation of a network for one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// Blocks run.
    pub blocks: u32,
    /// Uncertainties estimated.
    pub estimates: u32,
}

/// The account of a sampling run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComputeSummary {
    /// Blocks run, over all evaluations and samples.
    pub blocks_total: u64,
    /// Mean blocks of an evaluation of one sample.
    pub blocks_mean: f64,
    /// The share of the network's blocks that was not run, in `[0, 1]`.
    pub block_reduction: f64,
    /// 10^9 floating-point operations for each image of the run.
    pub gflops_per_image: f64,
}

impl ComputeCost {
    /// Operations of one evaluation.
    ///
    /// # Errors
    /// Where it ran more blocks than the network has. (Guidance evaluates twice: its two
    /// evaluations are given apart.)
    pub fn flops(&self, evaluation: Evaluation) -> Result<f64, MetricsError> {
        let Evaluation { blocks, estimates } = evaluation;
        let run = self
            .block_flops
            .get(..blocks as usize)
            .ok_or(MetricsError::Blocks {
                found: blocks,
                blocks: self.block_flops.len(),
            })?;
        let blocks: f64 = run.iter().sum();
        let estimates = f64::from(estimates) * self.estimator_flops;
        Ok(self.embed_flops + blocks + estimates + self.decode_flops)
    }

    /// The account of all `evaluations` that drew `images` images.
    ///
    /// An empty run reports zeros.
    ///
    /// # Errors
    /// As [`ComputeCost::flops`].
    pub fn summary(
        &self,
        evaluations: impl IntoIterator<Item = Evaluation>,
        images: usize,
    ) -> Result<ComputeSummary, MetricsError> {
        let (mut count, mut blocks_total, mut flops) = (0_u64, 0, 0.0);
        for evaluation in evaluations {
            count += 1;
            blocks_total += u64::from(evaluation.blocks);
            flops += self.flops(evaluation)?;
        }
        let blocks_available = count * self.block_flops.len() as u64;
        let skipped = blocks_available - blocks_total;
        Ok(ComputeSummary {
            blocks_total,
            blocks_mean: blocks_total as f64 / count.max(1) as f64,
            block_reduction: skipped as f64 / blocks_available.max(1) as f64,
            gflops_per_image: flops / images.max(1) as f64 / 1e9,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost() -> ComputeCost {
        ComputeCost {
            embed_flops: 1e9,
            block_flops: vec![10e9, 20e9, 30e9, 40e9],
            estimator_flops: 0.5e9,
            decode_flops: 2e9,
        }
    }

    #[test]
    fn an_early_exit_pays_for_the_blocks_it_ran() {
        let flops = cost()
            .flops(Evaluation {
                blocks: 2,
                estimates: 2,
            })
            .unwrap();
        assert_eq!(flops, 34e9);
        let flops = cost()
            .flops(Evaluation {
                blocks: 4,
                estimates: 0,
            })
            .unwrap();
        assert_eq!(flops, 103e9);
    }

    #[test]
    fn a_run_is_summed_over_steps_and_divided_by_images() {
        // Two steps of two images.
        let evaluations = [1, 4, 2, 3].map(|blocks| Evaluation {
            blocks,
            estimates: blocks.min(3),
        });
        let summary = cost().summary(evaluations, 2).unwrap();
        assert_eq!(summary.blocks_total, 10);
        assert_eq!(summary.blocks_mean, 2.5);
        assert_eq!(summary.block_reduction, 0.375);
        // Blocks 10 + 100 + 30 + 60, estimates 0.5 (1 + 3 + 2 + 3), 4 (1 + 2) around them.
        assert!((summary.gflops_per_image - 216.5 / 2.0).abs() < 1e-12);
    }

    #[test]
    fn more_blocks_than_there_are_is_an_error() {
        let error = cost()
            .flops(Evaluation {
                blocks: 5,
                estimates: 0,
            })
            .unwrap_err();
        assert_eq!(
            error,
            MetricsError::Blocks {
                found: 5,
                blocks: 4
            }
        );
    }

    #[test]
    fn an_empty_run_costs_nothing() {
        let summary = cost().summary([], 0).unwrap();
        assert_eq!((summary.blocks_mean, summary.gflops_per_image), (0.0, 0.0));
    }
}
