//! Matrix products of single-precision views, by a library whose kernels are chosen at run time.

use std::mem::MaybeUninit;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Multiply-adds above which a product is spread over threads, as Burn's Flex has it.
const PARALLEL_PRODUCT: usize = 192 * 192 * 192;

/// A matrix inside a larger row-major array: where it starts and how far its rows and columns lie
/// apart.
#[derive(Clone, Copy)]
pub(super) struct View {
    start: *const f32,
    row_stride: usize,
    column_stride: usize,
}

impl View {
    /// The matrix that starts at `start` of an array whose rows are `row_stride` long.
    pub(super) fn new(values: &[f32], start: usize, row_stride: usize) -> Self {
        Self {
            start: values[start..].as_ptr(),
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

    /// # Safety
    /// The view must cover `rows` and `columns` for as long as the matrix is used.
    unsafe fn matrix<'a>(self, rows: usize, columns: usize) -> MatRef<'a, f32> {
        let (row_stride, column_stride) = (self.row_stride as isize, self.column_stride as isize);
        // SAFETY: the caller's promise.
        unsafe { MatRef::from_raw_parts(self.start, rows, columns, row_stride, column_stride) }
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
/// The views must cover the given sizes and `out` must be valid for writes and overlap neither.
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
    let (out, a, b) = unsafe {
        (
            MatMut::from_raw_parts_mut(out, m, n, out_stride as isize, 1),
            a.matrix(m, k),
            b.matrix(k, n),
        )
    };
    matmul(out, onto, a, b, scale, threads);
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
    // SAFETY: the views are of slices of exactly their sizes; the rest is the caller's promise.
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

impl Operand<'_> {
    fn view(self, rows: usize, columns: usize) -> View {
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
