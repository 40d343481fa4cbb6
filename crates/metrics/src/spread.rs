//! Mean and spread of repeated estimates.

use serde::{Deserialize, Serialize};

/// Mean and standard deviation of repeated estimates, the latter divided by their number, as
/// published scores have it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub std: f64,
}

impl Spread {
    /// That of `estimates`, of which there is at least one.
    pub(crate) fn from_estimates(estimates: &[f64]) -> Self {
        let count = estimates.len() as f64;
        let mean = estimates.iter().sum::<f64>() / count;
        let squares: f64 = estimates.iter().map(|value| (value - mean).powi(2)).sum();
        Self {
            mean,
            std: (squares / count).sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_deviation_is_that_of_the_estimates_themselves() {
        // Squared deviations 9, 1, 1, 9 over 4.
        let spread = Spread::from_estimates(&[1.0, 3.0, 5.0, 7.0]);
        assert_eq!((spread.mean, spread.std), (4.0, 5.0_f64.sqrt()));
    }
}
