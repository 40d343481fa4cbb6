//! Matrix products of single-precision views, by a library whose kernels are chosen at run time.

use std::mem::MaybeUninit;
use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Multiply-adds above which a product is spread over threads, as Burn's Flex has it.
const PARALLEL_PRODUCT: usize = 192 * 192 * 192;

/// A matrix inside a larger row-major array: how far its rows and columns lie apart.
#[derive(Clone, Copy)]
pub(super) struct View<'a, T = f32> {
    values: &'a [T],
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T: Copy> View<'a, T> {
    /// The matrix that starts at `start` of an array whose rows are `row_stride` long.
    pub(super) fn new(values: &'a [T], start: usize, row_stride: usize) -> Self {
        Self {
            values: &values[start..],
            row_stride,
            column_stride: 1,
        }
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Whether it is the transpose of what lies there.
    pub(super) fn is_transposed(self) -> bool {
        self.column_stride != 1
    }

    /// Some neighbours of a row of a matrix that is not transposed.
    #[inline(always)]
    pub(super) fn row(self, row: usize, columns: Range<usize>) -> &'a [T] {
        debug_assert!(!self.is_transposed());
        let start = row * self.row_stride;
        &self.values[start + columns.start..start + columns.end]
    }

    /// # Panics
    /// Where the array ends before the last element.
    fn matrix(self, rows: usize, columns: usize) -> MatRef<'a, T> {
        let last = |count: usize, stride: usize| count.saturating_sub(1) * stride;
        let end = last(rows, self.row_stride) + last(columns, self.column_stride);
        assert!(rows * columns == 0 || end < self.values.len());
        let (row_stride, column_stride) = (self.row_stride as isize, self.column_stride as isize);
        let start = self.values.as_ptr();
        // SAFETY: the last element lies within the array.
        unsafe { MatRef::from_raw_parts(start, rows, columns, row_stride, column_stride) }
    }
}

/// What becomes of the values that are there before a product.
#[derive(Clone, Copy)]
pub(super) enum Onto {
    /// The product takes their place; they need not be set.
    Nothing,
    /// The product is added to them.
    Values,
}

/// `out [m, n] = scale * a [m, k] b [k, n]`, or added onto it; `out` has rows `out_stride` apart.
///
/// # Safety
/// `out` must be valid for writes and overlap neither view.
pub(super) unsafe fn product(
    [m, n, k]: [usize; 3],
    out: *mut f32,
    out_stride: usize,
    onto: Onto,
    [a, b]: [View; 2],
    scale: f32,
    threads: Par,
) {
    let onto = match onto {
        Onto::Nothing => Accum::Replace,
        Onto::Values => Accum::Add,
    };
    // SAFETY: the caller's promise.
    let out = unsafe { MatMut::from_raw_parts_mut(out, m, n, out_stride as isize, 1) };
    matmul(out, onto, a.matrix(m, k), b.matrix(k, n), scale, threads);
}

/// Adds `a [m, k] b [k, n]`, each of them an array or the transpose of one, to `out` `[m, n]`: on all
/// cores, where the product is large enough.
pub(super) fn add_product(sizes: [usize; 3], out: &mut [f32], a: Operand, b: Operand) {
    let length = out.len();
    // SAFETY: `out` is borrowed mutably, and all of it is set.
    unsafe { multiply(sizes, out.as_mut_ptr(), length, Onto::Values, a, b) };
}

/// [`add_product`] to nothing: sets every element of `out`.
pub(super) fn write_product(
    sizes: [usize; 3],
    out: &mut [MaybeUninit<f32>],
    a: Operand,
    b: Operand,
) {
    let length = out.len();
    // SAFETY: `out` is borrowed mutably.
    unsafe { multiply(sizes, out.as_mut_ptr().cast(), length, Onto::Nothing, a, b) };
}

/// # Safety
/// `out` must be valid for writes of `length` elements and overlap neither factor, and its elements
/// must be set where the product is added onto them.
unsafe fn multiply(
    sizes: [usize; 3],
    out: *mut f32,
    length: usize,
    onto: Onto,
    a: Operand,
    b: Operand,
) {
    let [m, n, k] = sizes;
    assert_eq!(length, m * n, "a product of {m} rows of {n} values");
    let threads = if m * n * k >= PARALLEL_PRODUCT {
        Par::rayon(0)
    } else {
        Par::Seq
    };
    let views = [a.view(m, k), b.view(k, n)];
    // SAFETY: the caller's promise.
    unsafe { product(sizes, out, n, onto, views, 1.0, threads) };
}

/// A factor of a product: a whole row-major array.
#[derive(Clone, Copy)]
pub(super) enum Operand<'a> {
    /// As it lies.
    Plain(&'a [f32]),
    /// Its transpose.
    Transposed(&'a [f32]),
}

impl<'a> Operand<'a> {
    fn view(self, rows: usize, columns: usize) -> View<'a> {
        let (values, view) = match self {
            Self::Plain(values) => (values, View::new(values, 0, columns)),
            Self::Transposed(values) => (values, View::new(values, 0, rows).transposed()),
        };
        assert_eq!(
            values.len(),
            rows * columns,
            "{rows} rows of {columns} values"
        );
        view
    }
}
