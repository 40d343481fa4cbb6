//! The stored calibrations of a pipeline's weights.

use adadiff_model::kernels::Kernels;

use crate::{
    Calibration, CalibrationFile, Calibrator, ExitRule, Monitor, PipelineError, StoredCalibration,
};

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
        if sampling.solver != self.stored_solver {
            return Ok(None);
        }
        let weights = self.pipeline.weights_sha256.as_deref();
        let suits = |entry: &Calibration| entry.seed != sampling.seed && suits(entry);
        // Of several the latest, which stands last.
        for entry in self.stored.of_weights(weights).rev() {
            if suits(entry) && self.is_measured_by_reference(entry)? {
                return Ok(Some(entry));
            }
        }
        let mut others = self.stored.entries().iter();
        if let Some(other) = others.find(|entry| suits(&entry.calibration)) {
            monitor.note(passed_over(other));
        }
        Ok(None)
    }

    /// Whether an entry is of the caller's reference, where it is of any.
    fn is_measured_by_reference(&self, entry: &Calibration) -> Result<bool, PipelineError> {
        if entry.exits.rule() != ExitRule::Distance {
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
        self.stored_solver = self.pipeline.config.sampling.solver;
    }

    /// Adds a calibration to those that are known, but to no file.
    pub fn remember(&mut self, calibration: Calibration) {
        if self.pipeline.config.sampling.solver != self.stored_solver {
            self.forget();
        }
        self.stored.insert(self.entry(calibration));
    }

    /// A calibration as it is stored: with the weights that it is of.
    pub fn entry(&self, calibration: Calibration) -> StoredCalibration {
        StoredCalibration {
            weights_sha256: self.pipeline.weights_sha256.clone(),
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
