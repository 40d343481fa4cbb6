//! A latent drawn from the autoencoder's distribution of it.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::StandardNormal;

use crate::{ImageError, Visit};

/// What the latents of Stable Diffusion's autoencoder are multiplied with, so that they have a
/// variance near 1 (Rombach et al. 2022, arXiv 2112.10752, section G).
pub const SCALE_FACTOR: f32 = 0.18215;

/// Keeps the draws apart from those of order and captions, which have the same seed: "latents" in
/// ASCII.
const LATENTS: u64 = 0x6c61_7465_6e74_7300;

/// Draws a latent, `z = scale_factor * (mean + exp(log_variance / 2) * eps)`, with the log-variance
/// in `[-30, 20]`; `moments` are the means and then the log-variances, each as many as `values`.
///
/// The standard normal noise `eps` is a function of the visit's seed and position alone.
///
/// # Errors
/// Where a moment is not finite.
///
/// # Panics
/// Where `values` are not half as many as `moments`.
pub(super) fn draw(
    moments: &[f32],
    scale_factor: f32,
    visit: Visit,
    values: &mut [f32],
) -> Result<(), ImageError> {
    assert_eq!(
        moments.len(),
        2 * values.len(),
        "two moments for each value"
    );
    check_finite(moments)?;
    let mut random = ChaCha8Rng::seed_from_u64(visit.seed ^ LATENTS);
    random.set_stream(visit.position);
    let (means, log_variances) = moments.split_at(values.len());
    for ((value, mean), log_variance) in values.iter_mut().zip(means).zip(log_variances) {
        let eps: f32 = random.sample(StandardNormal);
        let deviation = (0.5 * log_variance.clamp(-30.0, 20.0)).exp();
        *value = scale_factor * (mean + deviation * eps);
    }
    Ok(())
}

/// Makes sure that damage that no checksum was asked about does not reach a network.
pub(super) fn check_finite(values: &[f32]) -> Result<(), ImageError> {
    if values.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(ImageError::NotFinite)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VISIT: Visit = Visit {
        flip: false,
        seed: 1234,
        position: 7,
    };

    fn drawn(mean: f32, log_variance: f32, scale_factor: f32, visit: Visit) -> Vec<f32> {
        let mut moments = vec![mean; 40_000];
        moments[20_000..].fill(log_variance);
        let mut values = vec![0.0; 20_000];
        draw(&moments, scale_factor, visit, &mut values).unwrap();
        values
    }

    fn statistics(values: &[f32]) -> [f32; 2] {
        let count = values.len() as f32;
        let mean = values.iter().sum::<f32>() / count;
        let squares: f32 = values.iter().map(|value| (value - mean).powi(2)).sum();
        [mean, (squares / count).sqrt()]
    }

    #[test]
    fn mean_and_deviation_are_the_moments() {
        for (mean, log_variance, factor) in [(0.0, 0.0, 1.0), (3.0, 1.5, 0.5), (-2.0, -4.0, 0.25)] {
            let [found, deviation] = statistics(&drawn(mean, log_variance, factor, VISIT));
            let expected = factor * (0.5f32 * log_variance).exp();
            // Five standard deviations of the estimates.
            let error = 5.0 * expected / 20_000f32.sqrt();
            assert!((found - factor * mean).abs() < error, "{found}");
            assert!((deviation - expected).abs() < error, "{deviation}");
        }
    }

    #[test]
    fn log_variances_are_clamped() {
        let of = |log_variance| drawn(0.0, log_variance, 1.0, VISIT);
        assert_eq!(of(-100.0), of(-30.0));
        assert_eq!(of(100.0), of(20.0));
        assert_ne!(of(19.0), of(20.0));
    }

    #[test]
    fn noise_is_of_the_seed_and_the_position() {
        let of = |seed, position, flip| {
            drawn(
                0.0,
                0.0,
                1.0,
                Visit {
                    flip,
                    seed,
                    position,
                },
            )
        };
        assert_eq!(of(1, 2, false), of(1, 2, true));
        for (seed, position) in [(1, 3), (2, 2), (2, 1)] {
            let [one, other] = [of(1, 2, false), of(seed, position, false)];
            let products: Vec<_> = one.iter().zip(&other).map(|(a, b)| a * b).collect();
            let [correlation, _] = statistics(&products);
            assert!(correlation.abs() < 5.0 / 20_000f32.sqrt(), "{correlation}");
        }
    }

    #[test]
    fn the_noise_of_a_seed_and_a_position_never_changes() {
        let values = drawn(0.0, 0.0, 1.0, VISIT);
        assert_eq!(
            values[..4],
            [-0.544_602, -0.936_862_05, -0.210_358_9, 0.202_690_11]
        );
    }

    #[test]
    fn what_is_not_finite_is_an_error() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in 0..4 {
                let mut moments = [0.0; 4];
                moments[at] = bad;
                let found = draw(&moments, 1.0, VISIT, &mut [0.0; 2]);
                assert!(matches!(found, Err(ImageError::NotFinite)));
            }
        }
    }
}
