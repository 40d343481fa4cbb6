//! Resizing as two matrix products, one for each axis.
//!
//! Both filters here are linear along each axis, so that a matrix says all of them, and every device
//! multiplies matrices. Libraries for images have neither TensorFlow's first filter nor, on all
//! devices, Pillow's.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

/// The weights `[to, from]` with which pixels along an axis are summed up, row by row.
pub(super) type Weights = fn(from: usize, to: usize) -> Vec<f32>;

/// Resizes images to `side` x `side`.
///
/// # Shapes
/// `[batch, channels, height, width]` to `[batch, channels, side, side]`.
pub(super) fn resize<B: Backend>(
    images: Tensor<B, 4>,
    side: usize,
    weights: Weights,
) -> Tensor<B, 4> {
    let [batch, channels, height, width] = images.dims();
    let device = images.device();
    let matrix = |from| {
        let data = TensorData::new(weights(from, side), [1, side, from]);
        Tensor::<B, 3>::from_data(data, &device)
    };
    let rows = images.reshape([1, batch * channels * height, width]);
    let rows = rows.matmul(matrix(width).swap_dims(1, 2));
    let columns = rows.reshape([batch * channels, height, side]);
    let resized = matrix(height).matmul(columns);
    resized.reshape([batch, channels, side, side])
}

/// Pillow's `BICUBIC`, which widens its filter where images become smaller, against aliasing
/// (`precompute_coeffs` of its `Resample.c`).
pub(super) fn pillow_bicubic(from: usize, to: usize) -> Vec<f32> {
    let scale = from as f64 / to as f64;
    let widening = scale.max(1.0);
    let support = 2.0 * widening;
    let mut matrix = vec![0.0; to * from];
    for (index, row) in matrix.chunks_exact_mut(from).enumerate() {
        let centre = (index as f64 + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let weights: Vec<f64> = (first..end)
            .map(|pixel| cubic((pixel as f64 + 0.5 - centre) / widening))
            .collect();
        let sum: f64 = weights.iter().sum();
        for (place, weight) in row[first..end].iter_mut().zip(weights) {
            *place = (weight / sum) as f32;
        }
    }
    matrix
}

/// Keys' cubic filter with a = -1/2.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    match x.abs() {
        x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}

/// TensorFlow 1's `resize_bilinear`, which measures from the first pixel's corner instead of its
/// centre and has no filter against aliasing; in single precision, as it was published.
pub(super) fn tensorflow_bilinear(from: usize, to: usize) -> Vec<f32> {
    let scale = from as f32 / to as f32;
    let mut matrix = vec![0.0; to * from];
    for (index, row) in matrix.chunks_exact_mut(from).enumerate() {
        let position = index as f32 * scale;
        let first = (position as usize).min(from - 1);
        let along = position - first as f32;
        row[first] += 1.0 - along;
        row[(first + 1).min(from - 1)] += along;
    }
    matrix
}
