//! Some columns of a right factor, packed as the instructions read them, and their product with rows.

use std::ops::Range;

use faer::Par;

use super::super::product::{Onto, View, product};
use super::pairs::{Pair, Source, pair_rows, rows_to_columns};
use super::rows::{Rows, singles};

/// Columns of a panel: four registers of sixteen.
pub(in super::super) const COLUMNS: usize = 64;

/// Rows that are multiplied together: with the columns as many sums as the registers hold.
const ROWS: usize = 6;

/// Values of the inner dimension that are packed at once, which a core's cache holds beside the rows.
const DEPTH: usize = 1024;

/// For each pair of neighbours of the inner dimension, for each column, both values beside each other. Columns that
/// the factor lacks are zero, and so is the second of a last pair that has one.
#[derive(Default)]
pub(in super::super) struct Panel {
    pairs: Vec<Pair>,
    columns: usize,
}

/// Where a product goes.
#[derive(Clone, Copy)]
pub(in super::super) struct Target<'a> {
    /// What the product is multiplied by.
    pub(in super::super) scale: f32,
    /// Added to every row.
    pub(in super::super) bias: Option<&'a [f32]>,
    /// The first row's first column.
    pub(in super::super) out: *mut f32,
    /// From a row to the next.
    pub(in super::super) stride: usize,
    /// Whether the product is added onto what is there.
    pub(in super::super) adds: bool,
}

/// Whether the processor has the instructions.
pub(super) fn is_supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

impl Panel {
    /// Writes the product of some rows with some columns of a factor `[inputs, columns]`, no more than [`COLUMNS`].
    ///
    /// # Safety
    /// The target must be valid for writes of all rows and columns and, where it adds, hold values.
    pub(in super::super) unsafe fn product<T: Source>(
        &mut self,
        rows: &Rows,
        range: Range<usize>,
        factor: View<T>,
        columns: Range<usize>,
        target: Target<'_>,
    ) {
        let inputs = rows.inputs();
        for start in (0..inputs.max(1)).step_by(DEPTH) {
            self.pack(factor, start..inputs.min(start + DEPTH), columns.clone());
            let target = if start == 0 {
                target
            } else {
                Target {
                    bias: None,
                    adds: true,
                    ..target
                }
            };
            // SAFETY: the caller's promise; after the first part there are values.
            unsafe {
                if is_supported() {
                    self.multiply(rows, range.clone(), start / 2, target);
                } else {
                    self.multiply_singles(rows, range.clone(), start / 2, target);
                }
            }
        }
    }

    fn pack<T: Source>(&mut self, factor: View<T>, inner: Range<usize>, columns: Range<usize>) {
        self.columns = columns.len();
        let pairs = inner.len().div_ceil(2);
        if self.columns < COLUMNS {
            self.pairs.clear();
        }
        self.pairs.resize(pairs * COLUMNS, Pair::default());
        if factor.is_transposed() {
            let stored = factor.transposed();
            rows_to_columns(stored, columns, inner, &mut self.pairs, COLUMNS);
        } else {
            pair_rows(factor, inner, columns, &mut self.pairs, COLUMNS);
        }
    }

