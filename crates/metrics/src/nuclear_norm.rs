//! The sum of a matrix's singular values.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, MatRef, Side, get_global_parallelism};

use crate::MetricsError;

/// Of the sum, by a bound that real errors stay far under. Distances, which are differences of such
/// sums, keep six digits where they are a hundredth of them.
const TOLERANCE: f64 = 1e-8;

/// The sum of the singular values of `matrix`.
///
/// They are the roots of the eigenvalues of its Gram matrix, which are found three times as fast
/// but have lost half of the digits of those that are small beside the largest. Where that shows,
/// the singular values are computed themselves.
///
/// # Errors
/// Where a decomposition does not converge.
pub(crate) fn nuclear_norm(matrix: MatRef<'_, f64>) -> Result<f64, MetricsError> {
    let dims = matrix.nrows().max(matrix.ncols());
    if let Some((sum, error)) = by_gram(matrix)
        && error <= TOLERANCE * sum
    {
        return Ok(sum);
    }
    let singular_values = matrix
        .singular_values()
        .map_err(|_| MetricsError::Decomposition { dims })?;
    Ok(singular_values.iter().sum())
}

/// The sum by way of the Gram matrix and how far rounding may have moved it.
fn by_gram(matrix: MatRef<'_, f64>) -> Option<(f64, f64)> {
    let tall = if matrix.nrows() < matrix.ncols() {
        matrix.transpose()
    } else {
        matrix
    };
    let side = tall.ncols();
    let mut gram = Mat::zeros(side, side);
    matmul(
        gram.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Replace,
        tall.transpose(),
        BlockStructure::Rectangular,
        tall,
        BlockStructure::Rectangular,
        1.0,
        get_global_parallelism(),
    );
    let eigenvalues = gram.self_adjoint_eigenvalues(Side::Lower).ok()?;
    let largest = eigenvalues.iter().copied().fold(0.0, f64::max);
    // Of an eigenvalue, by a few roundings of the largest (Golub & Van Loan, section 8.1).
    let moved = 8.0 * f64::EPSILON * largest;
    let (mut sum, mut error) = (0.0, 0.0);
    for value in eigenvalues {
        let value = value.max(0.0);
        sum += value.sqrt();
        error += moved / (value.sqrt() + moved.sqrt());
    }
    Some((sum, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// U s V^T with orthogonal U `[40, n]` and V `[n, n]` of a Householder reflection each.
    fn with_singular_values(values: &[f64]) -> Mat<f64> {
        let reflection = |side: usize, phase: f64| {
            let axis = Mat::from_fn(side, 1, |i, _| (i as f64 * 0.7 + phase).sin());
            let scale = 2.0 / axis.squared_norm_l2();
            Mat::<f64>::identity(side, side) - &axis * axis.transpose() * scale
        };
        let n = values.len();
        let spread = Mat::from_fn(40, n, |i, j| if i == j { values[j] } else { 0.0 });
        reflection(40, 0.3) * spread * reflection(n, 1.1)
    }

    #[test]
    fn singular_values_of_every_size_add_up() {
        let alike: Vec<f64> = (0..30).map(|i| 1.0 + f64::from(i)).collect();
        // From 1 to 1e-12: the roots of a Gram matrix's eigenvalues would be off by 1e-8.
        let falling: Vec<f64> = (0..25).map(|i| 10f64.powf(-0.5 * f64::from(i))).collect();
        let singular = [3.0, 2.0, 0.0, 0.0, 0.0];
        for values in [&alike[..], &falling, &singular, &[0.0; 4]] {
            let matrix = with_singular_values(values);
            let expected: f64 = values.iter().sum();
            for matrix in [matrix.as_ref(), matrix.transpose()] {
                let found = nuclear_norm(matrix).unwrap();
                assert!(
                    (found - expected).abs() <= 1e-13 * expected,
                    "{found} instead of {expected}"
                );
            }
        }
    }

    #[test]
    fn the_short_way_says_how_far_it_is_off() {
        let alike: Vec<f64> = (0..30).map(|i| 1.0 + f64::from(i)).collect();
        let falling: Vec<f64> = (0..25).map(|i| 10f64.powf(-0.5 * f64::from(i))).collect();
        for (values, suffices) in [(alike, true), (falling, false)] {
            let expected: f64 = values.iter().sum();
            let (sum, error) = by_gram(with_singular_values(&values).as_ref()).unwrap();
            assert!((sum - expected).abs() <= error, "{sum}, {error}");
            assert_eq!(error <= TOLERANCE * sum, suffices, "{error}");
        }
    }
}
