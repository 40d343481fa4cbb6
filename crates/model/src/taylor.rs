//! Forecasts of hidden states by finite differences.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::bytes_per_row;
use crate::rows::{RowSplit, rows_of};

/// Taylor factors of a value `[batch, tokens, width]` over evaluations, as TaylorSeer has them
/// (Liu et al. 2025, arXiv 2503.06923): `F_0` is the value and `F_(i+1) = (F_i - F_i before) / (s - p)`
/// for the evaluations `s` and `p` in which it was computed last and before.
#[derive(Clone, Debug)]
pub(crate) struct TaylorFactors<B: Backend> {
    /// `F_0`, `F_1`, ... `[batch, tokens, width]`; zero where a sample was not computed often enough.
    factors: Vec<Tensor<B, 3>>,
    /// For each sample how often it was computed,
    count: Vec<usize>,
    /// and in which evaluation the last time.
    last: Vec<usize>,
}

impl<B: Backend> TaylorFactors<B> {
    /// Of a value that is computed for the first time, in evaluation `now`.
    pub fn new(value: Tensor<B, 3>, order: usize, now: usize) -> Self {
        let [batch, ..] = value.dims();
        let mut factors = vec![value.zeros_like(); order + 1];
        factors[0] = value;
        Self {
            factors,
            count: vec![1; batch],
            last: vec![now; batch],
        }
    }

    /// Enters the `value` `[full rows, tokens, width]` that was computed in evaluation `now` for the full
    /// rows of `split`.
    pub fn update(&mut self, split: &RowSplit, value: Tensor<B, 3>, now: usize) {
        let rows = &split.full;
        let mut new = value;
        for order in 0..self.factors.len() {
            let old = rows_of(&self.factors[order], rows);
            let slope = (new.clone() - old).mul(column(rows, &new, |row| {
                let known = order < self.count[row];
                if known {
                    1.0 / (now - self.last[row]) as f64
                } else {
                    0.0
                }
            }));
            self.factors[order] = split.replace(&self.factors[order], new);
            new = slope;
        }
        for &row in rows {
            self.count[row] += 1;
            self.last[row] = now;
        }
    }

    /// `sum_i F_i k^i / i!` `[rows, tokens, width]` for samples `k` evaluations after the one in which
    /// they were computed last.
    pub fn forecast(&self, rows: &[usize], now: usize) -> Tensor<B, 3> {
        let mut forecast = rows_of(&self.factors[0], rows);
        let mut factorial = 1.0;
        for (order, factor) in self.factors.iter().enumerate().skip(1) {
            factorial *= order as f64;
            let factor = rows_of(factor, rows);
            let weight = column(rows, &factor, |row| {
                ((now - self.last[row]) as f64).powi(order as i32) / factorial
            });
            forecast = forecast + factor * weight;
        }
        forecast
    }

    /// Bytes that are kept of a sample.
    pub fn bytes_per_sample(&self) -> usize {
        self.factors.iter().map(bytes_per_row).sum()
    }
}

/// A number for each of `rows` `[rows, 1, 1]`, of the type of `like`.
fn column<B: Backend>(
    rows: &[usize],
    like: &Tensor<B, 3>,
    number: impl Fn(usize) -> f64,
) -> Tensor<B, 3> {
    let numbers: Vec<f32> = rows.iter().map(|&row| number(row) as f32).collect();
    let numbers = TensorData::new(numbers, [rows.len(), 1, 1]);
    Tensor::<B, 3>::from_data(numbers, &like.device()).cast(like.dtype())
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn_flex::Flex;

    use super::*;
    use crate::testing::values;

    fn constant<const ROWS: usize>(numbers: [f32; ROWS]) -> Tensor<Flex, 3> {
        Tensor::from_data(
            TensorData::new(numbers.to_vec(), [ROWS, 1, 1]),
            &Default::default(),
        )
    }

    #[test]
    fn differences_are_taken_over_each_samples_own_evaluations() {
        println!("device: flex");
        let mut factors = TaylorFactors::new(constant([1.0, 10.0]), 2, 0);
        let all = RowSplit::new(&[true, true]);
        factors.update(&all, constant([3.0, 10.0]), 1);
        // The second sample is computed two evaluations later, the first is not.
        let second = RowSplit::new(&[false, true]);
        factors.update(&second, constant([16.0]), 3);
        // F_0 = 3, F_1 = 2 of evaluation 1; and 16, 3, (3 - 0) / 2 of evaluation 3.
        assert_eq!(
            values(factors.forecast(&[0, 1], 4)),
            [3.0 + 2.0 * 3.0, 16.0 + 3.0 + 1.5 / 2.0]
        );
        assert_eq!(
            values(factors.forecast(&[1], 5)),
            [16.0 + 3.0 * 2.0 + 1.5 * 4.0 / 2.0]
        );
    }

    #[test]
    fn a_polynomial_needs_as_many_evaluations_as_its_order_and_one() {
        println!("device: flex");
        let mut factors = TaylorFactors::new(constant([1.0]), 3, 0);
        let all = RowSplit::new(&[true]);
        // Of one evaluation nothing but the value is known.
        assert_eq!(values(factors.forecast(&[0], 7)), [1.0]);
        factors.update(&all, constant([3.0]), 1);
        assert_eq!(values(factors.forecast(&[0], 5)), [11.0]);
    }
}
