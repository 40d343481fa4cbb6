//! Features of a set of samples, as the metrics read them.

use std::ops::Range;

use crate::MetricsError;

/// Features of at least one sample, row by row, all of them finite.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    values: &'a [f32],
    dims: usize,
}

impl<'a> Features<'a> {
    /// Views `values` `[samples, dims]`; `what` names them in errors, as in "the real features".
    ///
    /// # Errors
    /// Where there is no sample, the values are no whole number of rows, or one is not finite.
    pub fn new(what: &'static str, values: &'a [f32], dims: usize) -> Result<Self, MetricsError> {
        if dims == 0 || !values.len().is_multiple_of(dims) {
            return Err(MetricsError::Rows {
                values: values.len(),
                dims,
            });
        }
        let features = Self { values, dims };
        features.at_least(1, what)?;
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
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

    /// All values, row by row.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Some of the samples in double precision, row by row.
    pub(crate) fn block(&self, samples: Range<usize>) -> Vec<f64> {
        let values = &self.values[samples.start * self.dims..samples.end * self.dims];
        values.iter().map(|&value| value.into()).collect()
    }

    /// The square of each sample's length.
    pub(crate) fn squared_lengths(&self) -> Vec<f64> {
        let rows = self.values.chunks_exact(self.dims);
        rows.map(|row| row.iter().map(|&value| f64::from(value).powi(2)).sum())
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
        assert!(Features::new("", &[], 0).is_err());
    }

    #[test]
    fn blocks_cover_all_samples_once() {
        let all: Vec<_> = blocks(7, 3).collect();
        assert_eq!(all, [0..3, 3..6, 6..7]);
        assert_eq!(blocks(6, 3).count(), 2);
    }
}
