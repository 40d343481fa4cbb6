//! Thresholds that were found for more than a share of blocks, and the samples that they are judged on.

use adadiff_model::kernels::Kernels;
use anyhow::Result;

use super::{Draw, Study};
use crate::calibrations::{Calibration, Calibrations, ExitRule};

/// Added to a run's seed for the samples that budgets other than a share of blocks are judged on, so
/// that they are neither those of the calibration nor those of a reported figure.
const BUDGET_SEED: u64 = 0x6275_6467_6574;

impl<B: Kernels> Study<'_, B> {
    /// The largest share of blocks that a threshold can skip: everybody leaves at the first block
    /// that is judged.
    pub fn largest_reduction(&self) -> f64 {
        let first = self.preset.sampling.check_every.get().min(self.blocks());
        // Rounding must not carry it beyond.
        (1.0 - first as f64 / self.blocks() as f64 - 1e-9).max(0.0)
    }

    /// Samples that a budget is judged on: of a seed that neither calibrations nor reported figures
    /// use.
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub fn judged(&self, samples: usize) -> Result<Draw> {
        Ok(Draw {
            seed: self.preset.sampling.seed.wrapping_add(BUDGET_SEED),
            ..self.plan(samples)?
        })
    }

    /// The latest stored threshold that suits and is of the solver in use. One that was calibrated on the
    /// run's own samples is passed over, and so is one by another yardstick than the user named.
    ///
    /// # Errors
    /// Where the user named statistics that cannot be read.
    pub fn stored(&self, suits: impl Fn(&Calibration) -> bool) -> Result<Option<&Calibration>> {
        let sampling = &self.preset.sampling;
        if sampling.solver != self.calibrated_solver {
            return Ok(None);
        }
        // Of several the latest, which stands last.
        for entry in self.calibrations.entries().iter().rev() {
            let suits = entry.seed != sampling.seed && suits(entry);
            if suits && self.measured_as_asked(entry)? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Whether an entry is of the yardstick that the user asks for, where it is of any.
    fn measured_as_asked(&self, entry: &Calibration) -> Result<bool> {
        if entry.exit_rule != ExitRule::Distance {
            return Ok(true);
        }
        let (judge, data) = (&self.yardstick.judge, self.preset.data);
        judge.accept(entry.yardstick.as_ref(), data)
    }

    /// Forgets the stored thresholds, so that they are calibrated again.
    pub fn forget(&mut self) {
        self.calibrations = Calibrations::default();
        self.calibrated_solver = self.preset.sampling.solver;
    }

    /// Adds a threshold to those that are stored.
    pub fn remember(&mut self, calibration: Calibration) {
        if self.preset.sampling.solver != self.calibrated_solver {
            self.forget();
        }
        self.calibrations.insert(calibration);
    }

    /// Samples by a threshold from now on: its share of blocks becomes the preset's.
    pub fn adopt(&mut self, calibration: Calibration) {
        self.preset.sampling.reduction = calibration.reduction;
        self.remember(calibration);
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use std::collections::HashSet;
    use std::sync::atomic::AtomicBool;

    use adadiff_sampler::NoiseStream;
    use burn_flex::Flex;

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::judge::{FeatureName, JudgeOptions, Yardstick};

    #[test]
    fn thresholds_are_judged_on_samples_that_they_have_not_seen() {
        println!("device: flex");
        let stop = AtomicBool::new(false);
        let checkpoint = Checkpoint::bundled().unwrap();
        let mut study = Study::<Flex>::new(checkpoint, Default::default(), &stop).unwrap();
        for seed in [0, 1, BUDGET_SEED, u64::MAX, BUDGET_SEED.wrapping_neg()] {
            study.preset.sampling.seed = seed;
            let draws = [
                study.plan(4).unwrap(),
                study
                    .calibration_draw(study.preset.sampling.budget())
                    .unwrap(),
                study.judged(4).unwrap(),
            ];
            let seeds: HashSet<u64> = draws.iter().map(|draw| draw.seed).collect();
            assert_eq!(seeds.len(), 3, "{seed}");
            let noises: HashSet<Vec<u32>> = draws
                .iter()
                .map(|draw| {
                    let noise = NoiseStream::new(draw.seed).normal(0, NoiseStream::INITIAL, 8);
                    noise.into_iter().map(f32::to_bits).collect()
                })
                .collect();
            assert_eq!(noises.len(), 3, "{seed}");
        }
    }

    #[test]
    fn a_threshold_that_has_seen_the_runs_samples_is_passed_over() {
        let stop = AtomicBool::new(false);
        let checkpoint = Checkpoint::bundled().unwrap();
        let mut study = Study::<Flex>::new(checkpoint, Default::default(), &stop).unwrap();
        let stored = study.calibrations.entries()[0].clone();
        let budget = stored.budget();
        assert!(
            study
                .stored(|entry| entry.budget() == budget)
                .unwrap()
                .is_some()
        );
        study.preset.sampling.seed = stored.seed;
        assert!(
            study
                .stored(|entry| entry.budget() == budget)
                .unwrap()
                .is_none()
        );

        let mut found = stored;
        found.reduction = 0.123;
        study.preset.sampling.seed = 5;
        study.calibrations = Calibrations::default();
        study.adopt(found.clone());
        assert_eq!(study.preset.sampling.reduction, 0.123);
        assert_eq!(study.stored(|_| true).unwrap(), Some(&found));
    }

    #[test]
    fn a_threshold_by_another_yardstick_than_was_named_is_passed_over() {
        let stop = AtomicBool::new(false);
        let checkpoint = Checkpoint::bundled().unwrap();
        let mut study = Study::<Flex>::new(checkpoint, Default::default(), &stop).unwrap();
        let by = |rule: ExitRule| move |entry: &Calibration| entry.exit_rule == rule;
        let pixels = Yardstick {
            judge: JudgeOptions {
                features: Some(FeatureName::Pixels),
                ..JudgeOptions::default()
            },
            ..Yardstick::default()
        };
        let bundled = study.stored(by(ExitRule::Distance)).unwrap().cloned();
        let bundled = bundled.expect("the bundled checkpoint has one");
        assert_eq!(bundled.yardstick, None);

        study = study.with_yardstick(pixels.clone());
        assert_eq!(study.stored(by(ExitRule::Distance)).unwrap(), None);
        // Other rules measure no distance.
        let threshold = study.stored(by(ExitRule::Threshold)).unwrap();
        assert!(threshold.is_some());

        // One that was stored by what is named now is used, and the other where nothing is named.
        let stored = Calibration {
            yardstick: pixels.name(study.preset.data).unwrap(),
            ..bundled.clone()
        };
        study.remember(stored.clone());
        assert_eq!(study.stored(by(ExitRule::Distance)).unwrap(), Some(&stored));
        study = study.with_yardstick(Yardstick::default());
        let budget = stored.budget();
        let found = study.stored(|entry| entry.budget() == budget).unwrap();
        assert_eq!(found, Some(&bundled));

        // Another guidance is another budget.
        study.preset.sampling.guidance = 1.5;
        let guided = study.budget(stored.reduction);
        assert_ne!(guided, budget);
        assert_eq!(
            study.stored(|entry| entry.budget() == guided).unwrap(),
            None
        );
    }
}
