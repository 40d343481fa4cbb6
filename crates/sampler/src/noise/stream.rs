//! Noise that belongs to a sample, not to a batch or a device.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

/// Bits of the generator's position that count the words of one step: far more than any image draws.
const WORD_BITS: u32 = 36;

/// Standard normal noise of (seed, sample index, step), drawn on the host.
///
/// The generator is counter-based (ChaCha with 8 rounds): the seed is its key, the sample its
/// stream, the step its position. So any noise can be drawn without those before it, and is the
/// same in every batch and on every backend. Further numbers of one step extend the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoiseStream {
    seed: u64,
}

impl NoiseStream {
    /// The step of the initial noise `x_T`; update `k` of a walk, from 0, has step `k + 1`.
    pub const INITIAL: u32 = 0;

    /// The noise of this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The first `length` numbers of a sample's noise for a step.
    pub fn normal(&self, sample: u64, step: u32, length: usize) -> Vec<f32> {
        self.numbers(sample, step).take(length).collect()
    }

    /// The noise of consecutive samples for a step.
    ///
    /// # Shapes
    /// - `shape`: `[channels, height, width]` of one sample
    /// - output: `[samples, channels, height, width]`; sample `i` has the index `first_sample + i`
    pub fn batch<B: Backend>(
        &self,
        first_sample: u64,
        samples: usize,
        step: u32,
        shape: [usize; 3],
        device: &B::Device,
    ) -> Tensor<B, 4> {
        let [channels, height, width] = shape;
        let length = channels * height * width;
        let mut values = Vec::with_capacity(samples * length);
        for sample in (first_sample..).take(samples) {
            values.extend(self.numbers(sample, step).take(length));
        }
        let data = TensorData::new(values, [samples, channels, height, width]);
        Tensor::from_data(data, device)
    }

    fn numbers(&self, sample: u64, step: u32) -> impl Iterator<Item = f32> {
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(sample);
        generator.set_word_pos(u128::from(step) << WORD_BITS);
        StandardNormal.sample_iter(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Plain, device, values};

    #[test]
    fn numbers_never_change() {
        let stream = NoiseStream::new(0);
        let drawn = [
            stream.normal(0, NoiseStream::INITIAL, 2),
            stream.normal(17, NoiseStream::INITIAL, 2),
            stream.normal(17, 1, 2),
            NoiseStream::new(1).normal(17, 1, 2),
            NoiseStream::new(u64::MAX).normal(u64::MAX, u32::MAX, 2),
        ];
        let expected = [
            [0.69996077, -0.14406164],
            [3.4486246, -0.040134538],
            [-0.4322345, 0.31247997],
            [2.9896467, -0.35601547],
            [2.279775, -0.6565794],
        ];
        assert_eq!(drawn, expected);
    }

    #[test]
    fn a_sample_has_the_same_noise_in_any_batch() {
        let device = device();
        let stream = NoiseStream::new(3);
        let all = values(stream.batch::<Plain>(10, 6, 2, [3, 4, 5], &device));
        let later = values(stream.batch::<Plain>(14, 2, 2, [3, 4, 5], &device));
        assert_eq!(all[4 * 60..], later);
        assert_eq!(all[5 * 60..], stream.normal(15, 2, 60));
    }

    #[test]
    fn is_standard_normal_and_uncorrelated_between_keys() {
        const DRAWS: usize = 100_000;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let draw = |seed, sample, step| -> Vec<f64> {
            NoiseStream::new(seed)
                .normal(sample, step, DRAWS)
                .into_iter()
                .map(f64::from)
                .collect()
        };
        let noise = draw(7, 0, 0);
        let moment = |power: i32| mean(&noise.iter().map(|x| x.powi(power)).collect::<Vec<_>>());
        // Five standard errors: 1, sqrt(2), sqrt(15) and sqrt(96) over sqrt(100,000).
        assert!(moment(1).abs() < 0.016, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.023, "variance {}", moment(2));
        assert!(moment(3).abs() < 0.062, "third moment {}", moment(3));
        assert!(
            (moment(4) - 3.0).abs() < 0.16,
            "fourth moment {}",
            moment(4)
        );
        for (seed, sample, step) in [(8, 0, 0), (7, 1, 0), (7, 0, 1)] {
            let other = draw(seed, sample, step);
            let products: Vec<_> = noise.iter().zip(&other).map(|(a, b)| a * b).collect();
            assert!(
                mean(&products).abs() < 0.016,
                "correlated with {:?}",
                (seed, sample, step)
            );
        }
    }
}
