//! The product of a few rows with a panel's columns, whose sums stay in registers, and what becomes of it.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use super::pairs::Source;

/// Where values go.
#[derive(Clone, Copy)]
pub(in super::super) enum Out {
    Single(*mut f32),
    /// Rounded to bfloat16.
    Half(*mut u16),
}

/// Where a product goes, and what becomes of it before.
#[derive(Clone, Copy)]
pub(in super::super) struct Target<'a> {
    /// What the product is multiplied by.
    pub(in super::super) scale: f32,
    /// Added to every row.
    pub(in super::super) bias: Option<&'a [f32]>,
    /// Whether GELU follows.
    pub(in super::super) gelu: bool,
    /// Where what it is added to begins, with rows as far apart as the output's.
    pub(in super::super) onto: Option<*const f32>,
    /// The first row's first column.
    pub(in super::super) out: Out,
    /// From a row to the next, in values.
    pub(in super::super) stride: usize,
}

impl Target<'_> {
    /// The target `offset` values further on, for these columns of the bias.
    pub(super) fn moved(self, offset: usize, columns: Range<usize>) -> Self {
        Self {
            bias: self.bias.map(|bias| &bias[columns]),
            onto: self.onto.map(|onto| onto.wrapping_add(offset)),
            out: match self.out {
                Out::Single(out) => Out::Single(out.wrapping_add(offset)),
                Out::Half(out) => Out::Half(out.wrapping_add(offset)),
            },
            ..self
        }
    }

    /// The target of the part of the inner dimension that begins at `start`: all but the first are added.
    pub(super) fn for_part(self, start: usize) -> Self {
        match self.sums() {
            Some(sums) if start > 0 => Self {
                bias: None,
                onto: Some(sums),
                ..self
            },
            _ => self,
        }
    }

    /// Where sums of a part of the inner dimension may be left for those of the next to be added to.
    pub(super) fn sums(&self) -> Option<*mut f32> {
        match self.out {
            Out::Single(out) if !self.gelu => Some(out),
            _ => None,
        }
    }
}

/// Values of a register.
#[cfg(target_arch = "x86_64")]
pub(super) const LANES: usize = 16;

#[cfg(target_arch = "x86_64")]
macro_rules! tile {
    ($name:ident, $features:literal, |$sum:ident, $row:ident, $weight:ident| $multiply_add:expr) => {
        /// # Safety
        /// As [`super::format::Format::tile`].
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name<const N: usize, const R: usize>(
            [rows, panel]: [*const i32; 2],
            stride: usize,
            units: usize,
            columns: usize,
            target: Target<'_>,
        ) {
            let mut sums = [[_mm512_setzero_ps(); R]; N];
            for unit in 0..units {
                let mut weights = [_mm512_setzero_si512(); R];
                for (register, weights) in weights.iter_mut().enumerate() {
                    // SAFETY: within the unit's columns.
                    *weights = unsafe {
                        _mm512_loadu_si512(
                            panel.add(unit * super::COLUMNS + register * LANES).cast(),
                        )
                    };
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: within the row.
                    let values = unsafe { rows.add(row * stride + unit).read_unaligned() };
                    let $row = _mm512_set1_epi32(values);
                    for register in 0..R {
                        let ($sum, $weight) = (sums[register], weights[register]);
                        sums[register] = $multiply_add;
                    }
                }
            }
            // Small rounds of a known number, which are unrolled, leave the sums in registers.
            if let Some(out) = target.sums() {
                let scale = _mm512_set1_ps(target.scale);
                for register in 0..R {
                    let first = register * LANES;
                    // Not the loop's end, for the same reason.
                    if first >= columns {
                        break;
                    }
                    let mask = lanes(columns - first);
                    let bias = match target.bias {
                        // SAFETY: the bias has all columns.
                        Some(bias) => unsafe {
                            _mm512_maskz_loadu_ps(mask, bias.as_ptr().add(first))
                        },
                        None => _mm512_setzero_ps(),
                    };
                    for (row, sums) in sums.iter().enumerate() {
                        let offset = row * target.stride + first;
                        let mut sum = _mm512_fmadd_ps(sums[register], scale, bias);
                        // SAFETY: the caller's promise, for the columns of the mask.
                        unsafe {
                            if let Some(onto) = target.onto {
                                let before = _mm512_maskz_loadu_ps(mask, onto.wrapping_add(offset));
                                sum = _mm512_add_ps(sum, before);
                            }
                            _mm512_mask_storeu_ps(out.wrapping_add(offset), mask, sum);
                        }
                    }
                }
            } else {
                let mut values = [[[0f32; LANES]; R]; N];
                for (row, values) in values.iter_mut().enumerate() {
                    for (register, values) in values.iter_mut().enumerate() {
                        // SAFETY: as many values as the register has.
                        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), sums[row][register]) };
                    }
                }
                // SAFETY: the caller's promise.
                unsafe { finish(values.as_flattened_mut(), [R, columns], target) };
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
tile!(single, "avx512f", |sum, row, weight| {
    _mm512_fmadd_ps(_mm512_castsi512_ps(row), _mm512_castsi512_ps(weight), sum)
});

#[cfg(target_arch = "x86_64")]
tile!(half, "avx512f,avx512bf16", |sum, row, weight| {
    _mm512_dpbf16_ps(sum, bfloat16(row), bfloat16(weight))
});

/// The same bits as pairs of bfloat16. With the features of its callers, without which it is a call.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn bfloat16(bits: __m512i) -> __m512bh {
    // SAFETY: both are 512 bits without invalid values.
    unsafe { std::mem::transmute(bits) }
}

/// Stores the first `columns` columns of sums, of which there are `registers` to a row, after GELU or rounded.
///
/// # Safety
/// The target must be valid for writes of them, and what they are added to for reads.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn finish(sums: &mut [[f32; LANES]], [registers, columns]: [usize; 2], target: Target<'_>) {
    let bias = target.bias.unwrap_or(&[0.0; super::COLUMNS]);
    for (row, sums) in sums.chunks_exact_mut(registers).enumerate() {
        let offset = row * target.stride;
        let sums = &mut sums.as_flattened_mut()[..columns];
        for (sum, bias) in sums.iter_mut().zip(bias) {
            *sum = sum.mul_add(target.scale, *bias);
        }
        if let Some(onto) = target.onto {
            for (column, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                *sum += unsafe { onto.wrapping_add(offset + column).read() };
            }
        }
        if target.gelu {
            super::super::elementwise::gelu_fused(sums);
        }
        match target.out {
            // SAFETY: the caller's promise.
            Out::Single(out) => unsafe {
                std::slice::from_raw_parts_mut(out.wrapping_add(offset), columns)
                    .copy_from_slice(sums);
            },
            Out::Half(out) => {
                // SAFETY: the caller's promise.
                let out =
                    unsafe { std::slice::from_raw_parts_mut(out.wrapping_add(offset), columns) };
                Source::round(sums, out);
            }
        }
    }
}

/// A mask of the first `columns` lanes.
#[cfg(target_arch = "x86_64")]
fn lanes(columns: usize) -> __mmask16 {
    if columns >= LANES {
        __mmask16::MAX
    } else {
        (1 << columns) - 1
    }
}
