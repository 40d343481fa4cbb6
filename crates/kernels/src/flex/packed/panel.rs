//! Some columns of a right factor, packed as the instructions read them, and their product with rows.

use std::ops::Range;

use faer::Par;

use super::super::product::{Onto, View, product};
use super::COLUMNS;
use super::format::{Format, Half};
use super::pairs::{Pair, Source, pack, singles};
#[cfg(target_arch = "x86_64")]
use super::tile::LANES;
use super::tile::{Out, Target};

/// Rows that are multiplied together: with the columns as many sums as the registers hold.
pub(super) const ROWS: usize = 6;

/// Units of the inner dimension that are multiplied at once: a panel of so many stays in a core's cache beside the
/// rows.
const DEPTH: usize = 1024;

/// Values of the inner dimension that are packed at once where they are used, as they leave the cache to the rows.
const PACKED: usize = 1024;

/// The left factor: rows of units, which lie `stride` units apart.
#[derive(Clone, Copy)]
pub(in super::super) struct RowUnits<'a, F: Format> {
    pub(super) units: &'a [F::Unit],
    pub(super) stride: usize,
}

impl<'a, F: Format> RowUnits<'a, F> {
    /// The units from the given one of the first row on.
    pub(super) fn from(self, row: usize, unit: usize) -> &'a [F::Unit] {
        &self.units[row * self.stride + unit..]
    }
}

/// Some columns of a right factor: for each unit of the inner dimension that of each of [`COLUMNS`] columns. Those
/// that the factor lacks are zero.
#[derive(Clone, Copy)]
pub(in super::super) struct Columns<'a, F: Format> {
    pub(super) units: &'a [F::Unit],
    /// How many the factor has.
    pub(super) count: usize,
}

impl<F: Format> Columns<'_, F> {
    /// Writes the product of some rows with these columns.
    ///
    /// # Safety
    /// The processor must have the instructions ([`Format::is_supported`]), and the target must be valid for writes of
    /// all rows and columns and, where something is added, that for reads.
    pub(super) unsafe fn product(
        self,
        rows: RowUnits<'_, F>,
        range: Range<usize>,
        target: Target<'_>,
    ) {
        let depth = self.units.len() / COLUMNS;
        // Parts of one size, as a short one would load and store its sums for little.
        let most = match target.sums() {
            Some(_) => depth.div_ceil(depth.div_ceil(DEPTH).max(1)).max(1),
            None => depth.max(1),
        };
        for start in (0..depth.max(1)).step_by(most) {
            let part = Self {
                units: &self.units[start * COLUMNS..depth.min(start + most) * COLUMNS],
                ..self
            };
            // SAFETY: the caller's promise; after the first part there are values.
            unsafe { part.multiply(rows, range.clone(), start, target.for_part(start)) };
        }
    }

    /// # Safety
    /// As [`Self::product`].
    unsafe fn multiply(
        self,
        rows: RowUnits<'_, F>,
        range: Range<usize>,
        unit: usize,
        target: Target<'_>,
    ) {
        #[cfg(target_arch = "x86_64")]
        for (index, start) in range.clone().step_by(ROWS).enumerate() {
            let target = target.moved(index * ROWS * target.stride, 0..self.count);
            // SAFETY: the caller's promise.
            unsafe {
                match range.end.min(start + ROWS) - start {
                    1 => self.tile::<1>(rows, start, unit, target),
                    2 => self.tile::<2>(rows, start, unit, target),
                    3 => self.tile::<3>(rows, start, unit, target),
                    4 => self.tile::<4>(rows, start, unit, target),
                    5 => self.tile::<5>(rows, start, unit, target),
                    _ => self.tile::<ROWS>(rows, start, unit, target),
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        unreachable!("no processor of this kind has the instructions");
    }

    /// `N` rows.
    ///
    /// # Safety
    /// As [`Self::product`].
    #[cfg(target_arch = "x86_64")]
    unsafe fn tile<const N: usize>(
        self,
        rows: RowUnits<'_, F>,
        row: usize,
        unit: usize,
        target: Target<'_>,
    ) {
        let units = self.units.len() / COLUMNS;
        let values = rows.from(row, unit);
        assert!(
            values.len() >= (N - 1) * rows.stride + units,
            "rows of as many units"
        );
        let factors = [values.as_ptr().cast(), self.units.as_ptr().cast()];
        // SAFETY: the caller's promise, and both factors have the units.
        unsafe {
            // A head's scores have a column more than whole panels where a single token stands before the image's.
            if self.count <= LANES {
                F::tile::<N, 1>(factors, rows.stride, units, self.count, target);
            } else {
                F::tile::<N, { COLUMNS / LANES }>(factors, rows.stride, units, self.count, target);
            }
        }
    }
}

impl Columns<'_, Half> {
    /// [`Self::product`] for a target in single precision without GELU; where the processor lacks the instructions, values that
    /// are rounded alike are multiplied in single precision.
    ///
    /// # Safety
    /// As there, but for the processor.
    pub(super) unsafe fn product_anywhere(
        self,
        rows: RowUnits<'_, Half>,
        range: Range<usize>,
        target: Target<'_>,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            if Half::is_supported() {
                self.product(rows, range, target);
            } else {
                multiply_singles(self, rows, range, 0, target);
            }
        }
    }
}

/// [`Columns`] that are packed where they are used.
#[derive(Default)]
pub(in super::super) struct Panel {
    pairs: Vec<Pair>,
}

