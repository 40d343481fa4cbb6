//! The noise of a request: drawn from a seed, or given.

use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::NoiseStream;
use crate::SampleError;

/// The initial noise of samples and the noise that updates add.
///
/// Both are drawn from the [`NoiseStream`] of a seed, unless the caller gives them: own latents to
/// start from, or the noises of a run that is to be repeated.
#[derive(Clone, Debug)]
pub struct NoiseSource<B: Backend> {
    stream: NoiseStream,
    initial: Option<Tensor<B, 4>>,
    updates: Option<Vec<Tensor<B, 4>>>,
}

impl<B: Backend> NoiseSource<B> {
    /// All noise from a seed.
    pub fn seeded(seed: u64) -> Self {
        Self {
            stream: NoiseStream::new(seed),
            initial: None,
            updates: None,
        }
    }

    /// The samples start from this state instead, at the schedule's start time.
    ///
    /// # Shapes
    /// - `initial`: `[samples, channels, height, width]` for all samples of the request
    pub fn starting_from(self, initial: Tensor<B, 4>) -> Self {
        Self {
            initial: Some(initial),
            ..self
        }
    }

    /// The updates add this noise instead, the first update the first tensor. Solvers without noise
    /// take none; those that add noise need as many tensors as updates do.
    ///
    /// # Shapes
    /// - each of `updates`: `[samples, channels, height, width]` for all samples of the request
    pub fn adding(self, updates: Vec<Tensor<B, 4>>) -> Self {
        Self {
            updates: Some(updates),
            ..self
        }
    }

    /// # Errors
    /// Where given noise does not have this shape.
    pub(crate) fn check(&self, expected: [usize; 4]) -> Result<(), SampleError> {
        let updates = self.updates.iter().flatten();
        let all = self.initial.iter().map(|noise| ("initial state", noise));
        for (what, noise) in all.chain(updates.map(|noise| ("noise of an update", noise))) {
            let found = noise.dims();
            if found != expected {
                return Err(SampleError::NoiseShape {
                    what,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }

    /// The state that a batch starts from.
    pub(crate) fn initial(&self, batch: &BatchOfNoise<'_, B>) -> Tensor<B, 4> {
        match &self.initial {
            Some(given) => batch.rows(given),
            None => batch.draw(self.stream, NoiseStream::INITIAL),
        }
    }

    /// The noise that an update, counted from 0, adds to a batch.
    ///
    /// # Errors
    /// Where noise was given, but not for this update.
    pub(crate) fn update(
        &self,
        update: usize,
        batch: &BatchOfNoise<'_, B>,
    ) -> Result<Tensor<B, 4>, SampleError> {
        let Some(given) = &self.updates else {
            return Ok(batch.draw(self.stream, NoiseStream::INITIAL + 1 + update as u32));
        };
        match given.get(update) {
            Some(noise) => Ok(batch.rows(noise)),
            None => Err(SampleError::MissingNoise {
                update,
                given: given.len(),
            }),
        }
    }
}

/// Which samples noise is for.
#[derive(Clone, Debug)]
pub(crate) struct BatchOfNoise<'a, B: Backend> {
    /// The samples, counted from 0 within the request.
    pub samples: Range<usize>,
    /// Index of the request's first sample.
    pub first_sample: u64,
    /// `[channels, height, width]` of one sample.
    pub shape: [usize; 3],
    /// Where to put it.
    pub device: &'a B::Device,
}

impl<B: Backend> BatchOfNoise<'_, B> {
    fn rows(&self, given: &Tensor<B, 4>) -> Tensor<B, 4> {
        let rows = given.clone().to_device(self.device);
        rows.narrow(0, self.samples.start, self.samples.len())
    }

    fn draw(&self, stream: NoiseStream, step: u32) -> Tensor<B, 4> {
        stream.batch(
            self.first_sample + self.samples.start as u64,
            self.samples.len(),
            step,
            self.shape,
            self.device,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Plain, device, values};

    #[test]
    fn given_noise_takes_the_place_of_the_streams() {
        let device = device();
        let stream = NoiseStream::new(3);
        let batch = BatchOfNoise::<Plain> {
            samples: 1..3,
            first_sample: 10,
            shape: [1, 2, 2],
            device: &device,
        };
        let seeded = NoiseSource::seeded(3);
        assert_eq!(
            values(seeded.initial(&batch))[4..],
            stream.normal(12, NoiseStream::INITIAL, 4)
        );
        assert_eq!(
            values(seeded.update(7, &batch).unwrap())[..4],
            stream.normal(11, 8, 4)
        );

        let count = |start: i64| {
            Tensor::arange(start..start + 16, &device)
                .reshape([4, 1, 2, 2])
                .float()
        };
        let given = seeded.starting_from(count(0)).adding(vec![count(100)]);
        assert_eq!(given.check([4, 1, 2, 2]), Ok(()));
        assert_eq!(
            values(given.initial(&batch)),
            [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
        );
        assert_eq!(
            values(given.update(0, &batch).unwrap())[..2],
            [104.0, 105.0]
        );
        let error = given.update(1, &batch).unwrap_err();
        assert_eq!(
            error,
            SampleError::MissingNoise {
                update: 1,
                given: 1
            }
        );
        let error = given.check([3, 1, 2, 2]).unwrap_err();
        assert!(matches!(error, SampleError::NoiseShape { .. }), "{error}");
    }
}
