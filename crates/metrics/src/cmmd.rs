//! The CLIP maximum mean discrepancy (Jayasumana et al. 2024, arXiv 2401.09603, section 5).

use crate::error::finite;
use crate::gram::{sum_between, sum_within};
use crate::{Features, MetricsError};

/// Width sigma of the Gaussian kernel.
const SIGMA: f64 = 10.0;

/// What the published code multiplies the discrepancy by, for legible numbers.
const SCALE: f64 = 1000.0;

/// Whether rows are taken as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowLength {
    /// As they are.
    Kept,
    /// Divided by their length, as the published code does with CLIP's embeddings.
    Unit,
}

/// 1000 times the squared maximum mean discrepancy with the kernel exp(-|a - b|^2 / (2 * 10^2)),
/// in its biased form, which counts the pairs of a sample with itself.
///
/// # Errors
/// Where the features differ in number, a row that is to have length one consists of zeros, or values are
/// too large to be squared.
pub fn cmmd(
    real: &Features<'_>,
    generated: &Features<'_>,
    length: RowLength,
) -> Result<f64, MetricsError> {
    generated.same_dims(real)?;
    let lengths = |what: &'static str, set: &Features<'_>| {
        let squares = set.squared_lengths();
        if squares.iter().any(|square| !square.is_finite()) {
            return Err(MetricsError::Overflow {
                what: "a length that the maximum mean discrepancy needs",
            });
        }
        match squares.iter().position(|&square| square == 0.0) {
            Some(sample) if length == RowLength::Unit => {
                Err(MetricsError::ZeroRow { what, sample })
            }
            _ => Ok(squares),
        }
    };
    let real_squares = lengths("the real features", real)?;
    let generated_squares = lengths("the generated features", generated)?;
    // The squares of two lengths and the scalar product tell the distance.
    let kernel = |first: f64, second: f64, product: f64| {
        let distance = match length {
            RowLength::Kept => first + second - 2.0 * product,
            RowLength::Unit => 2.0 - 2.0 * product / (first * second).sqrt(),
        };
        (-distance.max(0.0) / (2.0 * SIGMA * SIGMA)).exp()
    };
    let within = |set: &Features<'_>, squares: &[f64]| {
        let samples = set.samples() as f64;
        let pairs = sum_within(set, |i, j, product| kernel(squares[i], squares[j], product));
        (2.0 * pairs + samples) / (samples * samples)
    };
    let between = sum_between(real, generated, |i, j, product| {
        kernel(real_squares[i], generated_squares[j], product)
    }) / (real.samples() as f64 * generated.samples() as f64);
    let discrepancy =
        within(real, &real_squares) + within(generated, &generated_squares) - 2.0 * between;
    // In exact numbers it is the length of a vector; rounding may bring that of equal sets below.
    Ok(finite("the maximum mean discrepancy", SCALE * discrepancy)?.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{on_threads, wave};

    fn found(real: &[f32], generated: &[f32], length: RowLength) -> Result<f64, MetricsError> {
        let features = |values| Features::new("features", values, 2);
        cmmd(&features(real)?, &features(generated)?, length)
    }

    #[test]
    fn small_sets_are_worked_out_by_hand() {
        // Squared distances: 100 within the real set, 25 and 125 between.
        let kernel = |squared_distance: f64| (-squared_distance / 200.0).exp();
        let within = (2.0 + 2.0 * kernel(100.0)) / 4.0;
        let between = (kernel(25.0) + kernel(125.0)) / 2.0;
        let expected = 1000.0 * (within + 1.0 - 2.0 * between);
        let real = [0.0, 0.0, 10.0, 0.0];
        let distance = found(&real, &[0.0, 5.0], RowLength::Kept).unwrap();
        assert!((distance - expected).abs() < 1e-10, "{distance}");
        // Of length one: (1, 0) and (0.6, 0.8), whose squared distance is 0.16 + 0.64.
        let expected = 1000.0 * (1.0 + 1.0 - 2.0 * kernel(0.8));
        let distance = found(&[10.0, 0.0], &[3.0, 4.0], RowLength::Unit).unwrap();
        assert!((distance - expected).abs() < 1e-10, "{distance}");
    }

    #[test]
    fn a_set_has_no_distance_to_itself_on_any_number_of_threads() {
        let (x, y) = (wave(600, 2, 0.0), wave(300, 2, 1.0));
        assert!((0.0..1e-9).contains(&found(&x, &x, RowLength::Kept).unwrap()));
        for length in [RowLength::Kept, RowLength::Unit] {
            let work = || found(&x, &y, length).unwrap();
            assert_eq!(on_threads(1, work), on_threads(3, work));
        }
    }

    #[test]
    fn a_row_of_zeros_has_no_direction() {
        let error = found(&[1.0, 0.0], &[1.0, 0.0, 0.0, 0.0], RowLength::Unit).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the generated features, sample 1: all values are zero, so that it cannot be brought \
             to length one; the network that made it is broken"
        );
        assert!(found(&[1.0, 0.0], &[0.0, 0.0], RowLength::Kept).is_ok());
    }

    #[test]
    fn values_too_large_to_be_squared_are_an_error() {
        let values = vec![1e200, 1.0];
        let set = Features::new("features", &values, 2).unwrap();
        for length in [RowLength::Kept, RowLength::Unit] {
            let error = cmmd(&set, &set, length).unwrap_err().to_string();
            assert!(error.contains("beyond all numbers"), "{error}");
        }
    }
}
