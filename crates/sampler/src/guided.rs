//! Classifier-free guidance.

use adadiff_model::{Condition, Denoiser, ModelError, NoisyBatch, Prediction};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

use crate::SampleError;

/// A denoiser with classifier-free guidance (Ho & Salimans 2022), in U-ViT's form:
/// `cond + scale (cond - uncond)`; a scale of 0 is the plain conditional prediction.
///
/// Both predictions are made in one batch of twice the size. The blocks of both count for a sample;
/// its uncertainties are those of the conditional prediction.
#[derive(Clone, Debug)]
pub struct Guided<B: Backend, D> {
    denoiser: D,
    unconditional: Condition<B>,
    scale: f64,
}

impl<B: Backend, D: Denoiser<B>> Guided<B, D> {
    /// Guides `denoiser` away from `unconditional`.
    ///
    /// `unconditional` has one row: the class that means "none" `[1]`, or the context of an empty
    /// text `[1, tokens, width]`.
    ///
    /// # Errors
    /// Where the scale is not finite, or `unconditional` has another number of rows.
    pub fn new(denoiser: D, unconditional: Condition<B>, scale: f64) -> Result<Self, SampleError> {
        if !scale.is_finite() {
            return Err(SampleError::GuidanceScale(scale));
        }
        crate::request::expect_rows(&unconditional, 1)?;
        Ok(Self {
            denoiser,
            unconditional,
            scale,
        })
    }
}

impl<B: Backend, D: Denoiser<B>> Denoiser<B> for Guided<B, D> {
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        let samples = batch.samples();
        let first_row = Tensor::<B, 1, Int>::zeros([samples], &batch.noisy.device());
        let mismatch = ModelError::Condition {
            expected: self.unconditional.kind(),
            given: batch.condition.kind(),
        };
        let unconditional = self.unconditional.select(first_row);
        let both = batch.condition.join(unconditional).ok_or(mismatch)?;
        let mut joined = self.denoiser.predict_batch(NoisyBatch {
            noisy: Tensor::cat(vec![batch.noisy.clone(), batch.noisy], 0),
            timestep: batch.timestep,
            condition: both,
            pairs: true,
        })?;

        let conditional = joined.noise.clone().narrow(0, 0, samples);
        let unconditional = joined.noise.narrow(0, samples, samples);
        let unconditional_blocks = joined.blocks.split_off(samples);
        for (blocks, more) in joined.blocks.iter_mut().zip(unconditional_blocks) {
            *blocks += more;
        }
        joined.exit_signal.truncate(samples);
        Ok(Prediction {
            noise: conditional * (1.0 + self.scale) - unconditional * self.scale,
            blocks: joined.blocks,
            exit_signal: joined.exit_signal,
            uncertainty_map: joined.uncertainty_map.map(|map| map.narrow(0, 0, samples)),
        })
    }

    fn blocks_per_prediction(&self) -> u32 {
        2 * self.denoiser.blocks_per_prediction()
    }

    fn begin(&self) {
        self.denoiser.begin();
    }

    /// Of both predictions.
    fn memory_per_sample(&self) -> usize {
        2 * self.denoiser.memory_per_sample()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Labelled, Plain, device, values};

    fn class<const ROWS: usize>(labels: [i32; ROWS]) -> Condition<Plain> {
        Condition::Class(Tensor::from_ints(labels, &device()))
    }

    #[test]
    fn moves_away_from_the_unconditional_prediction() {
        let guided = Guided::new(Labelled::default(), class([10]), 0.5).unwrap();
        // Of which the labels are a tenth.
        let noisy = Tensor::full([2, 1, 1, 2], 10.0, &device());
        let prediction = guided.predict(noisy, 1.0, &class([2, 4])).unwrap();
        assert_eq!(values(prediction.noise), [-2.0, -2.0, 1.0, 1.0]);
        assert_eq!(prediction.blocks, [12, 14]);
        assert_eq!(prediction.exit_signal, [[0.2], [0.4]]);
        assert_eq!(
            values(prediction.uncertainty_map.unwrap()),
            [0.2, 0.2, 0.4, 0.4]
        );
        assert_eq!(guided.blocks_per_prediction(), 20);
    }

    #[test]
    fn refuses_what_it_cannot_guide() {
        let error = Guided::new(Labelled::default(), class([10]), f64::NAN)
            .err()
            .unwrap();
        assert!(matches!(error, SampleError::GuidanceScale(_)), "{error}");
        let error = Guided::new(Labelled::default(), class([10, 10]), 1.0)
            .err()
            .unwrap();
        assert!(
            matches!(error, SampleError::ConditionRows { found: 2, .. }),
            "{error}"
        );
        let guided = Guided::new(Labelled::default(), class([10]), 0.5).unwrap();
        let noisy = Tensor::zeros([1, 1, 1, 1], &device());
        let error = guided.predict(noisy, 1.0, &Condition::None).unwrap_err();
        assert_eq!(
            error,
            ModelError::Condition {
                expected: "class",
                given: "none"
            }
        );
    }
}
