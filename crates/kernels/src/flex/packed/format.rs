//! What the factors of a packed product are stored in.

use std::cell::RefCell;
use std::ops::Range;
use std::thread::LocalKey;

use burn::tensor::bf16;

use super::super::Elements;
use super::super::product::View;
use super::COLUMNS;
use super::block::Scratch;
use super::pairs::{self, Pair, round_rows};
#[cfg(target_arch = "x86_64")]
use super::tile::{self, Target};

/// The precision of the factors. Sums are in single precision.
pub(in super::super) trait Format: Copy + Send + Sync + 'static {
    /// What a weight is stored in.
    type Value: Copy + Sync;
    /// Neighbours of the inner dimension in 32 bits, as the instructions read them. Those that the factor lacks are
    /// zero.
    type Unit: Copy + Default + Send + Sync + 'static;
    /// Values of a unit.
    const VALUES: usize;
    /// Whether factors are rounded.
    const IN_HALVES: bool;

    /// Whether the processor has the instructions.
    fn is_supported() -> bool;

    /// The values of a weight.
    fn values(weight: &Elements) -> &[Self::Value];

    /// Some columns of some rows of a factor, each [`Self::VALUES`] rows as a row of units of a panel.
    fn pack(
        factor: View<Self::Value>,
        rows: Range<usize>,
        columns: Range<usize>,
        out: &mut [Self::Unit],
    );

    /// Rows of `inputs` values as rows of units, in `buffer` unless they are that already.
    fn units<'a>(
        rows: &'a [f32],
        inputs: usize,
        buffer: &'a mut Vec<Self::Unit>,
    ) -> &'a [Self::Unit];

    /// The memory that each thread keeps for what lies between the products of a block of rows.
    fn scratch() -> &'static LocalKey<RefCell<Scratch<Self>>>;

    /// Where units that a product writes begin.
    fn target(units: &mut [Self::Unit]) -> super::Out;

    /// `N` rows, which lie `stride` units apart, times `units` units of each of a panel's columns, of which the first
    /// `16 R` are wanted.
    ///
    /// # Safety
    /// The processor must have the instructions, and both factors must be valid for reads and the target for writes
    /// of `columns` columns of all rows.
    #[cfg(target_arch = "x86_64")]
    unsafe fn tile<const N: usize, const R: usize>(
        factors: [*const i32; 2],
        stride: usize,
        units: usize,
        columns: usize,
        target: Target<'_>,
    );
}

/// Factors in single precision.
#[derive(Clone, Copy)]
pub(in super::super) struct Single;

/// Factors rounded to bfloat16, two neighbours beside each other.
#[derive(Clone, Copy)]
pub(in super::super) struct Half;

thread_local! {
    static SINGLE: RefCell<Scratch<Single>> = RefCell::default();
    static HALF: RefCell<Scratch<Half>> = RefCell::default();
}

impl Format for Single {
    type Value = f32;
    type Unit = f32;
    const VALUES: usize = 1;
    const IN_HALVES: bool = false;

    fn is_supported() -> bool {
        #[cfg(target_arch = "x86_64")]
        return is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    fn values(weight: &Elements) -> &[f32] {
        weight.slice()
    }

    fn pack(factor: View, rows: Range<usize>, columns: Range<usize>, out: &mut [f32]) {
        for (row, out) in rows.zip(out.chunks_exact_mut(COLUMNS)) {
            out[..columns.len()].copy_from_slice(factor.row(row, columns.clone()));
        }
    }

    fn units<'a>(rows: &'a [f32], _: usize, _: &'a mut Vec<f32>) -> &'a [f32] {
        rows
    }

    fn scratch() -> &'static LocalKey<RefCell<Scratch<Self>>> {
        &SINGLE
    }

    fn target(units: &mut [f32]) -> super::Out {
        super::Out::Single(units.as_mut_ptr())
    }

    #[cfg(target_arch = "x86_64")]
    unsafe fn tile<const N: usize, const R: usize>(
        factors: [*const i32; 2],
        stride: usize,
        units: usize,
        columns: usize,
        target: Target<'_>,
    ) {
        // SAFETY: the caller's promise.
        unsafe { tile::single::<N, R>(factors, stride, units, columns, target) }
    }
}

impl Format for Half {
    type Value = bf16;
    type Unit = Pair;
    const VALUES: usize = 2;
    const IN_HALVES: bool = true;

    fn is_supported() -> bool {
        #[cfg(target_arch = "x86_64")]
        return Single::is_supported() && is_x86_feature_detected!("avx512bf16");
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    fn values(weight: &Elements) -> &[bf16] {
        weight.halves()
    }

    fn pack(factor: View<bf16>, rows: Range<usize>, columns: Range<usize>, out: &mut [Pair]) {
        pairs::pack(factor, rows, columns, out);
    }

    fn units<'a>(rows: &'a [f32], inputs: usize, buffer: &'a mut Vec<Pair>) -> &'a [Pair] {
        let count = rows.len() / inputs.max(1);
        buffer.resize(count * inputs.div_ceil(2), Pair::default());
        round_rows(View::new(rows, 0, inputs), 0..count, 0..inputs, buffer);
        buffer
    }

    fn scratch() -> &'static LocalKey<RefCell<Scratch<Self>>> {
        &HALF
    }

    fn target(units: &mut [Pair]) -> super::Out {
        super::Out::Half(units.as_mut_ptr().cast())
    }

    #[cfg(target_arch = "x86_64")]
    unsafe fn tile<const N: usize, const R: usize>(
        factors: [*const i32; 2],
        stride: usize,
        units: usize,
        columns: usize,
        target: Target<'_>,
    ) {
        // SAFETY: the caller's promise.
        unsafe { tile::half::<N, R>(factors, stride, units, columns, target) }
    }
}
