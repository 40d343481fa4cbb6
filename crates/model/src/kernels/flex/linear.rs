//! The affine layer: the product is added onto the bias in place, so that it costs no second pass.

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use gemm::Parallelism;
use multiversion::multiversion;
use rayon::prelude::*;

use super::{Elements, tensor_from, written};

/// Multiply-adds above which a product is spread over threads, as Burn's Flex has it.
const PARALLEL_PRODUCT: usize = 192 * 192 * 192;

/// Rows whose gradients one task adds up. Fixed, so that sums do not depend on the thread count.
const ROWS: usize = 256;

/// `biases` `[groups, outputs]`, or `[outputs]` for a single group, each for an equal run of rows.
pub(super) fn forward(x: FlexTensor, weight: FlexTensor, biases: FlexTensor) -> FlexTensor {
    let [rows, inputs] = x.shape().dims();
    let [_, outputs] = weight.shape().dims();
    let (x, weight, biases) = (
        Elements::new(x),
        Elements::new(weight),
        Elements::new(biases),
    );
    let (x, weight, biases) = (x.slice(), weight.slice(), biases.slice());
    let groups = biases.len() / outputs.max(1);
    assert!(
        groups > 0 && rows.is_multiple_of(groups),
        "{groups} biases do not divide {rows} rows"
    );
    let parallelism = if rows * inputs * outputs >= PARALLEL_PRODUCT {
        Parallelism::Rayon(0)
    } else {
        Parallelism::None
    };
    // SAFETY: a bias is copied to every row before the product reads it. The three matrices are
    // row-major slices of exactly the sizes given, and the output overlaps no input.
    let values = unsafe {
        written(rows * outputs, |out| {
            let group = (rows / groups * outputs).max(1);
            for (rows, bias) in out.chunks_mut(group).zip(biases.chunks_exact(outputs)) {
                for row in rows.chunks_exact_mut(outputs) {
                    row.copy_from_slice(bias);
                }
            }
            gemm::gemm(
                rows,
                outputs,
                inputs,
                out.as_mut_ptr(),
                1,
                outputs as isize,
                true,
                x.as_ptr(),
                1,
                inputs as isize,
                weight.as_ptr(),
                1,
                outputs as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        })
    };
    tensor_from(values, Shape::new([rows, outputs]))
}

pub(super) fn bias_backward(grad: FlexTensor) -> FlexTensor {
    let [_, outputs] = grad.shape().dims();
    let grad = Elements::new(grad);
    let sums: Vec<Vec<f32>> = grad
        .slice()
        .par_chunks(ROWS * outputs)
        .map(|rows| {
            let mut sum = vec![0.0; outputs];
            add_rows(rows, &mut sum);
            sum
        })
        .collect();
    let mut total = vec![0.0; outputs];
    for sum in &sums {
        add_rows(sum, &mut total);
    }
    tensor_from(total, Shape::new([outputs]))
}

#[multiversion(targets = "simd")]
fn add_rows(rows: &[f32], sum: &mut [f32]) {
    for row in rows.chunks_exact(sum.len()) {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
}
