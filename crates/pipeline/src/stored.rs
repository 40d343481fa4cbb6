//! The stored calibrations of a pipeline's weights.

use adadiff_model::kernels::Kernels;

use crate::{Calibration, CalibrationFile, Calibrator, Monitor, PipelineError, StoredCalibration};

impl<B: Kernels> Calibrator<B> {
    /// The stored exits that skip a share of blocks, where there are some.
    ///
    /// # Errors
    /// As [`Self::stored`].
    pub fn stored_for_reduction(
        &self,
        reduction: f64,
        monitor: &dyn Monitor,
    ) -> Result<Option<&Calibration>, PipelineError> {
        let key = self.key(reduction);
        self.stored(|entry| entry.key() == key, monitor)
    }

    /// The latest stored calibration that suits and is of the solver in use.
    ///
    /// One that was calibrated on the run's own samples is passed over, and so are those by another
    /// reference than the caller's and those of other weights, of which the monitor is told.
    ///
    /// # Errors
    /// Where the caller's reference cannot be read.
    pub fn stored(
        &self,
        suits: impl Fn(&Calibration) -> bool,
        monitor: &dyn Monitor,
    ) -> Result<Option<&Calibration>, PipelineError> {
        let sampling = &self.pipeline.config.sampling;
        let solver = |entry: &StoredCalibration| entry.solver.unwrap_or(self.stored_solver);
        let mut of_other_weights = None;
        // Of several the latest, which stands last.
        for entry in self.stored.entries().iter().rev() {
            let calibration = &entry.calibration;
            let as_now = calibration.seed != sampling.seed && solver(entry) == sampling.solver;
            if !as_now || !suits(calibration) || !self.is_measured_by_reference(calibration)? {
                continue;
            }
            if entry.weights_sha256 == self.pipeline.weights_sha256 {
                return Ok(Some(calibration));
            }
            of_other_weights = Some(entry);
        }
        if let Some(other) = of_other_weights {
            monitor.note(passed_over(other));
        }
        Ok(None)
    }

    /// Whether an entry is of the caller's reference, where it is of any.
    fn is_measured_by_reference(&self, entry: &Calibration) -> Result<bool, PipelineError> {
        if !entry.exits.rule().measures_distances() {
            return Ok(true);
        }
        self.reference.accepts(entry.exits.reference())
    }

    /// The stored calibrations of the pipeline's weights.
    pub fn all_stored(&self) -> impl Iterator<Item = &Calibration> {
        self.stored
            .of_weights(self.pipeline.weights_sha256.as_deref())
    }

    /// Forgets the stored calibrations, so that exits are calibrated again.
    pub fn forget(&mut self) {
        self.stored = CalibrationFile::default();
    }

    /// Adds a calibration to those that are known, but to no file.
    pub fn remember(&mut self, calibration: Calibration) {
        self.stored.insert(self.entry(calibration));
    }

    /// A calibration as it is stored: with the weights and the solver that it is of.
    pub fn entry(&self, calibration: Calibration) -> StoredCalibration {
        StoredCalibration {
            weights_sha256: self.pipeline.weights_sha256.clone(),
            solver: Some(self.pipeline.config.sampling.solver),
            calibration,
        }
    }
}

