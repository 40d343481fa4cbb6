//! The kernel inception distance (Bińkowski et al. 2018, arXiv 1801.01401, section 4).

use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::finite;
use crate::gram::{sum_between, sum_within};
use crate::{Features, MetricsError, Spread};

/// The subsets over which the published code averages the distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KidSubsets {
    /// Samples in each, drawn without putting back; at least 2.
    pub size: usize,
    /// How many subsets are drawn; at least 1.
    pub number: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for KidSubsets {
    /// The published code's: 100 subsets of 1,000 samples.
    fn default() -> Self {
        Self {
            size: 1000,
            number: 100,
            seed: 0,
        }
    }
}

/// The unbiased squared maximum mean discrepancy (Gretton et al. 2012, equation 3) over all
/// samples with the kernel (a . b / dims + 1)^3. It may be below zero.
///
/// # Errors
/// Where the features differ in number, either set has fewer than 2 samples, or values are too large for
/// the kernel.
pub fn kernel_distance(real: &Features<'_>, generated: &Features<'_>) -> Result<f64, MetricsError> {
    generated.same_dims(real)?;
    for set in [real, generated] {
        set.at_least(2, "the kernel distance")?;
    }
    let dims = real.dims() as f64;
    let kernel = |_, _, product: f64| (product / dims + 1.0).powi(3);
    let within = |set: &Features<'_>| {
        let samples = set.samples() as f64;
        2.0 * sum_within(set, kernel) / (samples * (samples - 1.0))
    };
    let pairs = real.samples() as f64 * generated.samples() as f64;
    let between = sum_between(real, generated, kernel) / pairs;
    finite(
        "the kernel distance",
        within(real) + within(generated) - 2.0 * between,
    )
}

