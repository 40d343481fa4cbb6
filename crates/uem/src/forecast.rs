//! What the blocks that a sample does not run would have added, told from earlier evaluations.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

/// What is added to the hidden state `h_k` of a sample that leaves after block k, in place of the blocks that
/// it does not run: `coefficient` times a forecast of `h_L - h_k`, made of the differences that were kept
/// when this sample last ran to the end. The last block's head decodes the sum.
///
/// A sample that nothing was kept of runs to the end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forecast {
    /// The degree of the polynomial over time through the last differences: 0 is the last one itself, 1
    /// the line through the last two. Where fewer are kept it is lower.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: usize,
    /// A factor; where it is 0 the exit is one without forecast.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub coefficient: f32,
    /// Blocks at the end of the network that are run after all, on the forecast of what the last of the skipped
    /// blocks would give them. Not more than ran before, so that their long skips are there.
    #[serde(default, skip_serializing_if = "is_default")]
    pub last_blocks: usize,
    /// Evaluations in a row, at most, in which a sample does not run to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest: Option<NonZeroUsize>,
}

/// What a sample that runs to the end keeps of the state after a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The order of the forecasts to come, which need one difference more than that.
    pub order: usize,
    /// [`Forecast::last_blocks`] of them.
    pub last_blocks: usize,
    /// Whether [`ExitSignal::Movement`](crate::ExitSignal::Movement) will be asked for.
    pub movement: bool,
}

impl Default for Forecast {
    /// The last difference as it is.
    fn default() -> Self {
        Self {
            order: 0,
            coefficient: 1.0,
            last_blocks: 0,
            longest: None,
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn one() -> f32 {
    1.0
}

fn is_one(value: &f32) -> bool {
    *value == 1.0
}

/// The weights of values at different `times` in the value at `now` of the polynomial through them
/// (Lagrange's).
pub(crate) fn extrapolation(times: &[f64], now: f64) -> Vec<f64> {
    let weight = |place: usize| {
        let others = times
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != place);
        let factors = others.map(|(_, other)| (now - other) / (times[place] - other));
        factors.product()
    };
    (0..times.len()).map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_extrapolated_exactly() {
        assert_eq!(extrapolation(&[3.0], 7.0), [1.0]);
        assert_eq!(extrapolation(&[2.0, 1.0], 4.0), [3.0, -2.0]);
        let weights = extrapolation(&[3.0, 1.0, 0.0], 5.0);
        let square = weights[0] * 9.0 + weights[1] * 1.0;
        assert!((square - 25.0).abs() < 1e-12, "{weights:?}");
    }
}
