//! The left factor of a product: rows, rounded to bfloat16.

use std::ops::Range;

use super::super::product::View;
use super::super::{elementwise, row_norm};
use super::RowInput;
use super::format::Half;
use super::pairs::{Pair, columns_to_rows, round_rows};
use super::panel::RowUnits;

/// What the rows of a product's left factor are made of.
pub(super) enum RowSource<'a> {
    /// Rows `[count, inputs]`, after what is done to them.
    Rows(&'a [f32], &'a RowInput),
    /// The columns of `[inputs, count]`.
    Columns(&'a [f32]),
}

impl RowSource<'_> {
    /// Takes some of the rows, of `count` with `inputs` values.
    pub(super) fn take<'a>(
        &self,
        range: Range<usize>,
        [count, inputs]: [usize; 2],
        (scratch, rows): (&mut Vec<f32>, &'a mut Rows),
    ) -> RowUnits<'a, Half> {
        match *self {
            Self::Rows(values, input) => {
                let values = &values[range.start * inputs..range.end * inputs];
                let values = prepared(values, input, scratch);
                rows.set(View::new(values, 0, inputs), range.len(), inputs);
            }
            Self::Columns(values) => {
                let columns = View::new(values, range.start, count);
                rows.set_columns(columns, inputs, range.len());
            }
        }
        rows.units()
    }
}

/// Rows in bfloat16, each followed by a zero where their number of values is odd.
#[derive(Default)]
pub(in super::super) struct Rows {
    values: Vec<Pair>,
    inputs: usize,
}

impl Rows {
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
