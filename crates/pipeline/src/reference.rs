//! Where the statistics come from that distances are measured by.

use adadiff_model::kernels::Kernels;

use crate::{Evaluator, PipelineError, ReferenceId};

/// What distances are measured by, and its name in what is stored.
#[derive(Debug)]
pub struct CalibrationReference<B: Kernels> {
    /// Features, and statistics of them.
    pub evaluator: Evaluator<B>,
    /// Nothing where they come with the data set.
    pub id: Option<ReferenceId>,
}

/// Where what distances are measured by comes from. It may be large, and is opened where a calibration
/// needs it.
pub trait ReferenceSource<B: Kernels>: Send + Sync {
    /// Whether a stored calibration was measured by this.
    ///
    /// # Errors
    /// Where that cannot be told.
    fn accepts(&self, stored: Option<&ReferenceId>) -> Result<bool, PipelineError>;

    /// Opens it for samples of this shape, `[channels, height, width]`.
    ///
    /// # Errors
    /// Where something is missing or damaged.
    fn open(
        &self,
        shape: [usize; 3],
        device: &B::Device,
    ) -> Result<CalibrationReference<B>, PipelineError>;
}

/// Nothing to measure by: stored calibrations are taken as they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoReference;

impl<B: Kernels> ReferenceSource<B> for NoReference {
    fn accepts(&self, _stored: Option<&ReferenceId>) -> Result<bool, PipelineError> {
        Ok(true)
    }

    fn open(
        &self,
        _shape: [usize; 3],
        _device: &B::Device,
    ) -> Result<CalibrationReference<B>, PipelineError> {
        Err(PipelineError::NoReference)
    }
}
