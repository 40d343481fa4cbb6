//! Factors as the instructions read them: two neighbours of the inner dimension beside each other, in bfloat16.

use std::ops::Range;

use burn::tensor::bf16;
use multiversion::multiversion;

use super::super::product::View;

/// The bits of two neighbours.
pub(super) type Pair = [u16; 2];

/// Pairs that are turned at once: with the rows of as many as a cache line holds.
const TURNED: usize = 16;

/// What a factor may be stored in.
pub(in super::super) trait Source: Copy + Sync {
    /// Rounds a row.
    fn round(row: &[Self], out: &mut [u16]);

    /// Rounds two rows and puts their values beside each other; where there is no second, zeros.
    fn pair(first: &[Self], second: Option<&[Self]>, out: &mut [Pair]);
}

impl Source for f32 {
    fn round(row: &[Self], out: &mut [u16]) {
        round_singles(row, out);
    }

    fn pair(first: &[Self], second: Option<&[Self]>, out: &mut [Pair]) {
        match second {
            Some(second) => pair_singles(first, second, out),
            None => {
                for (out, &value) in out.iter_mut().zip(first) {
                    *out = [nearest(value), 0];
                }
            }
        }
    }
}

impl Source for bf16 {
    fn round(row: &[Self], out: &mut [u16]) {
        for (out, value) in out.iter_mut().zip(row) {
            *out = value.to_bits();
        }
    }

    fn pair(first: &[Self], second: Option<&[Self]>, out: &mut [Pair]) {
        match second {
            Some(second) => pair_halves(first, second, out),
            None => {
                for (out, value) in out.iter_mut().zip(first) {
                    *out = [value.to_bits(), 0];
                }
            }
        }
    }
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn round_singles(row: &[f32], out: &mut [u16]) {
    for (out, &value) in out.iter_mut().zip(row) {
        *out = nearest(value);
    }
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn pair_singles(first: &[f32], second: &[f32], out: &mut [Pair]) {
    for ((out, &first), &second) in out.iter_mut().zip(first).zip(second) {
        *out = [nearest(first), nearest(second)];
    }
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn pair_halves(first: &[bf16], second: &[bf16], out: &mut [Pair]) {
    for ((out, first), second) in out.iter_mut().zip(first).zip(second) {
        *out = [first.to_bits(), second.to_bits()];
    }
}

/// The nearest bfloat16, the even one of two; what is no number stays none.
#[inline(always)]
fn nearest(value: f32) -> u16 {
    let bits = value.to_bits();
    let even = (bits >> 16) & 1;
    let rounded = bits.wrapping_add(0x7fff + even) >> 16;
    let quiet = (bits >> 16) | 0x40;
    (if value.is_nan() { quiet } else { rounded }) as u16
}

/// Rounds a row to pairs, the last with a zero where the row is of odd length.
pub(super) fn round_row<T: Source>(row: &[T], out: &mut [Pair]) {
    if let Some(last) = out.last_mut() {
        last[1] = 0;
    }
    T::round(row, out.as_flattened_mut());
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
        for (pair, block) in block
            .chunks_exact_mut(columns.len())
            .take(height)
            .enumerate()
        {
            let row = 2 * (start + pair);
            let second = (row + 1 < inner).then(|| view.row(row + 1, columns.clone()));
            T::pair(view.row(row, columns.clone()), second, block);
        }
        for (column, out) in out.chunks_exact_mut(pairs).enumerate() {
            for (pair, out) in out[start..start + height].iter_mut().enumerate() {
                *out = block[pair * columns.len() + column];
            }
        }
    }
}

/// The rows of `view`, each as a column of pairs of its `inner` neighbours: `out` `[pairs, width]`, of whose columns
/// the first are set.
pub(super) fn rows_to_columns<T: Source>(
    view: View<T>,
    rows: Range<usize>,
    inner: Range<usize>,
    out: &mut [Pair],
    width: usize,
) {
    let mut block = [Pair::default(); TURNED];
    for (column, row) in rows.enumerate() {
        let row = view.row(row, inner.clone());
        for (values, out) in row.chunks(2 * TURNED).zip(out.chunks_mut(TURNED * width)) {
            let pairs = values.len().div_ceil(2);
            round_row(values, &mut block[..pairs]);
            for (out, &pair) in out[column..].iter_mut().step_by(width).zip(&block[..pairs]) {
                *out = pair;
            }
        }
    }
}