    /// # Safety
    /// The processor must have the instructions ([`is_supported`]); otherwise as [`Self::product`].
    unsafe fn multiply(&self, rows: &Rows, range: Range<usize>, pair: usize, target: Target<'_>) {
        #[cfg(target_arch = "x86_64")]
        for (index, start) in range.clone().step_by(ROWS).enumerate() {
            let end = range.end.min(start + ROWS);
            let target = Target {
                out: target.out.wrapping_add(index * ROWS * target.stride),
                ..target
            };
            let (values, stride) = (rows.of(start..end, pair), rows.pairs());
            // SAFETY: the caller's promise.
            unsafe {
                match end - start {
                    1 => x86::tile::<1>(values, stride, &self.pairs, self.columns, target),
                    2 => x86::tile::<2>(values, stride, &self.pairs, self.columns, target),
                    3 => x86::tile::<3>(values, stride, &self.pairs, self.columns, target),
                    4 => x86::tile::<4>(values, stride, &self.pairs, self.columns, target),
                    5 => x86::tile::<5>(values, stride, &self.pairs, self.columns, target),
                    _ => x86::tile::<ROWS>(values, stride, &self.pairs, self.columns, target),
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        unreachable!("no processor of this kind has the instructions");
    }

    /// The same from values that are rounded alike.
    ///
    /// # Safety
    /// As [`Self::product`].
    unsafe fn multiply_singles(
        &self,
        rows: &Rows,
        range: Range<usize>,
        pair: usize,
        target: Target<'_>,
    ) {
        let (count, inner) = (range.len(), self.pairs.len() / COLUMNS * 2);
        let values = range.flat_map(|row| singles(&rows.of(row..row + 1, pair)[..inner / 2]));
        let values: Vec<f32> = values.collect();
        let mut factor = vec![0.0; inner * COLUMNS];
        let packed = self.pairs.chunks_exact(COLUMNS);
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
        for (row, sums) in sums.chunks_exact(COLUMNS).enumerate() {
            for (column, sum) in sums[..self.columns].iter().enumerate() {
                let bias = target.bias.map_or(0.0, |bias| bias[column]);
                let out = target.out.wrapping_add(row * target.stride + column);
                // SAFETY: the caller's promise.
                unsafe {
                    let before = if target.adds { out.read() } else { 0.0 };
                    out.write(before + (target.scale * sum + bias));
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{COLUMNS, Pair, Target};

    const LANES: usize = 16;

    const REGISTERS: usize = COLUMNS / LANES;

    /// `N` rows times a panel.
    ///
    /// # Safety
    /// As [`super::Panel::multiply`]; `values` begins with the first row's first pair, and the rows lie `stride`
    /// apart.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn tile<const N: usize>(
        values: &[Pair],
        stride: usize,
        panel: &[Pair],
        columns: usize,
        target: Target<'_>,
    ) {
        let pairs = panel.len() / COLUMNS;
        assert!(values.len() >= (N - 1) * stride + pairs);
        let mut sums = [[_mm512_setzero_ps(); REGISTERS]; N];
        let (rows, panel) = (values.as_ptr(), panel.as_ptr());
        for pair in 0..pairs {
            let mut weights = [_mm512_setzero_si512(); REGISTERS];
            for (register, weights) in weights.iter_mut().enumerate() {
                // SAFETY: within the pair's columns.
                *weights = unsafe {
                    _mm512_loadu_si512(panel.add(pair * COLUMNS + register * LANES).cast())
                };
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                // SAFETY: within the row.
                let both = unsafe { rows.add(row * stride + pair).cast::<i32>().read_unaligned() };
                let both = bfloat16(_mm512_set1_epi32(both));
                for register in 0..REGISTERS {
                    sums[register] =
                        _mm512_dpbf16_ps(sums[register], both, bfloat16(weights[register]));
                }
            }
        }
        let scale = _mm512_set1_ps(target.scale);
        for register in 0..REGISTERS {
            let first = register * LANES;
            // Not the loop's end: a known number of rounds leaves the sums in registers.
            if first >= columns {
                break;
            }
            let mask = lanes(columns - first);
            let bias = match target.bias {
                // SAFETY: the bias has all columns.
                Some(bias) => unsafe { _mm512_maskz_loadu_ps(mask, bias.as_ptr().add(first)) },
                None => _mm512_setzero_ps(),
            };
            for (row, sums) in sums.iter().enumerate() {
                let out = target.out.wrapping_add(row * target.stride + first);
                let mut sum = _mm512_fmadd_ps(sums[register], scale, bias);
                // SAFETY: the caller's promise, for the columns of the mask.
                unsafe {
                    if target.adds {
                        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, out));
                    }
                    _mm512_mask_storeu_ps(out, mask, sum);
                }
            }
        }
    }

    /// A mask of the first `columns` lanes.
    fn lanes(columns: usize) -> __mmask16 {
        if columns >= LANES {
            __mmask16::MAX
        } else {
            (1 << columns) - 1
        }
    }

    /// The same bits as pairs of bfloat16. With the features of its callers, without which it is a call.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn bfloat16(bits: __m512i) -> __m512bh {
        // SAFETY: both are 512 bits without invalid values.
        unsafe { std::mem::transmute(bits) }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::bf16;

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
        panel.pack(View::new(&right, 0, columns), 0..inner, 0..columns);
        let bias: Vec<f32> = (0..columns).map(value).collect();
        let product = |fast: bool| {
            let mut out = vec![1.0; rows * columns];
            let target = Target {
                scale: 0.5,
                bias: Some(&bias),
                out: out.as_mut_ptr(),
                stride: columns,
                adds: true,
            };
            // SAFETY: all values are set and as many as the product has; the instructions are there where they are used.
            unsafe {
                if fast {
                    panel.multiply(&a, 0..rows, 0, target);
                } else {
                    panel.multiply_singles(&a, 0..rows, 0, target);
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
        if is_supported() {
            for (fast, slow) in product(true).iter().zip(&everywhere) {
                assert!((fast - slow).abs() < 1e-5, "{fast} and {slow}");
            }
        }
    }
}
