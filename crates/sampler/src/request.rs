//! What is to be sampled.

use adadiff_model::Condition;
use burn::tensor::backend::Backend;

use crate::{NoiseSource, SampleError};

/// Which samples to draw.
#[derive(Clone, Debug)]
pub struct SampleRequest<B: Backend> {
    /// `[channels, height, width]` of one sample.
    pub shape: [usize; 3],
    /// Where the noise comes from.
    pub noise: NoiseSource<B>,
    /// Index of the first sample; the others follow it.
    pub first_sample: u64,
    /// Number of samples.
    pub count: usize,
    /// Samples in a batch, except for the last, which may hold fewer. A sample does not depend on it.
    pub batch: usize,
    /// The condition, one row for each sample.
    pub condition: Condition<B>,
    /// Where to sample.
    pub device: B::Device,
}

impl<B: Backend> SampleRequest<B> {
    /// # Errors
    /// Where there is nothing to sample, or the condition or the given noise does not suit the samples.
    pub(crate) fn check(&self) -> Result<(), SampleError> {
        if self.count == 0 {
            return Err(SampleError::ZeroSamples);
        }
        if self.batch == 0 {
            return Err(SampleError::ZeroBatch);
        }
        if self.shape.contains(&0) {
            return Err(SampleError::EmptyShape { shape: self.shape });
        }
        if self.first_sample.checked_add(self.count as u64).is_none() {
            return Err(SampleError::SampleIndex {
                first: self.first_sample,
                count: self.count,
            });
        }
        let [channels, height, width] = self.shape;
        self.noise.check([self.count, channels, height, width])?;
        expect_rows(&self.condition, self.count)
    }
}

/// # Errors
/// Where the condition has rows, but not as many as expected.
pub(crate) fn expect_rows<B: Backend>(
    condition: &Condition<B>,
    expected: usize,
) -> Result<(), SampleError> {
    let found = match condition {
        Condition::None => return Ok(()),
        Condition::Class(labels) => labels.dims()[0],
        Condition::Text(context) => context.dims()[0],
    };
    if found == expected {
        Ok(())
    } else {
        Err(SampleError::ConditionRows {
            kind: condition.kind(),
            expected,
            found,
        })
    }
}