/// Mean and spread of [`kernel_distance`] over random subsets, as the published code reports it.
///
/// A subset depends on the seed, its number and the number of samples alone.
///
/// # Errors
/// As [`kernel_distance`], and where a set has fewer samples than a subset, or there is no subset.
pub fn kernel_distance_of_subsets(
    real: &Features<'_>,
    generated: &Features<'_>,
    subsets: &KidSubsets,
) -> Result<Spread, MetricsError> {
    generated.same_dims(real)?;
    if subsets.number == 0 {
        return Err(MetricsError::Zero {
            what: "the number of subsets",
        });
    }
    for set in [real, generated] {
        set.at_least(subsets.size, "a subset for the kernel distance")?;
    }
    let distances: Result<Vec<_>, _> = (0..subsets.number as u64)
        .map(|subset| {
            let mut random = ChaCha8Rng::seed_from_u64(subsets.seed);
            random.set_stream(subset);
            let mut drawn = |set: &Features<'_>| -> Vec<f64> {
                let indices = sample(&mut random, set.samples(), subsets.size);
                indices
                    .iter()
                    .flat_map(|index| set.block(index..index + 1))
                    .collect()
            };
            let (x, y) = (drawn(real), drawn(generated));
            kernel_distance(
                &Features::new("a subset", &x, real.dims())?,
                &Features::new("a subset", &y, real.dims())?,
            )
        })
        .collect();
    let spread = Spread::from_estimates(&distances?);
    // Its squares may be too large where the distances are not.
    finite("the spread of the kernel distance", spread.std)?;
    Ok(spread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{on_threads, wave};

    fn features(values: &[f32], dims: usize) -> Features<'_> {
        Features::new("features", values, dims).unwrap()
    }

    #[test]
    fn small_sets_are_worked_out_by_hand() {
        // One dimension: k(a, b) = (a b + 1)^3.
        let real = features(&[0.0, 1.0, 2.0], 1);
        let generated = features(&[1.0, -1.0], 1);
        // Pairs of real samples: 1, 1, 27; of generated ones: 0; between: 1 + 1, 8 + 0, 27 - 1.
        let expected = 29.0 / 3.0 + 0.0 - 2.0 * 36.0 / 6.0;
        let found = kernel_distance(&real, &generated).unwrap();
        assert!((found - expected).abs() < 1e-14, "{found}");
        // Two dimensions halve the product: (1 + 1)^3 within; (0.5 + 1)^3 and 1 between.
        let real = features(&[1.0, 1.0, 1.0, 1.0], 2);
        let generated = features(&[1.0, 0.0, 0.0, 0.0], 2);
        let expected = 8.0 + 1.0 - (1.5_f64.powi(3) + 1.0);
        let found = kernel_distance(&real, &generated).unwrap();
        assert!((found - expected).abs() < 1e-14, "{found}");
    }

    #[test]
    fn subsets_of_everything_are_the_full_sets() {
        let (x, y) = (wave(40, 5, 0.0), wave(40, 5, 2.0));
        let (real, generated) = (features(&x, 5), features(&y, 5));
        let full = kernel_distance(&real, &generated).unwrap();
        let subsets = KidSubsets {
            size: 40,
            number: 3,
            seed: 1,
        };
        let spread = kernel_distance_of_subsets(&real, &generated, &subsets).unwrap();
        assert!((spread.mean - full).abs() < 1e-12);
        assert!(spread.std < 1e-12);
    }

    #[test]
    fn subsets_follow_their_seed_and_not_the_threads() {
        let (x, y) = (wave(300, 5, 0.0), wave(310, 5, 2.0));
        let (real, generated) = (features(&x, 5), features(&y, 5));
        let full = kernel_distance(&real, &generated).unwrap();
        let drawn = |seed, number| {
            let subsets = KidSubsets {
                size: 100,
                number,
                seed,
            };
            kernel_distance_of_subsets(&real, &generated, &subsets).unwrap()
        };
        let spread = drawn(7, 400);
        assert!(spread.std > 0.0);
        // Unbiased: the mean of many subsets comes near to the distance of all samples.
        assert!((spread.mean - full).abs() < 4.0 * spread.std / 400_f64.sqrt());
        assert_ne!(drawn(7, 3), drawn(8, 3));
        let [one, three] = [1, 3].map(|threads| on_threads(threads, || drawn(7, 3)));
        assert_eq!(one, three);
    }

    #[test]
    fn values_too_large_for_the_kernel_are_an_error() {
        // Of single precision there are none of this size.
        let values = vec![1e200, -1e200];
        let set = Features::new("features", &values, 1).unwrap();
        let error = kernel_distance(&set, &set).unwrap_err().to_string();
        assert!(
            error.starts_with("the kernel distance is beyond all numbers"),
            "{error}"
        );

        let values: Vec<f64> = (0..30).map(|index| 1e39 * f64::from(index % 7)).collect();
        let set = Features::new("features", &values, 1).unwrap();
        assert!(kernel_distance(&set, &set).unwrap().is_finite());
        let subsets = KidSubsets {
            size: 10,
            number: 3,
            seed: 0,
        };
        let error = kernel_distance_of_subsets(&set, &set, &subsets).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("the spread of the kernel distance is beyond all numbers"),
            "{error}"
        );
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let values = [0.0; 6];
        let (two, three) = (features(&values, 3), features(&values, 2));
        let single = features(&values[..3], 3);
        let message = kernel_distance(&two, &three).unwrap_err().to_string();
        assert_eq!(
            message,
            "the generated features: expected 3 values for each sample, found 2"
        );
        let message = kernel_distance(&two, &single).unwrap_err().to_string();
        assert_eq!(
            message,
            "the kernel distance: at least 2 samples are needed, found 1"
        );
        let subsets = |size, number| {
            let seed = 0;
            kernel_distance_of_subsets(&two, &two, &KidSubsets { size, number, seed })
                .map_err(|error| error.to_string())
        };
        assert!(subsets(2, 1).is_ok());
        for (size, number, message) in [
            (3, 1, "a subset for the kernel distance: at least 3 samples"),
            (1, 1, "the kernel distance: at least 2 samples"),
            (0, 1, "at least 1 samples are needed, found 0"),
            (2, 0, "the number of subsets must be at least 1"),
        ] {
            let error = subsets(size, number).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
