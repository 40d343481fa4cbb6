//! Walks over any times.

use serde::{Deserialize, Serialize};

use crate::{NoiseSchedule, SampleError};

/// In which measure the times of a grid are equally far apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// In time.
    UniformTime,
    /// In the logarithm of the signal-to-noise ratio.
    UniformLogSnr,
}

/// The times of a walk, from the schedule's start down to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeGrid {
    /// How the times from start to end are spaced.
    pub spacing: Spacing,
    /// The last time above zero, in `(0, start)`.
    pub end: f64,
    /// Whether the last step leads from `end` to 0; otherwise the state at `end` is the result.
    pub to_zero: bool,
}

impl TimeGrid {
    /// The `steps + 1` times of a walk, falling.
    ///
    /// # Errors
    /// Where there is no step, `end` does not lie between 0 and the schedule's start, or the schedule
    /// has no noise there.
    pub fn times(
        &self,
        schedule: &dyn NoiseSchedule,
        steps: usize,
    ) -> Result<Vec<f64>, SampleError> {
        if steps == 0 {
            return Err(SampleError::ZeroSteps);
        }
        let (start, end) = (schedule.start_time(), self.end);
        // Written so that NaN fails it.
        if !(end > 0.0 && end < start) {
            return Err(SampleError::EndTime { start, end });
        }
        let noise = schedule.sigma(end);
        if noise.is_nan() || noise <= 0.0 {
            return Err(SampleError::NoiselessEnd { end });
        }
        let intervals = if self.to_zero { steps - 1 } else { steps };
        let between =
            |from: f64, to: f64, i: usize| from + (to - from) * (i as f64 / intervals as f64);
        let mut times = vec![start];
        times.extend((1..intervals).map(|i| match self.spacing {
            Spacing::UniformTime => between(start, end, i),
            Spacing::UniformLogSnr => {
                schedule.time_of_log_snr(between(schedule.log_snr(start), schedule.log_snr(end), i))
            }
        }));
        if intervals > 0 {
            times.push(end);
        }
        if self.to_zero {
            times.push(0.0);
        }
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DiscreteSchedule, VpLinear};

    fn times(grid: TimeGrid, steps: usize) -> Vec<f64> {
        grid.times(&VpLinear::default(), steps).unwrap()
    }

    #[test]
    fn uniform_time_is_an_arithmetic_progression() {
        let grid = TimeGrid {
            spacing: Spacing::UniformTime,
            end: 0.2,
            to_zero: false,
        };
        let expected = [1.0, 0.8, 0.6, 0.4, 0.2];
        for (found, expected) in times(grid, 4).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15);
        }
        assert_eq!(times(grid, 1), [1.0, 0.2]);
    }

    #[test]
    fn the_step_to_zero_is_one_of_the_steps() {
        let grid = TimeGrid {
            spacing: Spacing::UniformTime,
            end: 0.5,
            to_zero: true,
        };
        assert_eq!(times(grid, 3), [1.0, 0.75, 0.5, 0.0]);
        assert_eq!(times(grid, 1), [1.0, 0.0]);
    }

    #[test]
    fn uniform_log_snr_is_uniform_there() {
        let grid = TimeGrid {
            spacing: Spacing::UniformLogSnr,
            end: 1e-3,
            to_zero: false,
        };
        let times = times(grid, 10);
        assert_eq!((times[0], times[10]), (1.0, 1e-3));
        let schedule = VpLinear::default();
        let width = (schedule.log_snr(1e-3) - schedule.log_snr(1.0)) / 10.0;
        for pair in times.windows(2) {
            let step = schedule.log_snr(pair[1]) - schedule.log_snr(pair[0]);
            assert!((step - width).abs() < 1e-9);
        }
    }

    #[test]
    fn refuses_grids_that_are_none() {
        let schedule = VpLinear::default();
        for end in [0.0, -0.1, 1.0, f64::NAN] {
            let grid = TimeGrid {
                spacing: Spacing::UniformTime,
                end,
                to_zero: false,
            };
            let error = grid.times(&schedule, 5).unwrap_err();
            assert!(matches!(error, SampleError::EndTime { .. }), "{error}");
        }
        let grid = TimeGrid {
            spacing: Spacing::UniformTime,
            end: 1e-3,
            to_zero: false,
        };
        assert_eq!(grid.times(&schedule, 0), Err(SampleError::ZeroSteps));
        // Before its first step a discrete schedule is extrapolated, to no noise at all.
        let end = 1e-4;
        let grid = TimeGrid { end, ..grid };
        let discrete = DiscreteSchedule::ddpm_linear();
        let error = grid.times(&discrete, 5).unwrap_err();
        assert_eq!(error, SampleError::NoiselessEnd { end });
    }
}
