//! Factors as the instructions read them: two neighbours of the inner dimension beside each other, in bfloat16.

use std::ops::Range;

use burn::tensor::bf16;
use multiversion::multiversion;

use super::super::product::View;
use super::COLUMNS;
#[cfg(target_arch = "x86_64")]
use super::format::{Format, Half};

/// The bits of two neighbours.
pub(super) type Pair = [u16; 2];

/// Pairs that are turned at once: with the rows of as many as a cache line holds.
const TURNED: usize = 16;

/// What a factor may be stored in.
pub(in super::super) trait Source: Copy + Sync + Sized {
    /// The bits of the nearest bfloat16, the even one of two; what is no number stays none.
    fn bits(self) -> u16;

    /// [`Self::bits`] of as many values as there is room for.
    #[inline(always)]
    fn round(values: &[Self], out: &mut [u16]) {
        for (out, value) in out.iter_mut().zip(values) {
            *out = value.bits();
        }
    }
}

impl Source for f32 {
    #[inline(always)]
    fn bits(self) -> u16 {
        let bits = self.to_bits();
        let even = (bits >> 16) & 1;
        let rounded = bits.wrapping_add(0x7fff + even) >> 16;
        let quiet = (bits >> 16) | 0x40;
        (if self.is_nan() { quiet } else { rounded }) as u16
    }

    #[inline]
    fn round(values: &[Self], out: &mut [u16]) {
        #[cfg(target_arch = "x86_64")]
        if Half::is_supported() {
            // SAFETY: the processor has the instructions.
            return unsafe { x86::round(values, out) };
        }
        for (out, value) in out.iter_mut().zip(values) {
            *out = value.bits();
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::super::tile::LANES;

    /// As many values as there is room for; those too small for a normal number become zero, as they count in
    /// products.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn round(values: &[f32], out: &mut [u16]) {
        let chunks = out.chunks_mut(LANES).zip(values.chunks(LANES));
        for (out, values) in chunks {
            if let (Ok(out), Ok(values)) = (
                <&mut [u16; LANES]>::try_from(&mut *out),
                <&[f32; LANES]>::try_from(values),
            ) {
                // SAFETY: both arrays have as many values as the registers.
                unsafe {
                    let rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(values.as_ptr()));
                    out.as_mut_ptr().cast::<__m256bh>().write_unaligned(rounded);
                }
            } else {
                for (out, value) in out.iter_mut().zip(values) {
                    *out = super::Source::bits(*value);
                }
            }
        }
    }
}

impl Source for bf16 {
    #[inline(always)]
    fn bits(self) -> u16 {
        self.to_bits()
    }
}

/// Some columns of some rows, each row as pairs of neighbours, the last with a zero where they are of odd number.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
pub(super) fn round_rows<T: Source>(
    view: View<T>,
    rows: Range<usize>,
    columns: Range<usize>,
    out: &mut [Pair],
) {
    let pairs = columns.len().div_ceil(2);
    for (row, out) in rows.zip(out.chunks_exact_mut(pairs)) {
        if let Some(last) = out.last_mut() {
            last[1] = 0;
        }
        T::round(view.row(row, columns.clone()), out.as_flattened_mut());
    }
}

/// Some columns of some rows, each two rows' values beside each other in a row of `out`, which is `width` wide; zeros
/// stand beside the last row of an odd number.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn pair_rows<T: Source>(
    view: View<T>,
    rows: Range<usize>,
    columns: Range<usize>,
    out: &mut [Pair],
    width: usize,
) {
    for (row, out) in rows.clone().step_by(2).zip(out.chunks_exact_mut(width)) {
        let first = view.row(row, columns.clone());
        if row + 1 < rows.end {
            let second = view.row(row + 1, columns.clone());
            for ((out, first), second) in out.iter_mut().zip(first).zip(second) {
                *out = [first.bits(), second.bits()];
            }
        } else {
            for (out, value) in out.iter_mut().zip(first) {
                *out = [value.bits(), 0];
            }
        }
    }
}

/// Some columns of some rows of a factor, each pair of rows as a row of a panel.
pub(super) fn pack<T: Source>(
    factor: View<T>,
    rows: Range<usize>,
    columns: Range<usize>,
    out: &mut [Pair],
) {
    if factor.is_transposed() {
        rows_to_columns(factor.transposed(), columns, rows, out);
    } else {
        pair_rows(factor, rows, columns, out, COLUMNS);
    }
}

/// Both values of pairs in single precision.
pub(super) fn singles(pairs: &[Pair]) -> impl Iterator<Item = f32> {
    let bits = pairs.as_flattened().iter();
    bits.map(|&bits| bf16::from_bits(bits).to_f32())
}

/// The columns of `view`, each as a row of pairs of its `inner` neighbours: `out` `[columns, pairs]`.
pub(super) fn columns_to_rows<T: Source>(
    view: View<T>,
    inner: usize,
    columns: Range<usize>,
    out: &mut [Pair],
) {
    let pairs = inner.div_ceil(2);
    let mut block = vec![Pair::default(); TURNED * columns.len()];
    for start in (0..pairs).step_by(TURNED) {
        let height = TURNED.min(pairs - start);
        let rows = 2 * start..inner.min(2 * (start + height));
        pair_rows(view, rows, columns.clone(), &mut block, columns.len());
        for (column, out) in out.chunks_exact_mut(pairs).enumerate() {
            for (pair, out) in out[start..start + height].iter_mut().enumerate() {
                *out = block[pair * columns.len() + column];
            }
        }
    }
}

/// The rows of `view`, each as a column of a panel, of pairs of its `inner` neighbours.
fn rows_to_columns<T: Source>(
    view: View<T>,
    rows: Range<usize>,
    inner: Range<usize>,
    out: &mut [Pair],
) {
    let mut block = vec![Pair::default(); TURNED * rows.len()];
    let parts = inner.clone().step_by(2 * TURNED);
    for (start, out) in parts.zip(out.chunks_mut(TURNED * COLUMNS)) {
        let part = start..inner.end.min(start + 2 * TURNED);
        let height = part.len().div_ceil(2);
        round_rows(view, rows.clone(), part, &mut block[..height * rows.len()]);
        for (pair, out) in out.chunks_exact_mut(COLUMNS).take(height).enumerate() {
            for (column, out) in out[..rows.len()].iter_mut().enumerate() {
                *out = block[column * height + pair];
            }
        }
    }
}