/// Why an entry that is of other weights is not used.
fn passed_over(entry: &StoredCalibration) -> &'static str {
    match entry.weights_sha256 {
        Some(_) => {
            "note: the stored threshold for this budget was calibrated for other weights, and is \
             passed over; `calibrate` stores one for these"
        }
        None => {
            "note: the stored threshold for this budget does not say which weights it was calibrated \
             for, and is passed over; `calibrate` stores one for these"
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use adadiff_sampler::{NoiseStream, SolverConfig, UniPc};
    use burn_flex::{Flex, FlexDevice};

    use super::*;
    use crate::testing::{Notes, bundled, pipeline};
    use crate::{
        CalibrationReference, ExitRule, ExitSetting, Pipeline, ReferenceId, ReferenceSource,
        SampleSpec, Silent,
    };

    #[test]
    fn exits_are_judged_on_samples_that_they_have_not_seen() {
        println!("device: flex");
        let mut calibrator = Calibrator::new(&pipeline());
        let budget = crate::budget::BUDGET_SEED;
        for seed in [0, 1, budget, u64::MAX, budget.wrapping_neg()] {
            calibrator.pipeline.config.sampling.seed = seed;
            let plans = [
                calibrator.pipeline.plan(&SampleSpec::new(4)),
                calibrator.plan(calibrator.key(0.4)),
                calibrator.budget_plan(4),
            ];
            let seeds: HashSet<u64> = plans.into_iter().map(|plan| plan.unwrap().seed).collect();
            assert_eq!(seeds.len(), 3, "{seed}");
            let noise = |&seed: &u64| {
                let noise = NoiseStream::new(seed).normal(0, NoiseStream::INITIAL, 8);
                noise.into_iter().map(f32::to_bits).collect()
            };
            let noises: HashSet<Vec<u32>> = seeds.iter().map(noise).collect();
            assert_eq!(noises.len(), 3, "{seed}");
        }
    }

    #[test]
    fn a_calibration_that_has_seen_the_runs_samples_is_passed_over() {
        let mut calibrator = Calibrator::new(&pipeline());
        let stored = calibrator.all_stored().next().unwrap().clone();
        let of_key = |entry: &Calibration| entry.key() == stored.key();
        assert!(calibrator.stored(of_key, &Silent).unwrap().is_some());
        calibrator.pipeline.config.sampling.seed = stored.seed;
        assert!(calibrator.stored(of_key, &Silent).unwrap().is_none());

        let found = Calibration {
            reduction: 0.123,
            ..stored
        };
        calibrator.pipeline.config.sampling.seed = 5;
        calibrator.forget();
        calibrator.remember(found.clone());
        let known = calibrator.stored(|_| true, &Silent).unwrap();
        assert_eq!(known, Some(&found));
    }

    #[test]
    fn a_calibration_is_of_its_solver() {
        let pipeline = pipeline();
        let (ours, steps) = (pipeline.config.sampling.solver, 8);
        let other = SolverConfig::UniPc(UniPc::default());
        let calibrator = Calibrator::new(&pipeline);
        let stored = calibrator.stored_for_reduction(0.45, &Silent).unwrap();
        let stored = stored.expect("the bundled checkpoint has one").clone();

        let mut calibrator = calibrator.with_solver(other, steps);
        let of_ours = calibrator.stored_for_reduction(0.45, &Silent).unwrap();
        assert_eq!(of_ours, None);
        let found = Calibration {
            reached: 0.5,
            ..stored.clone()
        };
        calibrator.remember(found.clone());
        let known = calibrator.stored_for_reduction(0.45, &Silent).unwrap();
        assert_eq!(known, Some(&found));
        let calibrator = calibrator.with_solver(ours, steps);
        let known = calibrator.stored_for_reduction(0.45, &Silent).unwrap();
        assert_eq!(known, Some(&stored));
    }

    /// Accepts what was measured by this, or anything.
    struct Accepts(Option<ReferenceId>);

    impl ReferenceSource<Flex> for Accepts {
        fn accepts(&self, stored: Option<&ReferenceId>) -> Result<bool, PipelineError> {
            Ok(self.0.as_ref() == stored)
        }

        fn open(
            &self,
            _shape: [usize; 3],
            _device: &FlexDevice,
        ) -> Result<CalibrationReference<Flex>, PipelineError> {
            Err(PipelineError::NoReference)
        }
    }

    #[test]
    fn a_calibration_by_another_reference_is_passed_over() {
        let by = |rule: ExitRule| move |entry: &Calibration| entry.exits.rule() == rule;
        let pixels = Some(ReferenceId {
            features: crate::PIXELS_NAME.to_owned(),
            reference: "SHA-256 ab".to_owned(),
        });
        let accepts = |reference| Arc::new(Accepts(reference));
        let mut calibrator = Calibrator::new(&pipeline());
        let bundled = calibrator.stored(by(ExitRule::Distance), &Silent).unwrap();
        let bundled = bundled.expect("the bundled checkpoint has one").clone();
        assert_eq!(bundled.exits.reference(), None);

        calibrator = calibrator.with_reference(accepts(pixels.clone()));
        let distance = calibrator.stored(by(ExitRule::Distance), &Silent).unwrap();
        assert_eq!(distance, None);
        // Other rules measure no distance.
        let threshold = calibrator.stored(by(ExitRule::Threshold), &Silent).unwrap();
        assert!(threshold.is_some());

        // One that was stored by the caller's is used, and the other where that is the caller's.
        let mut ours = bundled.clone();
        let ExitSetting::Distance { reference, .. } = &mut ours.exits else {
            panic!("it is of another rule")
        };
        *reference = pixels;
        calibrator.remember(ours.clone());
        let distance = calibrator.stored(by(ExitRule::Distance), &Silent).unwrap();
        assert_eq!(distance, Some(&ours));
        calibrator = calibrator.with_reference(accepts(None));
        let of_key = |entry: &Calibration| entry.key() == ours.key();
        assert_eq!(calibrator.stored(of_key, &Silent).unwrap(), Some(&bundled));

        // Another guidance is another budget.
        calibrator.pipeline.config.sampling.guidance = 1.5;
        let guided = calibrator.stored_for_reduction(ours.reduction, &Silent);
        assert_eq!(guided.unwrap(), None);
    }

    #[test]
    fn a_calibration_is_of_the_weights_that_it_lies_beside() {
        println!("device: flex");
        let folder = tempfile::tempdir().unwrap();
        let [weights, calibrations] = ["weights.safetensors", "calibration.json"];
        let copy = |name: &str| std::fs::copy(bundled().join(name), folder.path().join(name));
        copy(weights).unwrap();
        copy(calibrations).unwrap();
        let lookup = || {
            let path = folder.path().join(weights);
            let calibrator = Calibrator::new(&Pipeline::<Flex>::open(path, FlexDevice).unwrap());
            let notes = Notes::default();
            let found = calibrator.stored_for_reduction(0.45, &notes).unwrap();
            (found.is_some(), notes.0.take().concat())
        };
        assert_eq!(lookup(), (true, String::new()));

        let entries = std::fs::read_to_string(folder.path().join(calibrations)).unwrap();
        let digest = adadiff_storage::sha256_file(&bundled().join(weights)).unwrap();
        assert_eq!(entries.matches(&digest).count(), 23, "each entry tells");
        for (replaced, told) in [
            (entries.replace(&digest, "ab"), "for other weights"),
            (
                entries.replace(&format!(",\n    \"weights_sha256\": \"{digest}\""), ""),
                "does not say which weights",
            ),
        ] {
            std::fs::write(folder.path().join(calibrations), replaced).unwrap();
            let (found, note) = lookup();
            assert!(!found && note.contains(told), "{note}");
        }
    }
}
