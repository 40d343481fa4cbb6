//! Budgets that are no share of blocks: a speed-up on this device, or how far the Fréchet distance may
//! grow. Each is turned into the share of blocks that meets it.
//!
//! Thresholds are calibrated on samples of one seed and a budget is judged on those of another
//! ([`Study::judged`]), so that neither has seen the samples that a figure is reported of.

mod attainment;
mod distance;
mod goal;
mod search;
mod speedup;

use adadiff_backends::DeviceName;
use adadiff_model::kernels::Kernels;
use anyhow::{Result, bail};
use indicatif::ProgressBar;

use crate::calibrations::Calibration;
use crate::judge::{Judge, JudgeOptions, YardstickName};
use crate::presets::{DataSet, Place};
use crate::study::Study;
pub use attainment::Attainment;
pub use goal::{FdIncrease, Goal};

/// A budget that a user asks for, and what it takes to find the share of blocks for it.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What is asked for.
    pub goal: Goal,
    /// The device, as named on the command line.
    pub device: DeviceName,
    /// What a distance is judged by.
    pub judge: JudgeOptions,
    /// The images to compare with, where there are no statistics of them.
    pub place: Place,
    /// Samples that a distance is measured of, where the user says how many.
    pub samples: Option<usize>,
    /// Whether only what was stored beside the checkpoint will do: several processes that measured
    /// for themselves would come to different thresholds.
    pub only_stored: bool,
}

impl Wish {
    /// Finds the threshold that meets the budget, the stored one where there is one, tells of it, and
    /// lets the study sample by it.
    ///
    /// # Errors
    /// Where the budget cannot be met, there is nothing to judge by, or the user interrupts.
    pub fn enter<B: Kernels>(
        &self,
        study: &mut Study<'_, B>,
        judge: Option<&Judge<B>>,
        device: &B::Device,
        bar: &ProgressBar,
    ) -> Result<Calibration> {
        let calibration = match study.stored(|stored| self.is_met_by(study, stored))? {
            Some(stored) => stored.clone(),
            None if self.only_stored => bail!(
                "several processes must leave by one threshold: store it with `calibrate {}` first, by \
                 the same features, statistics and guidance",
                self.goal.option()
            ),
            None => self.calibrate(study, judge, device, bar)?,
        };
        if let Some(attainment) = &calibration.attainment {
            bar.suspend(|| println!("{attainment}, with {}", skipped(&calibration)));
        }
        study.adopt(calibration.clone());
        Ok(calibration)
    }

    fn calibrate<B: Kernels>(
        &self,
        study: &Study<'_, B>,
        judge: Option<&Judge<B>>,
        device: &B::Device,
        bar: &ProgressBar,
    ) -> Result<Calibration> {
        let increase = match self.goal {
            Goal::Speedup(speedup) => {
                return speedup::calibrate(study, speedup, self.device, bar);
            }
            Goal::FdIncrease(increase) => increase,
        };
        let yardstick = YardstickName::of(&self.judge, &self.place, study.preset.data)?;
        let opened;
        let judge = match judge {
            Some(judge) => judge,
            None => {
                let (data, shape) = (study.preset.data, study.image_shape());
                opened = self.judge.judge(data, &self.place, shape, device)?;
                &opened
            }
        };
        distance::calibrate(study, judge, yardstick, increase, self.samples, bar)
    }

    /// Whether a stored threshold was found for this wish, as the study now samples.
    fn is_met_by<B: Kernels>(&self, study: &Study<'_, B>, stored: &Calibration) -> bool {
        let sampling = &study.preset.sampling;
        let attainment = stored.attainment.as_ref();
        stored.budget() == study.budget(stored.reduction)
            && attainment.is_some_and(|attainment| match (attainment, self.goal) {
                (
                    Attainment::Speedup {
                        asked,
                        device,
                        batch,
                        ..
                    },
                    Goal::Speedup(speedup),
                ) => {
                    *asked == speedup
                        && *device == self.device.to_string()
                        && *batch == sampling.batch
                }
                (
                    Attainment::FdIncrease {
                        asked,
                        features,
                        yardstick,
                        samples,
                        ..
                    },
                    Goal::FdIncrease(increase),
                ) => {
                    *asked == increase
                        && self.is_measured_by(yardstick.as_ref(), study.preset.data)
                        && *features == self.judge.features(study.preset.data)
                        && self.samples.is_none_or(|count| count == *samples)
                }
                _ => false,
            })
    }

    /// Statistics that cannot be read are none that anything was measured by: the measurement tells.
    fn is_measured_by(&self, stored: Option<&YardstickName>, data: DataSet) -> bool {
        self.judge.accept(stored, data).unwrap_or(false)
    }
}

fn skipped(calibration: &Calibration) -> String {
    format!(
        "{:.1} % fewer blocks on the {} samples of the calibration",
        100.0 * calibration.reached,
        calibration.samples
    )
}
