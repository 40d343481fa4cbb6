//! Schedules by name, for presets.

use serde::{Deserialize, Serialize};

use super::{DiscreteSchedule, NoiseSchedule, StepNumbering, VpCosine, VpLinear};
use crate::ScheduleError;

/// Any schedule with its settings; `schedule` is its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "schedule", rename_all = "snake_case")]
pub enum ScheduleConfig {
    /// Continuous time, linear `beta(t)`.
    VpLinear(VpLinear),
    /// Continuous time, cosine.
    VpCosine(VpCosine),
    /// Discrete steps.
    Discrete(DiscreteConfig),
}

impl Default for ScheduleConfig {
    /// U-ViT's for pixels: [`VpLinear`].
    fn default() -> Self {
        Self::VpLinear(VpLinear::default())
    }
}

/// A discrete schedule's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscreteConfig {
    /// The variances of the steps.
    pub betas: Betas,
    /// What the network is told of a step.
    pub numbering: StepNumbering,
}

/// The variances of discrete steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Betas {
    /// An arithmetic progression.
    Linear {
        /// The first variance.
        start: f64,
        /// The last variance.
        end: f64,
        /// Number of steps.
        steps: usize,
    },
    /// Squares of an arithmetic progression.
    ScaledLinear {
        /// The first variance.
        start: f64,
        /// The last variance.
        end: f64,
        /// Number of steps.
        steps: usize,
    },
    /// Each by itself.
    Table(Vec<f64>),
}

impl DiscreteConfig {
    /// The schedule.
    ///
    /// # Errors
    /// As [`DiscreteSchedule::new`].
    pub fn build(&self) -> Result<DiscreteSchedule, ScheduleError> {
        match &self.betas {
            &Betas::Linear { start, end, steps } => {
                DiscreteSchedule::linear(start, end, steps, self.numbering)
            }
            &Betas::ScaledLinear { start, end, steps } => {
                DiscreteSchedule::scaled_linear(start, end, steps, self.numbering)
            }
            Betas::Table(betas) => DiscreteSchedule::new(betas.clone(), self.numbering),
        }
    }
}

impl ScheduleConfig {
    /// The schedule.
    ///
    /// # Errors
    /// Where a setting is out of range.
    pub fn build(&self) -> Result<Box<dyn NoiseSchedule>, ScheduleError> {
        Ok(match self {
            &Self::VpLinear(schedule) => {
                let VpLinear { beta_min, beta_max } = schedule;
                if !(beta_min >= 0.0 && beta_min < beta_max && beta_max.is_finite()) {
                    return Err(ScheduleError::BetaRange { beta_min, beta_max });
                }
                Box::new(schedule)
            }
            &Self::VpCosine(schedule) => {
                if !(schedule.s > 0.0 && schedule.s.is_finite()) {
                    return Err(ScheduleError::CosineOffset(schedule.s));
                }
                Box::new(schedule)
            }
            Self::Discrete(config) => Box::new(config.build()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discrete(betas: Betas) -> DiscreteConfig {
        DiscreteConfig {
            betas,
            numbering: StepNumbering::FromZero,
        }
    }

    #[test]
    fn a_config_is_its_schedule() {
        let ddpm = discrete(Betas::Linear {
            start: 1e-4,
            end: 0.02,
            steps: 1000,
        });
        assert_eq!(ddpm.build().unwrap(), DiscreteSchedule::ddpm_linear());
        let latent = discrete(Betas::ScaledLinear {
            start: 0.00085,
            end: 0.012,
            steps: 1000,
        });
        let expected = DiscreteSchedule::stable_diffusion(StepNumbering::FromZero);
        assert_eq!(latent.build().unwrap(), expected);
        let linear = ScheduleConfig::VpLinear(VpLinear::default());
        let log_snr = linear.build().unwrap().log_snr(0.3);
        assert_eq!(log_snr, VpLinear::default().log_snr(0.3));
    }

    #[test]
    fn refuses_settings_out_of_range() {
        let refuse = |config: ScheduleConfig| config.build().unwrap_err();
        for (beta_min, beta_max) in [(1.0, 1.0), (-1.0, 2.0), (0.1, f64::INFINITY)] {
            let error = refuse(ScheduleConfig::VpLinear(VpLinear { beta_min, beta_max }));
            assert_eq!(error, ScheduleError::BetaRange { beta_min, beta_max });
        }
        let error = refuse(ScheduleConfig::VpCosine(VpCosine { s: 0.0 }));
        assert_eq!(error, ScheduleError::CosineOffset(0.0));
        let error = refuse(ScheduleConfig::Discrete(discrete(Betas::Table(vec![0.5]))));
        assert_eq!(error, ScheduleError::TooFewSteps { steps: 1 });
    }
}
