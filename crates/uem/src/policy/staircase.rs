//! Depths that fall towards noise in equal steps of time, made by hand.

use super::{DepthSchedule, ScheduledDepth};
use crate::CalibrationError;

/// Intervals of time, each of one depth: as many as the schedule published for DiT has.
const LEVELS: usize = 5;

impl DepthSchedule {
    /// The depth schedule of ASE (Moon et al. 2024, arXiv 2408.05927): time is cut into five equal
    /// intervals; near the image all blocks run, and in each interval towards noise as many blocks fewer than
    /// in the one before. The published schedule drops a seventh of the blocks from one to the next; here it is
    /// as many as skip a share `reduction` of the blocks over `timesteps`, the evaluations of a solver
    /// in their order. Fractions of a block are rounded so that their sum stays.
    ///
    /// The paper trains the network for its schedule, in U-ViT with out-blocks that keep the linear
    /// layer of their long skip. Here samples leave by the exits that the network was trained with.
    ///
    /// `longest` is the timestep of pure noise.
    ///
    /// # Errors
    /// Where the budget is no share, or is not reached with one block in all intervals but the first.
    pub fn staircase(
        timesteps: &[f64],
        longest: f64,
        blocks: usize,
        reduction: f64,
    ) -> Result<Self, CalibrationError> {
        if !(reduction > 0.0 && reduction < 1.0) {
            return Err(CalibrationError::Budget(reduction));
        }
        let levels: Vec<usize> = timesteps
            .iter()
            .map(|timestep| {
                let level = (timestep / longest * LEVELS as f64).floor();
                level.clamp(0.0, (LEVELS - 1) as f64) as usize
            })
            .collect();
        let depth = |level: usize, drop: f64| (blocks as f64 - level as f64 * drop).max(1.0);
        let available = (blocks * timesteps.len().max(1)) as f64;
        let skipped = |drop: f64| {
            let run: f64 = levels.iter().map(|&level| depth(level, drop)).sum();
            1.0 - run / available
        };
        let reachable = skipped(blocks as f64);
        if reduction > reachable {
            return Err(CalibrationError::Unreachable {
                wished: reduction,
                blocks: blocks as u32,
                reachable,
            });
        }
        // The share grows with the drop.
        let (mut low, mut high) = (0.0, blocks as f64);
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            if skipped(middle) < reduction {
                low = middle
            } else {
                high = middle
            }
        }
        let mut owed = 0.0;
        let depths = timesteps.iter().zip(&levels).map(|(&timestep, &level)| {
            owed += depth(level, high);
            let run = owed.round().clamp(1.0, blocks as f64);
            owed -= run;
            ScheduledDepth {
                timestep,
                blocks: run as usize,
            }
        });
        Ok(Self::new(depths.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depths(schedule: &DepthSchedule) -> Vec<usize> {
        schedule.depths().iter().map(|depth| depth.blocks).collect()
    }

    #[test]
    fn depth_falls_towards_noise_and_meets_the_budget() {
        // Two evaluations in each fifth of the time, from noise on.
        let timesteps: Vec<f64> = (0..10)
            .map(|step| 950.0 - 100.0 * f64::from(step))
            .collect();
        let schedule = DepthSchedule::staircase(&timesteps, 1000.0, 13, 2.0 / 7.0).unwrap();
        // A seventh of 13 blocks fewer in each interval: 5.57, 7.43, 9.29, 11.14 and 13 blocks.
        assert_eq!(depths(&schedule), [6, 5, 8, 7, 9, 10, 11, 11, 13, 13]);
        let run: usize = depths(&schedule).iter().sum();
        assert_eq!(run, 93); // 5/7 of 130 blocks are 92.86

        let steep = DepthSchedule::staircase(&timesteps, 1000.0, 13, 0.6).unwrap();
        assert_eq!(depths(&steep).iter().sum::<usize>(), 52);
        assert_eq!(depths(&steep)[..4], [1, 1, 1, 1]);
        assert_eq!(depths(&steep)[8..], [13, 13]);
    }

    #[test]
    fn budgets_out_of_reach_are_refused() {
        assert_eq!(
            DepthSchedule::staircase(&[900.0, 100.0], 1000.0, 5, 0.5),
            Err(CalibrationError::Unreachable {
                wished: 0.5,
                blocks: 5,
                reachable: 0.4
            })
        );
        assert!(DepthSchedule::staircase(&[900.0], 1000.0, 5, 0.0).is_err());
    }
}
