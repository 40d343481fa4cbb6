//! Some columns of a weight, packed as the instructions read them, and their product with rows.

use std::ops::Range;

use burn::tensor::bf16;
use multiversion::multiversion;

use super::rows::Rows;

/// Columns of a panel: four registers of sixteen.
pub(super) const COLUMNS: usize = 64;

/// Rows that are multiplied together: with the columns as many sums as the registers hold.
const ROWS: usize = 6;

/// Columns of a weight: for each pair of inputs, for each column, both weights beside each other. Columns that the weight
/// lacks are zero, and so is the second of a last pair that has one.
#[derive(Default)]
pub(super) struct Panel {
    pairs: Vec<u32>,
    columns: usize,
}

/// Where a product goes.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// Added to every row.
    pub(super) bias: Option<&'a [f32]>,
    /// The first row's first column.
    pub(super) out: *mut f32,
    /// From a row to the next.
    pub(super) stride: usize,
    /// Whether the product is added onto what is there.
    pub(super) adds: bool,
}

/// Whether the processor has the instructions of [`Panel::multiply`].
pub(super) fn is_supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

impl Panel {
    /// The columns of `weight` `[inputs, outputs]` from `first` on.
    pub(super) fn pack(&mut self, weight: &[bf16], outputs: usize, first: usize) {
        self.columns = COLUMNS.min(outputs - first);
        let inputs = weight.len() / outputs;
        self.pairs.clear();
        self.pairs.resize(inputs.div_ceil(2) * COLUMNS, 0);
        pack(
            weight,
            outputs,
            first..first + self.columns,
            &mut self.pairs,
        );
    }

    /// Writes the product of some rows with the panel.
    ///
    /// # Safety
    /// The processor must have the instructions ([`is_supported`]), and the target be valid for writes of all
    /// rows and columns and, where it adds, hold values.
    pub(super) unsafe fn multiply(&self, rows: &Rows, range: Range<usize>, target: Target<'_>) {
        #[cfg(target_arch = "x86_64")]
        for (index, start) in range.clone().step_by(ROWS).enumerate() {
            let end = range.end.min(start + ROWS);
            let target = Target {
                out: target.out.wrapping_add(index * ROWS * target.stride),
                ..target
            };
            let (values, stride) = (rows.of(start..end), rows.stride());
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
}

#[multiversion(targets = "simd")]
fn pack(weight: &[bf16], outputs: usize, columns: Range<usize>, pairs: &mut [u32]) {
    let bits = |weight: &bf16| u32::from(weight.to_bits());
    let rows = weight.chunks(2 * outputs);
    for (two, out) in rows.zip(pairs.chunks_exact_mut(COLUMNS)) {
        let (first, second) = two.split_at(outputs);
        for (out, weight) in out.iter_mut().zip(&first[columns.clone()]) {
            *out = bits(weight);
        }
        // The last row of an odd number has no second one.
        for (out, weight) in out
            .iter_mut()
            .zip(second.get(columns.clone()).unwrap_or(&[]))
        {
            *out |= bits(weight) << 16;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{COLUMNS, Target};

    const LANES: usize = 16;

    const REGISTERS: usize = COLUMNS / LANES;

    /// `N` rows times a panel.
    ///
    /// # Safety
    /// As [`super::Panel::multiply`]; `values` holds `N` rows of `stride` values, `pairs` half as many times
    /// [`COLUMNS`].
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn tile<const N: usize>(
        values: &[u16],
        stride: usize,
        pairs: &[u32],
        columns: usize,
        target: Target<'_>,
    ) {
        assert!(values.len() == N * stride && pairs.len() == stride / 2 * COLUMNS);
        let mut sums = [[_mm512_setzero_ps(); REGISTERS]; N];
        let (rows, panel) = (values.as_ptr(), pairs.as_ptr());
        for pair in 0..stride / 2 {
            let mut weights = [_mm512_setzero_si512(); REGISTERS];
            for (register, weights) in weights.iter_mut().enumerate() {
                // SAFETY: within the pair's columns.
                *weights = unsafe {
                    _mm512_loadu_si512(panel.add(pair * COLUMNS + register * LANES).cast())
                };
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                // SAFETY: within the row.
                let both = unsafe {
                    rows.add(row * stride + 2 * pair)
                        .cast::<i32>()
                        .read_unaligned()
                };
                let both = bfloat16(_mm512_set1_epi32(both));
                for register in 0..REGISTERS {
                    sums[register] =
                        _mm512_dpbf16_ps(sums[register], both, bfloat16(weights[register]));
                }
            }
        }
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
                let mut sum = _mm512_add_ps(sums[register], bias);
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
