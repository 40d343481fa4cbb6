//! Samples of a batch for which different work is done.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::gather;

/// Over which samples one decision to skip work is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionScope {
    /// Every sample decides for itself, so that its result does not depend on its batch. With guidance
    /// its two predictions decide together.
    Sample,
    /// All samples of a batch decide together, as in published code.
    Batch,
}

impl DecisionScope {
    /// What each row of a batch decides by: the mean of `values`, one a row, over those that decide
    /// together. With `pairs` both halves of the batch are the same samples.
    pub(crate) fn means(self, values: Vec<f64>, pairs: bool) -> Vec<f64> {
        let rows = values.len();
        let apart = match self {
            Self::Batch => 1,
            Self::Sample if pairs => rows / 2,
            Self::Sample => return values,
        };
        let mean = |row: usize| {
            let together = values.iter().skip(row % apart).step_by(apart);
            together.sum::<f64>() / (rows / apart) as f64
        };
        (0..rows).map(mean).collect()
    }
}

/// The rows of a batch in two parts: those that are computed in full, and the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowSplit {
    /// Ascending.
    pub full: Vec<usize>,
    /// Ascending.
    pub rest: Vec<usize>,
}

impl RowSplit {
    pub fn new(full: &[bool]) -> Self {
        let (full, rest) = (0..full.len()).partition(|&row| full[row]);
        Self { full, rest }
    }

    /// The rows of both parts in the batch's order. `parts` are those of the full part and the others, of
    /// which one is missing where it has no rows.
    pub fn join<B: Backend, const D: usize>(&self, mut parts: Vec<Tensor<B, D>>) -> Tensor<B, D> {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let mut position = vec![0; self.full.len() + self.rest.len()];
        for (place, &row) in self.full.iter().chain(&self.rest).enumerate() {
            position[row] = place;
        }
        gather(Tensor::cat(parts, 0), &position)
    }

    /// `old` `[batch, ..]` with the rows of the full part replaced by `new`.
    pub fn replace<B: Backend, const D: usize>(
        &self,
        old: &Tensor<B, D>,
        new: Tensor<B, D>,
    ) -> Tensor<B, D> {
        let mut parts = vec![new];
        if !self.rest.is_empty() {
            parts.push(rows_of(old, &self.rest));
        }
        self.join(parts)
    }
}

/// The rows of a tensor at ascending `rows`: the tensor itself where these are all.
pub(crate) fn rows_of<B: Backend, const D: usize>(
    tensor: &Tensor<B, D>,
    rows: &[usize],
) -> Tensor<B, D> {
    if tensor.dims()[0] == rows.len() {
        tensor.clone()
    } else {
        gather(tensor.clone(), rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_decide_together_have_one_mean() {
        let values = || vec![1.0, 2.0, 3.0, 6.0];
        let sample = DecisionScope::Sample;
        assert_eq!(sample.means(values(), false), values());
        assert_eq!(sample.means(values(), true), [2.0, 4.0, 2.0, 4.0]);
        assert_eq!(DecisionScope::Batch.means(values(), true), [3.0; 4]);
    }
}
