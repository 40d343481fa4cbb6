//! The mean logistic of an affine layer's outputs: what an exit is decided by, without the outputs
//! ever being stored.

use std::array;
use std::borrow::Cow;

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use multiversion::multiversion;
use multiversion::target::target_cfg_f;
use rayon::prelude::*;

use super::math::exp;
use super::{Elements, tensor_from};

/// Outputs that are computed side by side, in vector registers.
const LANES: usize = 16;

/// Rows that are computed together, for each of which the weight is loaded once: as many sums as
/// hide the time of a multiply-add, where the registers are wide enough to hold them.
const ROWS: usize = 4;

/// [`ROWS`] where a register holds all lanes.
const ROWS_OF_WIDE_REGISTERS: usize = 8;

/// Each of `biases` `[groups, outputs]` serves an equal run of rows, of which the first `skipped` do
/// not count.
///
/// An estimator has few outputs: it is done before a library's product has packed its factors.
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
    assert!(inputs > 0 && outputs > 0, "a layer of no size");
    assert!(
        rows == groups * run && skipped < run,
        "{groups} groups of {rows} rows, {skipped} of each skipped"
    );
    let (x, weight, biases) = (
        Elements::new(x),
        Elements::new(weight),
        Elements::new(biases),
    );
    let panels = panels(weight.slice(), outputs);
    let mean = |(rows, bias): (&[f32], &[f32])| {
        let counted = &rows[skipped * inputs..];
        let panels = panels.chunks_exact(inputs * LANES);
        let sums = panels
            .zip(bias.chunks(LANES))
            .map(|(panel, bias)| sum_of_logistic(counted, panel, bias));
        sums.sum::<f32>() / ((run - skipped) * outputs) as f32
    };
    let means = x
        .slice()
        .par_chunks_exact(run * inputs)
        .zip(biases.slice().par_chunks_exact(outputs))
        .map(mean)
        .collect();
    tensor_from(means, Shape::new([groups]))
}

/// The columns of a weight by [`LANES`], each panel a row-major array `[inputs, LANES]` of its own;
/// columns that the last panel lacks are zero. A weight of that width is one panel as it lies.
fn panels(weight: &[f32], outputs: usize) -> Cow<'_, [f32]> {
    if outputs == LANES {
        return Cow::Borrowed(weight);
    }
    let starts = (0..outputs).step_by(LANES);
    starts
        .flat_map(|start| {
            weight.chunks_exact(outputs).flat_map(move |row| {
                let columns = &row[start..outputs.min(start + LANES)];
                let mut lanes = [0.0; LANES];
                lanes[..columns.len()].copy_from_slice(columns);
                lanes
            })
        })
        .collect()
}

/// The sum over all rows of the logistic of the outputs of a panel and its biases.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn sum_of_logistic(rows: &[f32], panel: &[f32], biases: &[f32]) -> f32 {
    // Where the processor has no such instruction, a fused multiply-add is a call of a function.
    let fused = target_cfg_f!(target_feature = "fma");
    let (panel, _) = panel.as_chunks::<LANES>();
    let mut bias = [0.0; LANES];
    bias[..biases.len()].copy_from_slice(biases);
    let sums = if target_cfg_f!(target_feature = "avx512f") {
        add_all::<ROWS_OF_WIDE_REGISTERS>(rows, panel, &bias, fused)
    } else {
        add_all::<ROWS>(rows, panel, &bias, fused)
    };
    sums[..biases.len()].iter().sum()
}

/// [`add`]s all rows, `N` at a time.
#[inline(always)]
fn add_all<const N: usize>(
    rows: &[f32],
    panel: &[[f32; LANES]],
    bias: &[f32; LANES],
    fused: bool,
) -> [f32; LANES] {
    let mut sums = [0.0; LANES];
    let mut together = rows.chunks_exact(N * panel.len());
    for rows in &mut together {
        add::<N>(rows, panel, bias, &mut sums, fused);
    }
    for row in together.remainder().chunks_exact(panel.len()) {
        add::<1>(row, panel, bias, &mut sums, fused);
    }
    sums
}

/// Adds the logistic of `N` rows' outputs, each in its lane.
#[inline(always)]
fn add<const N: usize>(
    rows: &[f32],
    panel: &[[f32; LANES]],
    bias: &[f32; LANES],
    sums: &mut [f32; LANES],
    fused: bool,
) {
    let rows: [&[f32]; N] = array::from_fn(|row| &rows[row * panel.len()..][..panel.len()]);
    let mut logits = [*bias; N];
    for (input, weights) in panel.iter().enumerate() {
        for (logits, row) in logits.iter_mut().zip(rows) {
            let x = row[input];
            // A loop, not a closure: one that is not inlined knows nothing of the processor.
            for lane in 0..LANES {
                logits[lane] = if fused {
                    x.mul_add(weights[lane], logits[lane])
                } else {
                    logits[lane] + x * weights[lane]
                };
            }
        }
    }
    for logits in logits {
        for lane in 0..LANES {
            sums[lane] += 1.0 / (1.0 + exp(-logits[lane]));
        }
    }
}
