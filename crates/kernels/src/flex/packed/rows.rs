//! The left factor of a product: rows, rounded to bfloat16.

use rayon::prelude::*;

use super::super::product::View;
use super::super::{Elements, all_set, elementwise, row_norm, written};
use super::RowInput;
use super::format::Half;
use super::pairs::{Pair, columns_to_rows, round_rows};
use super::panel::RowUnits;

/// Rows that a task rounds.
const ROWS: usize = 16;

/// Columns that a task turns: as many values as a cache line holds.
const COLUMNS: usize = 64;

/// Rows in bfloat16, each followed by a zero where their number of values is odd.
#[derive(Default)]
pub(in super::super) struct Rows {
    values: Vec<Pair>,
    inputs: usize,
}

impl Rows {
    /// Rounds all rows of `x` `[rows, inputs]` after what `input` does to them.
    pub(super) fn new(x: &Elements, inputs: usize, input: &RowInput) -> Self {
        let x = x.slice();
        let pairs = inputs.div_ceil(2);
        // SAFETY: every pair of every row is set.
        let values = unsafe {
            written(x.len() / inputs.max(1) * pairs, |out| {
                out.par_chunks_mut(ROWS * pairs.max(1))
                    .zip(x.par_chunks(ROWS * inputs.max(1)))
                    .for_each_init(Vec::new, |scratch, (out, x)| {
                        let x = prepared(x, input, scratch);
                        let rows = x.len() / inputs.max(1);
                        round_rows(View::new(x, 0, inputs), 0..rows, 0..inputs, all_set(out));
                    });
            })
        };
        Self { values, inputs }
    }

    /// The columns of `x` `[inputs, columns]` as rows.
    pub(super) fn transposed(x: &Elements, columns: usize) -> Self {
        let x = x.slice();
        let inputs = x.len() / columns.max(1);
        let view = View::new(x, 0, columns);
        let pairs = inputs.div_ceil(2);
        // SAFETY: every pair of every row is set.
        let values = unsafe {
            written(columns * pairs, |out| {
                out.par_chunks_mut(COLUMNS * pairs.max(1))
                    .enumerate()
                    .for_each(|(index, out)| {
                        let first = index * COLUMNS;
                        let part = first..columns.min(first + COLUMNS);
                        columns_to_rows(view, inputs, part, all_set(out));
                    });
            })
        };
        Self { values, inputs }
    }

    /// Takes the rows of `view` `[rows, inputs]`.
    pub(in super::super) fn set(&mut self, view: View, rows: usize, inputs: usize) {
        self.inputs = inputs;
        self.values.resize(rows * self.pairs(), Pair::default());
        round_rows(view, 0..rows, 0..inputs, &mut self.values);
    }

    /// Takes the columns of `view` `[inputs, columns]`.
    pub(in super::super) fn set_columns(&mut self, view: View, inputs: usize, columns: usize) {
        self.inputs = inputs;
        self.values.resize(columns * self.pairs(), Pair::default());
        columns_to_rows(view, inputs, 0..columns, &mut self.values);
    }

    pub(in super::super) fn count(&self) -> usize {
        self.values.len() / self.pairs().max(1)
    }

    pub(in super::super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Pairs of a row.
    fn pairs(&self) -> usize {
        self.inputs.div_ceil(2)
    }

    pub(in super::super) fn units(&self) -> RowUnits<'_, Half> {
        RowUnits {
            units: &self.values,
            stride: self.pairs(),
        }
    }
}

/// Rows after what is done to them, in `scratch` unless that is nothing.
pub(super) fn prepared<'a>(x: &'a [f32], input: &RowInput, scratch: &'a mut Vec<f32>) -> &'a [f32] {
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
