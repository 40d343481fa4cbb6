//! The mean logistic of an affine layer's outputs: what an exit is decided by, without the outputs
//! ever being stored.

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use faer::Par;
use multiversion::multiversion;
use rayon::prelude::*;

use super::math::exp;
use super::product::{Onto, View, product};
use super::{Elements, tensor_from};

/// Partial sums that let the compiler add in vector registers.
const LANES: usize = 16;

/// Each of `biases` `[groups, outputs]` serves an equal run of rows, of which the first `skipped` do
/// not count.
pub(super) fn forward(
    x: FlexTensor,
    weight: FlexTensor,
    biases: FlexTensor,
    skipped: usize,
) -> FlexTensor {
    let [rows, inputs] = x.shape().dims();
    let [weight_inputs, outputs] = weight.shape().dims();
    let [groups, bias_outputs] = biases.shape().dims();
    assert_eq!(outputs, bias_outputs, "a bias for each output");
    let run = rows / groups.max(1);
    assert_eq!(
        weight_inputs, inputs,
        "a weight must have a row for each of its inputs"
    );
    assert!(
        rows == groups * run && skipped < run,
        "{groups} groups of {rows} rows, {skipped} of each skipped"
    );
    let counted = run - skipped;
    let (x, weight, biases) = (
        Elements::new(x),
        Elements::new(weight),
        Elements::new(biases),
    );
    let (x, weight, biases) = (x.slice(), weight.slice(), biases.slice());
    let mean = |scratch: &mut Vec<f32>, (rows, bias): (&[f32], &[f32])| {
        scratch.clear();
        for _ in 0..counted {
            scratch.extend_from_slice(bias);
        }
        let sizes = [counted, outputs, inputs];
        let views = [
            View::new(rows, skipped * inputs, inputs),
            View::new(weight, 0, outputs),
        ];
        let out = scratch.as_mut_ptr();
        // SAFETY: a run has `counted` rows behind the skipped ones, the weight a row for each of
        // their values, and the scratch, which nobody else holds, a row of biases for each.
        unsafe { product(sizes, out, outputs, Onto::Values, views, 1.0, Par::Seq) };
        sum_of_logistic(scratch) / (counted * outputs) as f32
    };
    let means = x
        .par_chunks_exact(run * inputs)
        .zip(biases.par_chunks_exact(outputs))
        .map_init(Vec::new, mean)
        .collect();
    tensor_from(means, Shape::new([groups]))
}

#[multiversion(targets = "simd")]
fn sum_of_logistic(values: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] += 1.0 / (1.0 + exp(-chunk[lane]));
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += 1.0 / (1.0 + exp(-value));
    }
    lanes.iter().sum()
}
