//! Features of a set of samples, as the metrics read them.

use std::ops::Range;

use crate::MetricsError;

/// Features of at least one sample, row by row, all of them finite.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    values: Values<'a>,
    dims: usize,
}

/// Numbers as they are stored. Networks give single precision; what another program computed in double
/// precision stays so.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// 32 bits each.
    Single(&'a [f32]),
    /// 64 bits each.
    Double(&'a [f64]),
}

impl<'a> From<&'a [f32]> for Values<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::Single(values)
    }
}

impl<'a> From<&'a [f64]> for Values<'a> {
    fn from(values: &'a [f64]) -> Self {
        Self::Double(values)
    }
}

impl<'a> From<&'a Vec<f32>> for Values<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Self::Single(values)
    }
}

impl<'a> From<&'a Vec<f64>> for Values<'a> {
    fn from(values: &'a Vec<f64>) -> Self {
        Self::Double(values)
    }
}

impl Values<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Single(values) => values.len(),
            Self::Double(values) => values.len(),
        }
    }

    /// Some of the values in double precision.
    fn range(&self, range: Range<usize>) -> Vec<f64> {
        match self {
            Self::Single(values) => values[range].iter().map(|&value| value.into()).collect(),
            Self::Double(values) => values[range].to_vec(),
        }
    }

    fn first_not_finite(&self) -> Option<usize> {
        match self {
            Self::Single(values) => values.iter().position(|value| !value.is_finite()),
            Self::Double(values) => values.iter().position(|value| !value.is_finite()),
        }
    }
}

impl<'a> Features<'a> {
    /// Views `values` `[samples, dims]`; `what` names them in errors, as in "the real features".
    ///
    /// # Errors
    /// Where there is no sample, the values are no whole number of rows, or one is not finite.
    pub fn new(
        what: &'static str,
        values: impl Into<Values<'a>>,
        dims: usize,
    ) -> Result<Self, MetricsError> {
        let values = values.into();
        if dims == 0 || !values.len().is_multiple_of(dims) {
            return Err(MetricsError::Rows {
                values: values.len(),
                dims,
            });
        }
        let features = Self { values, dims };
        features.at_least(1, what)?;
        if let Some(index) = values.first_not_finite() {
            return Err(MetricsError::NotFinite {
                what: format!("{what}, sample {}", index / dims),
                dimension: index % dims,
            });
        }
        Ok(features)
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.values.len() / self.dims
    }

    /// Features of each sample.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Some of the samples in double precision, row by row.
    pub(crate) fn block(&self, samples: Range<usize>) -> Vec<f64> {
        self.values
            .range(samples.start * self.dims..samples.end * self.dims)
    }

    /// One sample after the other, in double precision.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Vec<f64>> {
        (0..self.samples()).map(|sample| self.block(sample..sample + 1))
    }

    /// The square of each sample's length.
    pub(crate) fn squared_lengths(&self) -> Vec<f64> {
        self.rows()
            .map(|row| row.iter().map(|value| value.powi(2)).sum())
            .collect()
    }

    /// Requires a number of samples, of which `what` says what needs them.
    pub(crate) fn at_least(&self, needed: usize, what: &'static str) -> Result<(), MetricsError> {
        match self.samples() {
            found if found < needed => Err(MetricsError::Samples {
                what,
                needed,
                found,
            }),
            _ => Ok(()),
        }
    }

    /// Requires as many features as those of the real samples.
    pub(crate) fn same_dims(&self, real: &Self) -> Result<(), MetricsError> {
        if self.dims != real.dims {
            return Err(MetricsError::Dimensions {
                what: "the generated features",
                expected: real.dims,
                found: self.dims,
            });
        }
        Ok(())
    }
}

/// The samples from 0 to `samples` in runs of `length`.
pub(crate) fn blocks(samples: usize, length: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    (0..samples)
        .step_by(length)
        .map(move |start| start..samples.min(start + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_set_of_samples_is_refused() {
        let message = |values: &[f32], dims| {
            let error = Features::new("the real features", values, dims).unwrap_err();
            error.to_string()
        };
        assert_eq!(
            message(&[0.0, 1.0, 2.0, f32::NAN], 2),
            "the real features, sample 1, dimension 1: the value is not finite; the samples or \
             the network that made it are broken"
        );
        assert_eq!(
            message(&[0.0; 5], 2),
            "5 values are no whole number of rows of 2 features"
        );
        assert_eq!(
            message(&[], 2),
            "the real features: at least 1 samples are needed, found 0"
        );
        assert!(Features::new("", &[] as &[f32], 0).is_err());
    }

    #[test]
    fn double_precision_stays() {
        let values = vec![1e8 + 0.125, 1e300];
        let features = Features::new("", &values, 1).unwrap();
        assert_eq!(features.block(0..2), values);
        assert!(Features::new("", &vec![f64::NAN], 1).is_err());
    }

    #[test]
    fn blocks_cover_all_samples_once() {
        let all: Vec<_> = blocks(7, 3).collect();
        assert_eq!(all, [0..3, 3..6, 6..7]);
        assert_eq!(blocks(6, 3).count(), 2);
    }
}
