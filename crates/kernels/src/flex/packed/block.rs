//! The halves of a transformer block, each begun and ended by one pass of all cores over blocks of rows: what is
//! between two products of a block of rows stays in its core's cache.

use std::ops::Range;

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::super::{Elements, Output, added_to, attention, tensor_from, written};
use super::format::Format;
use super::kept::{Packed, packed};
use super::panel::{ROWS, RowUnits};
use super::rows::prepared;
use super::tile::{Out, Target};
use super::{RowInput, outputs_of};
use crate::{AffineParameters, NormParameters};

/// Rows of a block at most: what an MLP makes of them stays in a core's cache.
const BLOCK: usize = 11 * ROWS;

/// Memory that a core uses for one block of rows after another, from one call to the next.
pub(in super::super) struct Scratch<F: Format> {
    /// Rows after norm.
    singles: Vec<f32>,
    /// Rows as units.
    units: Vec<F::Unit>,
    hidden: Vec<F::Unit>,
    qkv: Vec<f32>,
    sample: attention::Sample,
}

impl<F: Format> Default for Scratch<F> {
    fn default() -> Self {
        Self {
            singles: Vec::new(),
            units: Vec::new(),
            hidden: Vec::new(),
            qkv: Vec::new(),
            sample: attention::Sample::default(),
        }
    }
}

/// An affine layer with its weight packed.
struct Affine<F: Format> {
    weight: std::sync::Arc<Packed<F>>,
    bias: Option<Elements>,
    outputs: usize,
}

impl<F: Format> Affine<F> {
    fn new(layer: AffineParameters<FlexTensor>, inputs: usize, rows: usize) -> Self {
        let outputs = outputs_of(&layer.weight, inputs);
        let weight = Elements::new(layer.weight);
        Self {
            weight: packed(&weight, [inputs, outputs], rows),
            bias: layer.bias.map(Elements::new),
            outputs,
        }
    }

    /// Where the layer's output of a block of rows goes.
    fn target(&self, out: Out) -> Target<'_> {
        let bias = self.bias.as_ref().map(Elements::slice);
        assert!(
            bias.is_none_or(|bias| bias.len() == self.outputs),
            "a bias for each output"
        );
        Target {
            scale: 1.0,
            bias,
            gelu: false,
            onto: None,
            out,
            stride: self.outputs,
        }
    }

    /// # Safety
    /// As [`super::panel::Columns::product`].
    unsafe fn write(&self, rows: RowUnits<'_, F>, count: usize, target: Target<'_>) {
        for (first, columns) in self.weight.panels() {
            let target = target.moved(first, first..first + columns.count);
            // SAFETY: the caller's promise.
            unsafe { columns.product(rows, 0..count, target) };
        }
    }
}

/// Rows of `inputs` values as units.
fn units<'a, F: Format>(
    rows: &'a [f32],
    inputs: usize,
    buffer: &'a mut Vec<F::Unit>,
) -> RowUnits<'a, F> {
    RowUnits {
        units: F::units(rows, inputs, buffer),
        stride: inputs.div_ceil(F::VALUES),
    }
}

/// Rows of a block of `rows` rows, so that all cores end at about the same time.
pub(super) fn block_of(rows: usize) -> usize {
    let threads = rayon::current_num_threads();
    let blocks = rows.div_ceil(BLOCK).next_multiple_of(threads).max(1);
    rows.div_ceil(blocks).next_multiple_of(ROWS).max(ROWS)
}

/// Runs `task` on blocks of the rows on all cores.
fn for_each_block<F: Format>(
    rows: usize,
    block: usize,
    task: impl Fn(&mut Scratch<F>, Range<usize>) + Sync,
) {
    (0..rows.div_ceil(block)).into_par_iter().for_each(|index| {
        let range = index * block..rows.min((index + 1) * block);
        // Nothing that a task calls waits for other threads, and so takes over work of theirs.
        F::scratch().with_borrow_mut(|scratch| task(scratch, range));
    });
}

/// What `task` adds to `x`, of `width` values a row, block by block: it is given a block's rows, where they lie and
/// where to write all that they become.
fn added<F: Format>(
    x: FlexTensor,
    width: usize,
    block: usize,
    task: impl Fn(&mut Scratch<F>, Range<usize>, *const f32, *mut f32) + Sync,
) -> FlexTensor {
    let rows = x.layout().num_elements() / width.max(1);
    // SAFETY: every block writes all values of its rows.
    unsafe {
        added_to(x, |from, to| {
            for_each_block(rows, block, |scratch, range| {
                let start = range.start * width;
                task(scratch, range, from.at(start), to.at(start));
            });
        })
    }
}

/// `x + mlp(norm(x))` of `x` `[rows, width]`.
pub(in super::super) fn mlp_onto<F: Format>(
    x: FlexTensor,
    parameters: NormParameters<FlexTensor>,
    [first, second]: [AffineParameters<FlexTensor>; 2],
) -> FlexTensor {
    let [rows, width] = x.shape().dims();
    let norm = RowInput::norm(parameters, width);
    let first = Affine::<F>::new(first, width, rows);
    let second = Affine::<F>::new(second, first.outputs, rows);
    assert_eq!(second.outputs, width, "what is added has the shape of x");
    added::<F>(x, width, block_of(rows), |scratch, range, from, to| {
        let (count, hidden) = (range.len(), first.outputs.div_ceil(F::VALUES));
        // SAFETY: the block's rows, which nobody writes before they are normalised.
        let x = unsafe { std::slice::from_raw_parts(from, count * width) };
        let x = prepared(x, &norm, &mut scratch.singles);
        if !first.outputs.is_multiple_of(F::VALUES) {
            // What fills a row's last unit would be what is left of other rows, perhaps no number.
            scratch.hidden.clear();
        }
        scratch.hidden.resize(count * hidden, F::Unit::default());
        let target = Target {
            gelu: true,
            stride: hidden * F::VALUES,
            ..first.target(F::target(&mut scratch.hidden))
        };
        // SAFETY: the units are as many as both products read and write, and `to` has the block's rows.
        unsafe {
            first.write(units(x, width, &mut scratch.units), count, target);
            let rows = RowUnits {
                units: &scratch.hidden,
                stride: hidden,
            };
            let target = Target {
                onto: Some(from),
                ..second.target(Out::Single(to))
            };
            second.write(rows, count, target);
        }
    })
}

