//! The Fréchet distance between two normal distributions (Dowson & Landau 1982; Heusel et al.
//! 2017, arXiv 1706.08500, equation 6).

use faer::{Mat, MatRef};
use serde::{Deserialize, Serialize};

use crate::MetricsError;
use crate::error::finite;
use crate::factor::{factor, single_rounding};
use crate::nuclear_norm::nuclear_norm;

/// A normal distribution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "(Vec<f64>, Vec<f64>)", into = "(Vec<f64>, Vec<f64>)")]
pub struct Gaussian {
    mean: Vec<f64>,
    covariance: Vec<f64>,
}

impl Gaussian {
    /// A normal distribution of `mean` `[dims]` and `covariance` `[dims, dims]`, of which the
    /// lower triangle is read. A variance that rounding has brought below 0 becomes 0.
    ///
    /// # Errors
    /// Where the covariance does not have the mean's dimensions, a value is not finite, or the matrix
    /// is no covariance, as far as two of its features tell.
    pub fn new(mean: Vec<f64>, mut covariance: Vec<f64>) -> Result<Self, MetricsError> {
        let dims = mean.len();
        if dims == 0 || covariance.len() != dims * dims {
            return Err(MetricsError::Dimensions {
                what: "a covariance, counted for its mean",
                expected: dims * dims,
                found: covariance.len(),
            });
        }
        for (what, values) in [("a mean", &mean), ("a covariance", &covariance)] {
            if let Some(index) = values.iter().position(|value| !value.is_finite()) {
                return Err(MetricsError::NotFinite {
                    what: what.into(),
                    dimension: index % dims,
                });
            }
        }
        check_pairs(&mut covariance, dims)?;
        Ok(Self { mean, covariance })
    }

    /// The mean `[dims]`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The covariance `[dims, dims]`.
    pub fn covariance(&self) -> &[f64] {
        &self.covariance
    }

    fn dims(&self) -> usize {
        self.mean.len()
    }

    /// A factor F `[dims, rank]` of the covariance F F^T, and the trace of that product.
    fn factor(&self) -> Result<(Mat<f64>, f64), MetricsError> {
        let dims = self.dims();
        factor(MatRef::from_row_major_slice(&self.covariance, dims, dims))
    }
}

/// Requires that no variance is negative, and that no two features vary more together than each by
/// itself; by more than what single precision leaves of the largest variance.
fn check_pairs(covariance: &mut [f64], dims: usize) -> Result<(), MetricsError> {
    let variances: Vec<f64> = (0..dims).map(|row| covariance[row * dims + row]).collect();
    let rounding = single_rounding(dims) * variances.iter().copied().fold(0.0, f64::max);
    if let Some(feature) = variances.iter().position(|&variance| variance < -rounding) {
        let reason = format!("the variance of feature {feature} is negative");
        return Err(MetricsError::NoCovariance { reason });
    }
    for row in 0..dims {
        covariance[row * dims + row] = variances[row].max(0.0);
        for column in 0..row {
            let most = (variances[row].max(0.0) * variances[column].max(0.0)).sqrt();
            if covariance[row * dims + column].abs() > most + rounding {
                let reason =
                    format!("features {column} and {row} vary more together than each by itself");
                return Err(MetricsError::NoCovariance { reason });
            }
        }
    }
    Ok(())
}

impl TryFrom<(Vec<f64>, Vec<f64>)> for Gaussian {
    type Error = MetricsError;

    fn try_from((mean, covariance): (Vec<f64>, Vec<f64>)) -> Result<Self, MetricsError> {
        Self::new(mean, covariance)
    }
}

impl From<Gaussian> for (Vec<f64>, Vec<f64>) {
    fn from(gaussian: Gaussian) -> Self {
        (gaussian.mean, gaussian.covariance)
    }
}

