//! A covariance as the product of a factor and its transpose.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt_pivoting::factor as pivoted_cholesky;
use faer::{Mat, MatRef, Side};

use crate::MetricsError;

/// A factor F `[dims, rank]` of a covariance F F^T `[dims, dims]`, of which the lower triangle is
/// read, and the trace of that product.
///
/// A pivoted Cholesky decomposition, which costs a eighth of an eigen-decomposition and ends at the
/// covariance's rank. Statistics that were rounded, such as those stored in single precision, may
/// have negative eigenvalues, which it cannot factor: theirs are taken as zero.
///
/// # Errors
/// Where the covariance is not finite enough to be decomposed, or none: with eigenvalues so far below
/// zero as rounding cannot bring them.
pub(crate) fn factor(covariance: MatRef<'_, f64>) -> Result<(Mat<f64>, f64), MetricsError> {
    let dims = covariance.nrows();
    let trace: f64 = covariance.diagonal().column_vector().iter().sum();
    if let Some(factor) = cholesky(covariance) {
        let kept = factor.squared_norm_l2();
        // What is left out of a covariance is not negative.
        if kept - trace <= rounding(dims) * trace {
            return Ok((factor, kept));
        }
    }
    eigenvectors(covariance)
}

/// What single precision may leave of an eigenvalue of zero, relative to the largest: statistics are
/// stored in it.
pub(crate) fn single_rounding(dims: usize) -> f64 {
    dims as f64 * f64::from(f32::EPSILON)
}

/// What rounding leaves of a zero, relative to the largest values around it.
fn rounding(dims: usize) -> f64 {
    dims as f64 * f64::EPSILON
}

/// P^T L of the decomposition P S P^T = L L^T, or nothing where a variance is negative.
fn cholesky(covariance: MatRef<'_, f64>) -> Option<Mat<f64>> {
    let dims = covariance.nrows();
    let parallelism = faer::get_global_parallelism();
    let mut lower = covariance.to_owned();
    let (mut order, mut inverse) = (vec![0; dims], vec![0; dims]);
    let scratch = pivoted_cholesky::cholesky_in_place_scratch::<usize, f64>(
        dims,
        parallelism,
        Default::default(),
    );
    let (info, _) = pivoted_cholesky::cholesky_in_place(
        lower.as_mut(),
        &mut order,
        &mut inverse,
        parallelism,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .ok()?;
    let factor = Mat::from_fn(dims, info.rank, |row, column| {
        let row = inverse[row];
        if row >= column {
            lower[(row, column)]
        } else {
            0.0
        }
    });
    // What is left out does not vary; so it goes together with nothing.
    let rest = &order[info.rank..];
    let rows = Mat::from_fn(rest.len(), info.rank, |row, column| {
        factor[(rest[row], column)]
    });
    let products = &rows * rows.transpose();
    let largest = covariance
        .diagonal()
        .column_vector()
        .iter()
        .copied()
        .fold(0.0, f64::max);
    let is_nothing_left = (0..rest.len()).all(|row| {
        (0..row).all(|column| {
            let (high, low) = (rest[row].max(rest[column]), rest[row].min(rest[column]));
            let left = covariance[(high, low)] - products[(row, column)];
            left.abs() <= single_rounding(dims) * largest
        })
    });
    is_nothing_left.then_some(factor)
}

/// U s^1/2 of the decomposition U s U^T and the trace of s. Eigenvalues that rounding cannot tell
/// from zero are taken as zero: the root of such a rest would not be small.
fn eigenvectors(covariance: MatRef<'_, f64>) -> Result<(Mat<f64>, f64), MetricsError> {
    let dims = covariance.nrows();
    let decomposition = covariance
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| MetricsError::Decomposition { dims })?;
    let values = decomposition.S().column_vector();
    let largest = values.iter().copied().fold(0.0, f64::max);
    let smallest = values.iter().copied().fold(0.0, f64::min);
    if smallest < -single_rounding(dims) * largest {
        let reason = format!("along one direction the variance is {smallest:.3e}");
        return Err(MetricsError::NoCovariance { reason });
    }
    let values: Vec<f64> = values
        .iter()
        .map(|&value| {
            if value > rounding(dims) * largest {
                value
            } else {
                0.0
            }
        })
        .collect();
    let vectors = decomposition.U();
    let factor = Mat::from_fn(dims, dims, |row, column| {
        vectors[(row, column)] * values[column].sqrt()
    });
    Ok((factor, values.iter().sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIMS: usize = 300;

    /// A covariance of the given rank, larger than one panel of the decomposition.
    fn covariance(rank: usize) -> Mat<f64> {
        let factor = Mat::from_fn(DIMS, rank, |i, j| {
            ((i * i + 7 * i + 13 * j * (i + 1)) as f64 * 0.37).sin()
        });
        &factor * factor.transpose()
    }

    fn error(factor: &Mat<f64>, covariance: &Mat<f64>) -> f64 {
        (factor * factor.transpose() - covariance).norm_max() / covariance.norm_max()
    }

    #[test]
    fn a_factor_has_the_rank_of_its_covariance() {
        for rank in [1, 40, 200, DIMS] {
            let covariance = covariance(rank);
            let (factor, trace) = factor(covariance.as_ref()).unwrap();
            assert_eq!((factor.nrows(), factor.ncols()), (DIMS, rank));
            assert!(error(&factor, &covariance) < 1e-13, "rank {rank}");
            let expected: f64 = covariance.diagonal().column_vector().iter().sum();
            assert!((trace / expected - 1.0).abs() < 1e-13, "rank {rank}");
        }
    }

    #[test]
    fn the_upper_triangle_is_not_read() {
        let mut covariance = covariance(40);
        let (whole, _) = factor(covariance.as_ref()).unwrap();
        for column in 1..DIMS {
            for row in 0..column {
                covariance[(row, column)] = f64::NAN;
            }
        }
        let (lower, _) = factor(covariance.as_ref()).unwrap();
        assert_eq!((lower - whole).norm_max(), 0.0);
    }

    #[test]
    fn eigenvalues_below_zero_by_rounding_are_zero_and_others_refused() {
        // Single precision: zeros become a noise of both signs.
        let covariance = covariance(40);
        let rounded = Mat::from_fn(DIMS, DIMS, |i, j| f64::from(covariance[(i, j)] as f32));
        let (factor, _) = factor(rounded.as_ref()).unwrap();
        assert!(error(&factor, &covariance) < 1e-6);

        let negative = Mat::from_fn(2, 2, |i, j| if i == j { [4.0, -1.0][i] } else { 0.0 });
        let error = super::factor(negative.as_ref()).unwrap_err().to_string();
        assert!(error.contains("the variance is -1.000e0"), "{error}");
        // Where what varies was found, two features are left that go together but do not vary.
        let left = Mat::from_fn(3, 3, |i, j| {
            [[1.0, 0.0, 0.0], [0.0, 0.0, 0.5], [0.0, 0.5, 0.0]][i][j]
        });
        let error = super::factor(left.as_ref()).unwrap_err().to_string();
        assert!(error.contains("the variance is -5.000e-1"), "{error}");
    }
}