/// `x + projection(attention(qkv(norm(x))))` of `x` `[batch, tokens, width]`.
pub(in super::super) fn attention_onto<F: Format>(
    x: FlexTensor,
    parameters: NormParameters<FlexTensor>,
    [qkv, projection]: [AffineParameters<FlexTensor>; 2],
    heads: usize,
) -> FlexTensor {
    let [batch, tokens, width] = x.shape().dims();
    let rows = batch * tokens;
    let norm = RowInput::norm(parameters, width);
    assert!(
        width.is_multiple_of(heads),
        "{heads} heads of equally many of {width} features"
    );
    let qkv = Affine::<F>::new(qkv, width, rows);
    let projection = Affine::<F>::new(projection, width, rows);
    assert_eq!(qkv.outputs, 3 * width, "query, key and value of a width");
    assert_eq!(
        projection.outputs, width,
        "what is added has the shape of x"
    );
    if batch.is_multiple_of(rayon::current_num_threads()) {
        // Each core takes samples of its own, whose query, key and value stay in its cache.
        return added::<F>(x, width, tokens.max(1), |scratch, range, from, to| {
            let count = range.len();
            // SAFETY: the sample's rows, which nobody writes before they are normalised.
            let x = unsafe { std::slice::from_raw_parts(from, count * width) };
            let x = prepared(x, &norm, &mut scratch.singles);
            scratch.qkv.resize(count * qkv.outputs, 0.0);
            let target = qkv.target(Out::Single(scratch.qkv.as_mut_ptr()));
            // SAFETY: all rows of query, key and value are there.
            unsafe { qkv.write(units(x, width, &mut scratch.units), count, target) };
            let attended = scratch
                .sample
                .attend(&scratch.qkv, width, heads, F::IN_HALVES);
            let target = Target {
                onto: Some(from),
                ..projection.target(Out::Single(to))
            };
            // SAFETY: `from` and `to` have the sample's rows.
            unsafe { projection.write(units(attended, width, &mut scratch.units), count, target) };
        });
    }
    let values = Elements::new(x.clone());
    let projected = rows_of::<F>(rows, qkv.outputs, |scratch, range, to| {
        let x = &values.slice()[range.start * width..range.end * width];
        let x = prepared(x, &norm, &mut scratch.singles);
        let target = qkv.target(Out::Single(to));
        // SAFETY: `to` has the block's rows.
        unsafe { qkv.write(units(x, width, &mut scratch.units), range.len(), target) };
    });
    drop(values);
    let projected = tensor_from(projected, Shape::new([batch, tokens, qkv.outputs]));
    let attended = Elements::new(attention::forward(projected, heads, F::IN_HALVES));
    added::<F>(x, width, block_of(rows), |scratch, range, from, to| {
        let rows = &attended.slice()[range.start * width..range.end * width];
        let target = Target {
            onto: Some(from),
            ..projection.target(Out::Single(to))
        };
        // SAFETY: `from` and `to` have the block's rows.
        unsafe { projection.write(units(rows, width, &mut scratch.units), range.len(), target) };
    })
}

/// `layer [x | skip]` of `x` and `skip` `[rows, width]`.
pub(in super::super) fn joined<F: Format>(
    x: FlexTensor,
    skip: FlexTensor,
    layer: AffineParameters<FlexTensor>,
) -> FlexTensor {
    let [rows, width] = x.shape().dims();
    let joined: [usize; 2] = skip.shape().dims();
    assert_eq!(joined, [rows, width], "a skip has the shape of x");
    let layer = Affine::<F>::new(layer, 2 * width, rows);
    let [x, skip] = [x, skip].map(Elements::new);
    let values = rows_of(
        rows,
        layer.outputs,
        |scratch: &mut Scratch<F>, range, to| {
            let part = range.start * width..range.end * width;
            let [x, skip] =
                [&x, &skip].map(|values| values.slice()[part.clone()].chunks_exact(width));
            scratch.singles.clear();
            for (x, skip) in x.zip(skip) {
                scratch.singles.extend_from_slice(x);
                scratch.singles.extend_from_slice(skip);
            }
            let target = layer.target(Out::Single(to));
            let rows = units(&scratch.singles, 2 * width, &mut scratch.units);
            // SAFETY: `to` has the block's rows.
            unsafe { layer.write(rows, range.len(), target) };
        },
    );
    tensor_from(values, Shape::new([rows, layer.outputs]))
}

/// Fresh rows of `width` values: `task` is given a block's rows and where to write all their values.
fn rows_of<F: Format>(
    rows: usize,
    width: usize,
    task: impl Fn(&mut Scratch<F>, Range<usize>, *mut f32) + Sync,
) -> Vec<f32> {
    // SAFETY: every block writes all values of its rows.
    unsafe {
        written(rows * width, |out| {
            let out = Output(out.as_mut_ptr().cast());
            for_each_block(rows, block_of(rows), |scratch, range| {
                let start = range.start * width;
                task(scratch, range, out.at(start));
            });
        })
    }
}
