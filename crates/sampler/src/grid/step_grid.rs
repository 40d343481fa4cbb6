//! Walks over the steps that a network was trained with.

use serde::{Deserialize, Serialize};

use crate::{NoiseSchedule, SampleError};

/// Which of the trained steps a walk visits (Lin et al. 2024, arXiv 2305.08891, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepSpacing {
    /// Multiples of a whole number of steps, so that the noisiest steps are left out.
    Leading {
        /// Added to every step.
        offset: usize,
    },
    /// From the first step to the last, rounded.
    Linspace,
    /// Down from the last step, rounded.
    Trailing,
}

/// Where a walk over trained steps ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalState {
    /// At the image, where alpha is 1.
    CleanImage,
    /// At the first trained step, whose noise is left in the result.
    FirstStep,
}

/// The times of a walk over the steps of a discrete schedule, as the schedulers of the diffusers
/// library choose them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepGrid {
    /// Which steps are visited.
    pub spacing: StepSpacing,
    /// Whether the steps are chosen as for a walk of one more update, and the last one is left out.
    /// So does UniPC's scheduler; DDIM's does not.
    pub drop_last: bool,
    /// Where the last update leads to.
    pub end: FinalState,
}

impl StepGrid {
    /// DDIM's and DDPM's: multiples of a whole number of steps, down to 0 and then to the image.
    pub const DDIM: Self = Self {
        spacing: StepSpacing::Leading { offset: 0 },
        drop_last: false,
        end: FinalState::CleanImage,
    };

    /// UniPC's: from the last trained step down, then to the image.
    pub const UNIPC: Self = Self {
        spacing: StepSpacing::Linspace,
        drop_last: true,
        end: FinalState::CleanImage,
    };

    /// The times of the `steps` visited steps, and the final one.
    ///
    /// # Errors
    /// Where there is no step, the schedule has no steps, or too few for the walk.
    pub fn times(
        &self,
        schedule: &dyn NoiseSchedule,
        steps: usize,
    ) -> Result<Vec<f64>, SampleError> {
        if steps == 0 {
            return Err(SampleError::ZeroSteps);
        }
        let trained = schedule
            .trained_steps()
            .ok_or(SampleError::NoTrainedSteps)?;
        let most = trained - usize::from(self.drop_last);
        if steps > most {
            return Err(SampleError::TooManySteps { steps, most });
        }
        let visited = self.visited(trained, steps);
        if let Some(&step) = visited.iter().find(|&&step| step >= trained) {
            return Err(SampleError::StepOutside { step, trained });
        }
        let mut times: Vec<f64> = visited
            .into_iter()
            .map(|step| (step + 1) as f64 / trained as f64)
            .collect();
        times.push(self.end_time(trained));
        Ok(times)
    }

    /// The visited steps, counted from 0, falling.
    fn visited(&self, trained: usize, steps: usize) -> Vec<usize> {
        let points = steps + usize::from(self.drop_last);
        let from_last = |i: usize| points - 1 - i;
        let step = |i: usize| match self.spacing {
            StepSpacing::Leading { offset } => from_last(i) * (trained / points) + offset,
            StepSpacing::Linspace => {
                // A single point is the first one.
                let width = (trained - 1) as f64 / (points - 1).max(1) as f64;
                (from_last(i) as f64 * width).round_ties_even() as usize
            }
            StepSpacing::Trailing => {
                let width = trained as f64 / steps as f64;
                let end = (trained as f64 - i as f64 * width).round_ties_even() as usize;
                end.saturating_sub(1)
            }
        };
        (0..steps).map(step).collect()
    }

    /// The time of the final state.
    pub(crate) fn end_time(&self, trained: usize) -> f64 {
        match self.end {
            FinalState::CleanImage => 0.0,
            FinalState::FirstStep => 1.0 / trained as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DiscreteSchedule, StepNumbering, VpLinear};

    fn grid(spacing: StepSpacing, drop_last: bool) -> StepGrid {
        StepGrid {
            spacing,
            drop_last,
            end: FinalState::CleanImage,
        }
    }

    #[test]
    fn steps_are_those_of_the_published_schedulers() {
        use StepSpacing::{Leading, Linspace, Trailing};
        let visited = |spacing, drop_last, steps| grid(spacing, drop_last).visited(1000, steps);
        let leading = |offset| Leading { offset };
        assert_eq!(visited(leading(0), false, 4), [750, 500, 250, 0]);
        assert_eq!(visited(leading(1), false, 3), [667, 334, 1]);
        assert_eq!(visited(leading(1), true, 3), [751, 501, 251]);
        assert_eq!(visited(Linspace, false, 4), [999, 666, 333, 0]);
        assert_eq!(visited(Linspace, true, 4), [999, 749, 500, 250]);
        assert_eq!(visited(Linspace, true, 10)[4..7], [599, 500, 400]);
        assert_eq!(visited(Linspace, false, 1), [0]);
        assert_eq!(visited(Linspace, true, 1), [999]);
        assert_eq!(visited(Trailing, false, 4), [999, 749, 499, 249]);
        assert_eq!(visited(Trailing, true, 7), visited(Trailing, false, 7));
        assert_eq!(visited(Trailing, false, 7)[1..4], [856, 713, 570]);
    }

    #[test]
    fn times_end_at_the_image_or_at_the_first_step() {
        let schedule = DiscreteSchedule::ddpm_linear();
        let times = StepGrid::DDIM.times(&schedule, 2).unwrap();
        assert_eq!(times, [0.501, 0.001, 0.0]);
        let grid = StepGrid {
            end: FinalState::FirstStep,
            ..StepGrid::UNIPC
        };
        assert_eq!(grid.times(&schedule, 2).unwrap(), [1.0, 0.501, 0.001]);
        let all = StepGrid::DDIM.times(&schedule, 1000).unwrap();
        assert_eq!((all.len(), all[0], all[999]), (1001, 1.0, 0.001));
    }

    #[test]
    fn refuses_walks_that_the_schedule_has_no_steps_for() {
        let schedule = DiscreteSchedule::stable_diffusion(StepNumbering::FromZero);
        let refuse = |grid: StepGrid, steps| grid.times(&schedule, steps).unwrap_err();
        assert_eq!(refuse(StepGrid::DDIM, 0), SampleError::ZeroSteps);
        let error = refuse(StepGrid::DDIM, 1001);
        assert_eq!(
            error,
            SampleError::TooManySteps {
                steps: 1001,
                most: 1000
            }
        );
        let error = refuse(StepGrid::UNIPC, 1000);
        assert_eq!(
            error,
            SampleError::TooManySteps {
                steps: 1000,
                most: 999
            }
        );
        let error = refuse(grid(StepSpacing::Leading { offset: 1 }, false), 1000);
        assert_eq!(
            error,
            SampleError::StepOutside {
                step: 1000,
                trained: 1000
            }
        );
        let error = StepGrid::DDIM.times(&VpLinear::default(), 10).unwrap_err();
        assert_eq!(error, SampleError::NoTrainedSteps);
    }
}