/// The squared Fréchet distance |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2), in the
/// features' units squared.
///
/// The last trace is taken as the sum of the singular values of F1^T F2 where Si = Fi Fi^T, whose
/// squares are the eigenvalues of S1^1/2 S2 S1^1/2: the same number, without taking the root of
/// zeros that rounding disturbed, which costs half of the digits where covariances are singular.
///
/// # Errors
/// Where the two differ in dimensions, one is no covariance, a decomposition does not converge or the
/// distance is too large for a number.
pub fn frechet_distance(a: &Gaussian, b: &Gaussian) -> Result<f64, MetricsError> {
    if a.dims() != b.dims() {
        return Err(MetricsError::Dimensions {
            what: "the second distribution",
            expected: a.dims(),
            found: b.dims(),
        });
    }
    let (factor_a, trace_a) = a.factor()?;
    let (factor_b, trace_b) = b.factor()?;
    let product = factor_a.transpose() * factor_b;
    let cross = nuclear_norm(product.as_ref())?;
    let means: f64 = a
        .mean
        .iter()
        .zip(&b.mean)
        .map(|(a, b)| (a - b).powi(2))
        .sum();
    let distance = finite(
        "the Fréchet distance",
        means + trace_a + trace_b - 2.0 * cross,
    )?;
    // Rounding may bring that of equal distributions below.
    Ok(distance.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaussian(mean: &[f64], covariance: &[f64]) -> Gaussian {
        Gaussian::new(mean.to_vec(), covariance.to_vec()).unwrap()
    }

    #[test]
    fn diagonal_covariances_have_a_closed_form() {
        let a = gaussian(
            &[1.0, 2.0, 3.0],
            &[4.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.25],
        );
        let b = gaussian(
            &[0.0, 2.0, 5.0],
            &[1.0, 0.0, 0.0, 0.0, 16.0, 0.0, 0.0, 0.0, 0.0],
        );
        // |m1 - m2|^2 = 5, and (2-1)^2 + (3-4)^2 + (0.5-0)^2 of the deviations.
        assert!((frechet_distance(&a, &b).unwrap() - 7.25).abs() < 1e-12);
    }

    #[test]
    fn two_by_two_covariances_have_a_closed_form() {
        // tr (A B)^1/2 = (tr AB + 2 (det A det B)^1/2)^1/2 in two dimensions.
        let a = gaussian(&[0.0, 0.0], &[2.0, 0.5, 0.5, 1.0]);
        let b = gaussian(&[1.0, -1.0], &[1.0, -0.3, -0.3, 3.0]);
        let trace_of_product: f64 = 2.0 - 0.15 - 0.15 + 3.0;
        let determinants: f64 = 1.75 * 2.91;
        let cross = (trace_of_product + 2.0 * determinants.sqrt()).sqrt();
        let expected = 2.0 + 3.0 + 4.0 - 2.0 * cross;
        assert!((frechet_distance(&a, &b).unwrap() - expected).abs() < 1e-12);
        assert!((frechet_distance(&b, &a).unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn singular_covariances_lose_no_digits() {
        // Rank one: the root of a a^T b b^T has the trace |a . b|.
        let direction = |phase: f64| -> Vec<f64> {
            (0..48)
                .map(|i| 3.0 * (f64::from(i) * phase).sin())
                .collect()
        };
        let (a, b) = (direction(0.3), direction(0.35));
        let dot = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| x * y).sum() };
        let outer = |x: &[f64]| -> Vec<f64> {
            x.iter()
                .flat_map(|first| x.iter().map(move |second| first * second))
                .collect()
        };
        let expected = dot(&a, &a) + dot(&b, &b) - 2.0 * dot(&a, &b).abs();
        let mean = [0.0; 48];
        let found =
            frechet_distance(&gaussian(&mean, &outer(&a)), &gaussian(&mean, &outer(&b))).unwrap();
        // The root of a product's rounded zeros would be off by 1e-6.
        assert!(
            (found - expected).abs() < 1e-10,
            "{found} instead of {expected}"
        );
    }

    #[test]
    fn a_distribution_has_no_distance_to_itself() {
        // Rank 8 in 64 dimensions, the hard case, and full rank.
        for rank in [8, 64] {
            let factor: Vec<f64> = (0..64 * rank)
                .map(|i| ((i * i + 7 * i) as f64 * 0.37).sin())
                .collect();
            let row = |i: usize| &factor[i * rank..(i + 1) * rank];
            let covariance: Vec<f64> = (0..64 * 64)
                .map(|i| {
                    row(i / 64)
                        .iter()
                        .zip(row(i % 64))
                        .map(|(x, y)| x * y)
                        .sum()
                })
                .collect();
            let itself = gaussian(&[0.5; 64], &covariance);
            let distance = frechet_distance(&itself, &itself).unwrap();
            assert!((0.0..1e-8).contains(&distance), "rank {rank}: {distance:e}");
        }
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        let error = Gaussian::new(vec![0.0, f64::NAN], vec![1.0; 4]).unwrap_err();
        assert!(
            error.to_string().starts_with("a mean, dimension 1"),
            "{error}"
        );
        let error = Gaussian::new(vec![0.0; 2], vec![1.0, 0.0, f64::INFINITY, 1.0]).unwrap_err();
        assert!(
            error.to_string().starts_with("a covariance, dimension 0"),
            "{error}"
        );
        assert!(Gaussian::new(vec![0.0; 2], vec![1.0; 3]).is_err());
        let message = |covariance: &[f64]| {
            let error = Gaussian::new(vec![0.0; 2], covariance.to_vec()).unwrap_err();
            error.to_string()
        };
        assert_eq!(
            message(&[1.0, 0.0, 0.0, -0.1]),
            "the variance of feature 1 is negative: this is no covariance"
        );
        assert_eq!(
            message(&[1.0, 1.5, 1.5, 2.0]),
            "features 0 and 1 vary more together than each by itself: this is no covariance"
        );
        // What rounding leaves of a feature that does not vary.
        let constant = gaussian(&[0.0; 2], &[1.0, 1e-9, 1e-9, -1e-17]);
        assert_eq!(constant.covariance()[3], 0.0);
        let (one, two) = (gaussian(&[0.0], &[1.0]), gaussian(&[0.0; 2], &[1.0; 4]));
        assert!(frechet_distance(&one, &two).is_err());
    }

    #[test]
    fn features_that_go_together_in_no_way_have_no_distance() {
        // Every two could be: of each pair the correlation is -0.9. All three cannot.
        let covariance = [1.0, -0.9, -0.9, -0.9, 1.0, -0.9, -0.9, -0.9, 1.0];
        let none = gaussian(&[0.0; 3], &covariance);
        let error = frechet_distance(&none, &none).unwrap_err().to_string();
        assert!(error.contains("this is no covariance"), "{error}");
    }

    #[test]
    fn a_distance_beyond_all_numbers_is_an_error() {
        let far = gaussian(&[1e160], &[1.0]);
        let error = frechet_distance(&far, &gaussian(&[0.0], &[1.0])).unwrap_err();
        assert!(
            error.to_string().contains("is beyond all numbers"),
            "{error}"
        );
    }
}
