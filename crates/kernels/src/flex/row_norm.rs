//! Layer normalisation in one pass over each row, forward and backward.

use std::mem::MaybeUninit;

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use multiversion::multiversion;
use rayon::prelude::*;

use super::{Elements, tensor_from, written};

/// Rows that one task handles. Fixed, so that sums over rows do not depend on the thread count.
const ROWS: usize = 64;

pub(super) fn forward(
    x: FlexTensor,
    scale: FlexTensor,
    shift: FlexTensor,
    epsilon: f32,
) -> FlexTensor {
    let shape = x.shape();
    let (x, scale, shift) = (Elements::new(x), Elements::new(scale), Elements::new(shift));
    let (x, scale, shift) = (x.slice(), scale.slice(), shift.slice());
    for values in [scale, shift] {
        assert_eq!(
            Some(&values.len()),
            shape.last(),
            "a norm as wide as its rows"
        );
    }
    let chunk = ROWS * scale.len();
    // SAFETY: `forward_rows` sets every element of every chunk.
    let values = unsafe {
        written(x.len(), |out| {
            out.par_chunks_mut(chunk)
                .zip(x.par_chunks(chunk))
                .for_each(|(out, x)| forward_rows(x, scale, shift, epsilon, out));
        })
    };
    tensor_from(values, shape)
}

pub(super) fn backward(
    x: FlexTensor,
    scale: FlexTensor,
    grad: FlexTensor,
    epsilon: f32,
) -> [FlexTensor; 3] {
    let shape = x.shape();
    let (x, scale, grad) = (Elements::new(x), Elements::new(scale), Elements::new(grad));
    let (x, scale, grad) = (x.slice(), scale.slice(), grad.slice());
    let width = scale.len();
    let chunk = ROWS * width;
    let mut sums = vec![0.0; x.len().div_ceil(chunk.max(1)) * 2 * width];
    // SAFETY: `backward_rows` sets every element of every chunk.
    let values = unsafe {
        written(x.len(), |out| {
            out.par_chunks_mut(chunk)
                .zip(x.par_chunks(chunk))
                .zip(grad.par_chunks(chunk))
                .zip(sums.par_chunks_mut(2 * width))
                .for_each(|(((out, x), grad), sums)| {
                    backward_rows(x, scale, grad, epsilon, out, sums);
                });
        })
    };
    let mut total = vec![0.0; 2 * width];
    for sums in sums.chunks(2 * width) {
        for (total, sum) in total.iter_mut().zip(sums) {
            *total += sum;
        }
    }
    let shift = total.split_off(width);
    [
        tensor_from(values, shape),
        tensor_from(total, Shape::new([width])),
        tensor_from(shift, Shape::new([width])),
    ]
}

/// Partial sums that let the compiler add in vector registers.
const LANES: usize = 16;

/// The sum of what `term` makes of each value and its place.
#[inline(always)]
pub(super) fn sum(row: &[f32], term: impl Fn(usize, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (whole, rest) = row.split_at(row.len() - row.len() % LANES);
    for (chunk, values) in whole.chunks_exact(LANES).enumerate() {
        for lane in 0..LANES {
            lanes[lane] += term(chunk * LANES + lane, values[lane]);
        }
    }
    let tail = rest
        .iter()
        .enumerate()
        .map(|(i, &value)| term(whole.len() + i, value));
    lanes.iter().sum::<f32>() + tail.sum::<f32>()
}

#[inline(always)]
fn moments(row: &[f32], epsilon: f32) -> (f32, f32) {
    let width = row.len() as f32;
    let mean = sum(row, |_, value| value) / width;
    let variance = sum(row, |_, value| (value - mean) * (value - mean)) / width;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
pub(super) fn forward_rows(
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    epsilon: f32,
    out: &mut [MaybeUninit<f32>],
) {
    let width = scale.len();
    for (row, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let (mean, inverse) = moments(row, epsilon);
        for i in 0..width {
            out[i].write((row[i] - mean) * inverse * scale[i] + shift[i]);
        }
    }
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn backward_rows(
    x: &[f32],
    scale: &[f32],
    grad: &[f32],
    epsilon: f32,
    out: &mut [MaybeUninit<f32>],
    sums: &mut [f32],
) {
    let width = scale.len();
    let (scale_sums, shift_sums) = sums.split_at_mut(width);
    let rows = x.chunks_exact(width).zip(grad.chunks_exact(width));
    for ((row, grad), out) in rows.zip(out.chunks_exact_mut(width)) {
        let (mean, inverse) = moments(row, epsilon);
        for i in 0..width {
            scale_sums[i] += grad[i] * (row[i] - mean) * inverse;
            shift_sums[i] += grad[i];
        }
        let level = sum(grad, |i, grad| grad * scale[i]) / width as f32;
        let along = sum(grad, |i, grad| grad * scale[i] * (row[i] - mean)) * inverse / width as f32;
        for i in 0..width {
            let normalised = (row[i] - mean) * inverse;
            out[i].write((grad[i] * scale[i] - level - normalised * along) * inverse);
        }
    }
}
