//! The rows of a product, rounded to bfloat16.

use std::ops::Range;

use burn::tensor::bf16;
use multiversion::multiversion;
use rayon::prelude::*;

use super::super::{Elements, elementwise, row_norm, written};
use super::RowInput;

/// Rows that a task rounds.
const ROWS: usize = 16;

/// Rows in bfloat16, each followed by a zero where their number of values is odd: the instructions multiply pairs.
pub(super) struct Rows {
    values: Vec<u16>,
    inputs: usize,
    count: usize,
}

impl Rows {
    /// Rounds all rows of `x` `[rows, inputs]` after what `input` does to them.
    pub(super) fn new(x: &Elements, inputs: usize, input: &RowInput) -> Self {
        let x = x.slice();
        let count = x.len() / inputs.max(1);
        let stride = inputs.next_multiple_of(2);
        // SAFETY: every row of every chunk is set, with the zero behind it.
        let values = unsafe {
            written(count * stride, |out| {
                out.par_chunks_mut(ROWS * stride.max(1))
                    .zip(x.par_chunks(ROWS * inputs.max(1)))
                    .for_each_init(Vec::new, |scratch, (out, x)| {
                        let x = prepared(x, input, scratch);
                        let rows = x.chunks_exact(inputs).zip(out.chunks_exact_mut(stride));
                        for (row, out) in rows {
                            round(row, &mut out[..inputs]);
                            for padding in &mut out[inputs..] {
                                padding.write(0);
                            }
                        }
                    });
            })
        };
        Self {
            values,
            inputs,
            count,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// From a row's start to the next one's.
    pub(super) fn stride(&self) -> usize {
        self.inputs.next_multiple_of(2)
    }

    /// The values of some rows.
    pub(super) fn of(&self, rows: Range<usize>) -> &[u16] {
        &self.values[rows.start * self.stride()..rows.end * self.stride()]
    }

    /// The rounded values in single precision, without what pads them.
    pub(super) fn single(&self) -> Vec<f32> {
        let rows = self.values.chunks_exact(self.stride().max(1));
        let values = rows.flat_map(|row| &row[..self.inputs]);
        values.map(|&bits| bf16::from_bits(bits).to_f32()).collect()
    }
}

/// Rows after what is done to them, in `scratch` unless that is nothing.
fn prepared<'a>(x: &'a [f32], input: &RowInput, scratch: &'a mut Vec<f32>) -> &'a [f32] {
    match input {
        RowInput::Plain => return x,
        RowInput::Gelu => {
            scratch.clear();
            scratch.extend_from_slice(x);
            elementwise::gelu_chunk(scratch);
        }
        RowInput::Norm(affine, epsilon) => {
            let [scale, shift] = &**affine;
            scratch.clear();
            scratch.reserve(x.len());
            let out = &mut scratch.spare_capacity_mut()[..x.len()];
            row_norm::forward_rows(x, scale.slice(), shift.slice(), *epsilon, out);
            // SAFETY: all rows were just written.
            unsafe { scratch.set_len(x.len()) };
        }
    }
    scratch
}

/// To the nearest bfloat16, the even one of two; what is no number stays none.
#[multiversion(targets = "simd")]
fn round(values: &[f32], out: &mut [std::mem::MaybeUninit<u16>]) {
    for (value, out) in values.iter().zip(out) {
        let bits = value.to_bits();
        let even = (bits >> 16) & 1;
        let rounded = bits.wrapping_add(0x7fff + even) >> 16;
        let quiet = (bits >> 16) | 0x40;
        out.write(if value.is_nan() { quiet } else { rounded } as u16);
    }
}