impl Panel {
    /// Writes the product of some rows with some columns of a factor `[inputs, columns]`, no more than [`COLUMNS`].
    /// Where the processor lacks the instructions, values that are rounded alike are multiplied in single precision.
    ///
    /// # Safety
    /// As [`Columns::product`], but for the processor.
    pub(in super::super) unsafe fn product<T: Source>(
        &mut self,
        rows: RowUnits<'_, Half>,
        range: Range<usize>,
        factor: View<T>,
        inputs: usize,
        columns: Range<usize>,
        target: Target<'_>,
    ) {
        let depth = match target.sums() {
            Some(_) => PACKED,
            None => inputs.max(1),
        };
        for start in (0..inputs.max(1)).step_by(depth) {
            let columns = self.pack(factor, start..inputs.min(start + depth), columns.clone());
            let target = target.for_part(start);
            // SAFETY: the caller's promise; after the first part there are values.
            unsafe {
                if Half::is_supported() {
                    columns.multiply(rows, range.clone(), start / Half::VALUES, target);
                } else {
                    multiply_singles(columns, rows, range.clone(), start / Half::VALUES, target);
                }
            }
        }
    }

    fn pack<T: Source>(
        &mut self,
        factor: View<T>,
        inner: Range<usize>,
        columns: Range<usize>,
    ) -> Columns<'_, Half> {
        let count = columns.len();
        let pairs = inner.len().div_ceil(2);
        if count < COLUMNS {
            self.pairs.clear();
        }
        self.pairs.resize(pairs * COLUMNS, Pair::default());
        pack(factor, inner, columns, &mut self.pairs);
        let units = &self.pairs;
        Columns { units, count }
    }
}

/// [`Columns::multiply`] on any processor, for a target in single precision without GELU.
///
/// # Safety
/// As there.
unsafe fn multiply_singles(
    columns: Columns<'_, Half>,
    rows: RowUnits<'_, Half>,
    range: Range<usize>,
    unit: usize,
    target: Target<'_>,
) {
    let (count, inner) = (range.len(), columns.units.len() / COLUMNS * 2);
    let values = range.flat_map(|row| singles(&rows.from(row, unit)[..inner / 2]));
    let values: Vec<f32> = values.collect();
    let mut factor = vec![0.0; inner * COLUMNS];
    let packed = columns.units.chunks_exact(COLUMNS);
    for (pairs, out) in packed.zip(factor.chunks_exact_mut(2 * COLUMNS)) {
        let (first, second) = out.split_at_mut(COLUMNS);
        for (column, value) in singles(pairs).enumerate() {
            let row = if column % 2 == 0 {
                &mut *first
            } else {
                &mut *second
            };
            row[column / 2] = value;
        }
    }
    let mut sums = vec![0.0; count * COLUMNS];
    let views = [View::new(&values, 0, inner), View::new(&factor, 0, COLUMNS)];
    // SAFETY: the sums are as many as the product has.
    unsafe {
        let shape = [count, COLUMNS, inner];
        product(
            shape,
            sums.as_mut_ptr(),
            COLUMNS,
            Onto::Nothing,
            views,
            1.0,
            Par::Seq,
        );
    }
    let Out::Single(out) = target.out else {
        unreachable!("whoever wants rounded values has the instructions");
    };
    for (row, sums) in sums.chunks_exact(COLUMNS).enumerate() {
        for (column, sum) in sums[..columns.count].iter().enumerate() {
            let offset = row * target.stride + column;
            let bias = target.bias.map_or(0.0, |bias| bias[column]);
            // SAFETY: the caller's promise.
            unsafe {
                let before = target
                    .onto
                    .map_or(0.0, |onto| onto.wrapping_add(offset).read());
                out.wrapping_add(offset)
                    .write(before + (target.scale * sum + bias));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::bf16;

    use super::super::Rows;
    use super::*;

    #[test]
    fn all_processors_multiply_the_same_numbers() {
        let (inner, columns, rows) = (37, 50, 8);
        let value = |index: usize| (index as f32 * 0.7).sin();
        let [left, right] = [rows * inner, inner * columns].map(|count| {
            let values = (0..count).map(value);
            values.collect::<Vec<f32>>()
        });
        let mut a = Rows::default();
        a.set(View::new(&left, 0, inner), rows, inner);
        let mut panel = Panel::default();
        let packed = panel.pack(View::new(&right, 0, columns), 0..inner, 0..columns);
        let bias: Vec<f32> = (0..columns).map(value).collect();
        let product = |fast: bool| {
            let mut out = vec![1.0; rows * columns];
            let target = Target {
                scale: 0.5,
                bias: Some(&bias),
                gelu: false,
                onto: Some(out.as_ptr()),
                out: Out::Single(out.as_mut_ptr()),
                stride: columns,
            };
            // SAFETY: all values are set and as many as the product has; the instructions are there where they are used.
            unsafe {
                if fast {
                    packed.multiply(a.units(), 0..rows, 0, target);
                } else {
                    multiply_singles(packed, a.units(), 0..rows, 0, target);
                }
            }
            out
        };
        let everywhere = product(false);
        for (row, found) in everywhere.chunks(columns).enumerate() {
            for (column, &found) in found.iter().enumerate() {
                let terms = (0..inner).map(|index| {
                    let pair = [left[row * inner + index], right[index * columns + column]];
                    let [a, b] = pair.map(|value| f64::from(bf16::from_f32(value).to_f32()));
                    a * b
                });
                let sum = 0.5 * terms.sum::<f64>() as f32;
                let expected = 1.0 + (sum + bias[column]);
                assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
            }
        }
        if Half::is_supported() {
            for (fast, slow) in product(true).iter().zip(&everywhere) {
                assert!((fast - slow).abs() < 1e-5, "{fast} and {slow}");
            }
        }
    }
}
