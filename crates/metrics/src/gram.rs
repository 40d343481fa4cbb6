//! Sums over all pairs of samples of a function of their scalar product, a block of pairs at a time.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;

use crate::Features;
use crate::features::blocks;

/// Samples in a block. Every thread holds two of them and the products of their pairs.
const BLOCK: usize = 256;

/// The sum of `kernel(i, j, x_i . y_j)` over all pairs of a sample of `x` and one of `y`.
///
/// Sums are taken within blocks and then over them in order, so that the result does not depend
/// on the number of threads.
pub(crate) fn sum_between(
    x: &Features<'_>,
    y: &Features<'_>,
    kernel: impl Fn(usize, usize, f64) -> f64 + Sync,
) -> f64 {
    let pairs: Vec<_> = blocks(x.samples(), BLOCK)
        .flat_map(|rows| blocks(y.samples(), BLOCK).map(move |columns| (rows.clone(), columns)))
        .collect();
    sum(&pairs, x, y, |row, column, product| {
        kernel(row, column, product)
    })
}

/// The sum of `kernel(i, j, x_i . x_j)` over all pairs of two samples, each pair taken once.
pub(crate) fn sum_within(
    x: &Features<'_>,
    kernel: impl Fn(usize, usize, f64) -> f64 + Sync,
) -> f64 {
    let pairs: Vec<_> = blocks(x.samples(), BLOCK)
        .flat_map(|rows| {
            let columns = blocks(rows.end, BLOCK);
            columns.map(move |columns| (rows.clone(), columns))
        })
        .collect();
    sum(&pairs, x, x, |row, column, product| {
        if column < row {
            kernel(row, column, product)
        } else {
            0.0
        }
    })
}

fn sum(
    pairs: &[(Range<usize>, Range<usize>)],
    x: &Features<'_>,
    y: &Features<'_>,
    kernel: impl Fn(usize, usize, f64) -> f64 + Sync,
) -> f64 {
    let sums: Vec<f64> = pairs
        .par_iter()
        .map(|(rows, columns)| {
            let products = products(x, rows.clone(), y, columns.clone());
            let mut sum = 0.0;
            for column in 0..columns.len() {
                for row in 0..rows.len() {
                    let product = products[(row, column)];
                    sum += kernel(rows.start + row, columns.start + column, product);
                }
            }
            sum
        })
        .collect();
    sums.iter().sum()
}

/// The scalar products of every row with every column.
fn products(
    x: &Features<'_>,
    rows: Range<usize>,
    y: &Features<'_>,
    columns: Range<usize>,
) -> Mat<f64> {
    let mut products = Mat::zeros(rows.len(), columns.len());
    let (left, right) = (x.block(rows.clone()), y.block(columns.clone()));
    matmul(
        &mut products,
        Accum::Replace,
        MatRef::from_row_major_slice(&left, rows.len(), x.dims()),
        MatRef::from_row_major_slice(&right, columns.len(), y.dims()).transpose(),
        1.0,
        // Blocks are what threads share out.
        Par::Seq,
    );
    products
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{on_threads, wave};

    #[test]
    fn blocks_add_up_to_all_pairs() {
        // Neither a multiple of a block nor within one.
        let (x, y) = (wave(2 * BLOCK + 9, 3, 0.3), wave(BLOCK + 4, 3, 0.7));
        let rows = |values: &[f32]| -> Vec<[f64; 3]> {
            let rows = values.as_chunks::<3>().0.iter();
            rows.map(|row| row.map(f64::from)).collect()
        };
        let kernel = |i: usize, j: usize, product: f64| product * product + (i * 3 + j) as f64;
        let product = |a: &[f64; 3], b: &[f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
        let mut expected = [0.0; 2];
        for (i, a) in rows(&x).iter().enumerate() {
            for (j, b) in rows(&y).iter().enumerate() {
                expected[0] += kernel(i, j, product(a, b));
            }
            for (j, b) in rows(&x).iter().enumerate().take(i) {
                expected[1] += kernel(i, j, product(a, b));
            }
        }
        let x = Features::new("x", &x, 3).unwrap();
        let y = Features::new("y", &y, 3).unwrap();
        let sums = || [sum_between(&x, &y, kernel), sum_within(&x, kernel)];
        for (found, expected) in sums().iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-13);
        }
        assert_eq!(on_threads(1, sums), on_threads(3, sums));
    }
}
