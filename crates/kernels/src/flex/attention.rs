//! Multi-head self-attention on the interleaved projection: query, key and value are read where
//! they lie, and the scores of one head at a time live in cache, forward and backward.

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use faer::Par;
use multiversion::multiversion;
use rayon::prelude::*;

use super::math::exp;
use super::packed::{COLUMNS, Out, Panel, Rows, Target};
use super::product::{Onto, View, product};
use super::{Elements, Output, tensor_from, written};

/// The products of one head, which has a core to itself.
enum Products {
    /// In single precision.
    Single,
    /// Of factors rounded to bfloat16.
    Half(Box<Scratch>),
}

/// What the rounded factors of a product are kept in.
#[derive(Default)]
struct Scratch {
    rows: Rows,
    panel: Panel,
    product: Vec<f32>,
}

impl Products {
    fn new(in_halves: bool) -> Self {
        if in_halves {
            Self::Half(Box::default())
        } else {
            Self::Single
        }
    }

    /// `out [m, n] = scale * a [m, k] b [k, n]`; `out` has rows `stride` apart.
    ///
    /// # Safety
    /// `out` must be valid for writes and overlap neither view.
    unsafe fn write(
        &mut self,
        sizes: [usize; 3],
        out: *mut f32,
        stride: usize,
        factors: [View; 2],
        scale: f32,
    ) {
        let [m, n, k] = sizes;
        let [a, b] = factors;
        match self {
            // SAFETY: the caller's promise.
            Self::Single => unsafe {
                product(sizes, out, stride, Onto::Nothing, factors, scale, Par::Seq);
            },
            // Turning the large factor costs more than turning the product: `(a b)^T = b^T a^T`.
            Self::Half(scratch) if a.is_transposed() => {
                scratch.rows.set_columns(b, k, n);
                let mut product = std::mem::take(&mut scratch.product);
                product.resize(m * n, 0.0);
                // SAFETY: the product has `n` rows of `m` values.
                unsafe { scratch.write(product.as_mut_ptr(), m, a.transposed(), m, scale) };
                for row in 0..m {
                    for column in 0..n {
                        // SAFETY: the caller's promise.
                        unsafe {
                            out.add(row * stride + column)
                                .write(product[column * m + row])
                        };
                    }
                }
                scratch.product = product;
            }
            Self::Half(scratch) => {
                scratch.rows.set(a, m, k);
                // SAFETY: the caller's promise.
                unsafe { scratch.write(out, stride, b, n, scale) };
            }
        }
    }
}

impl Scratch {
    /// The product of all rows with a factor of `columns` columns.
    ///
    /// # Safety
    /// `out` must be valid for writes of all rows, which lie `stride` apart.
    unsafe fn write(
        &mut self,
        out: *mut f32,
        stride: usize,
        factor: View,
        columns: usize,
        scale: f32,
    ) {
        for first in (0..columns).step_by(COLUMNS) {
            let target = Target {
                scale,
                bias: None,
                gelu: false,
                onto: None,
                out: Out::Single(out.wrapping_add(first)),
                stride,
            };
            let (range, part) = (0..self.rows.count(), first..columns.min(first + COLUMNS));
            let (rows, inputs) = (self.rows.units(), self.rows.inputs());
            // SAFETY: the caller's promise.
            unsafe {
                self.panel
                    .product(rows, range, factor, inputs, part, target)
            };
        }
    }
}

/// The sizes of one call.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    tokens: usize,
    width: usize,
    heads: usize,
}

impl Sizes {
    fn new(qkv: &FlexTensor, heads: usize) -> Self {
        let [batch, tokens, triple] = qkv.shape().dims();
        Self {
            batch,
            tokens,
            width: triple / 3,
            heads,
        }
    }

    fn head_width(self) -> usize {
        self.width / self.heads
    }

    fn scale(self) -> f32 {
        (self.head_width() as f32).powf(-0.5)
    }

    /// Where query (0), key (1) or value (2) of a sample's head starts in `qkv`.
    fn offset(self, sample: usize, head: usize, part: usize) -> usize {
        sample * self.tokens * 3 * self.width + part * self.width + head * self.head_width()
    }

    fn views(self, qkv: &[f32], sample: usize, head: usize) -> [View<'_>; 3] {
        [0, 1, 2].map(|part| View::new(qkv, self.offset(sample, head, part), 3 * self.width))
    }

    /// Runs `task(products, scratch, sample, head)` for every head of every sample, on all cores.
    fn for_each_head(
        self,
        in_halves: bool,
        scratch: usize,
        task: impl Fn(&mut Products, &mut [f32], usize, usize) + Sync,
    ) {
        (0..self.batch * self.heads).into_par_iter().for_each_init(
            || (Products::new(in_halves), vec![0.0; scratch]),
            |(products, scratch), index| {
                task(products, scratch, index / self.heads, index % self.heads);
            },
        );
    }
}

/// Products are of factors in single precision or rounded to bfloat16; all else is in single precision.
pub(super) fn forward(qkv: FlexTensor, heads: usize, in_halves: bool) -> FlexTensor {
    let sizes = Sizes::new(&qkv, heads);
    let Sizes {
        batch,
        tokens,
        width,
        ..
    } = sizes;
    let head_width = sizes.head_width();
    let qkv = Elements::new(qkv);
    let qkv = qkv.slice();
    // SAFETY: every head of every sample writes all its columns of the output, each element once.
    let values = unsafe {
        written(batch * tokens * width, |out| {
            let out = Output(out.as_mut_ptr().cast());
            sizes.for_each_head(
                in_halves,
                (tokens + 1) * tokens,
                |products, scores, sample, head| {
                    let out = out.at(sample * tokens * width + head * head_width);
                    forward_head(products, scores, sizes, qkv, [sample, head], out);
                },
            );
        })
    };
    tensor_from(values, Shape::new([batch, tokens, width]))
}

/// One head's output, in rows `width` apart; `scores` has room for those of each two tokens and a row more.
///
/// # Safety
/// `out` must be valid for writes of the head's columns of all rows.
unsafe fn forward_head(
    products: &mut Products,
    scores: &mut [f32],
    sizes: Sizes,
    qkv: &[f32],
    [sample, head]: [usize; 2],
    out: *mut f32,
) {
    let [query, key, value] = sizes.views(qkv, sample, head);
    let (tokens, head_width) = (sizes.tokens, sizes.head_width());
    let (scores, totals) = scores.split_at_mut(tokens * tokens);
    attention_scores(products, sizes, query, key, scores);
    exponential_rows(scores, totals);
    let factors = [View::new(scores, 0, tokens), value];
    // SAFETY: the caller's promise.
    unsafe {
        products.write([tokens, head_width, tokens], out, sizes.width, factors, 1.0);
        // What remains of the softmax is done to the outputs, which are fewer than the scores.
        for (row, total) in totals.iter().enumerate() {
            let out = out.wrapping_add(row * sizes.width);
            let inverse = 1.0 / total;
            for value in std::slice::from_raw_parts_mut(out, head_width) {
                *value *= inverse;
            }
        }
    }
}

/// What one core needs to attend to the tokens of one sample after another.
#[derive(Default)]
pub(super) struct Sample {
    products: Option<Products>,
    scores: Vec<f32>,
    attended: Vec<f32>,
}

impl Sample {
    /// The outputs of all heads `[tokens, width]` of one sample's `qkv` `[tokens, 3 width]`.
    pub(super) fn attend(
        &mut self,
        qkv: &[f32],
        width: usize,
        heads: usize,
        in_halves: bool,
    ) -> &[f32] {
        let tokens = qkv.len() / (3 * width).max(1);
        let sizes = Sizes {
            batch: 1,
            tokens,
            width,
            heads,
        };
        self.scores.resize((tokens + 1) * tokens, 0.0);
        self.attended.resize(tokens * width, 0.0);
        let products = self
            .products
            .get_or_insert_with(|| Products::new(in_halves));
        for head in 0..heads {
            let out = self
                .attended
                .as_mut_ptr()
                .wrapping_add(head * sizes.head_width());
            // SAFETY: all rows of the outputs are there.
            unsafe { forward_head(products, &mut self.scores, sizes, qkv, [0, head], out) };
        }
        &self.attended
    }
}

/// The scores of one head, from `[tokens, head_width]` of query and key.
fn attention_scores(
    products: &mut Products,
    sizes: Sizes,
    query: View,
    key: View,
    scores: &mut [f32],
) {
    let tokens = sizes.tokens;
    assert_eq!(scores.len(), tokens * tokens, "a score of each two tokens");
    let shape = [tokens, tokens, sizes.head_width()];
    let factors = [query, key.transposed()];
    // SAFETY: the scores are borrowed mutably and as many as the product has.
    unsafe { products.write(shape, scores.as_mut_ptr(), tokens, factors, sizes.scale()) };
}

pub(super) fn backward(
    qkv: FlexTensor,
    grad: FlexTensor,
    heads: usize,
    in_halves: bool,
) -> FlexTensor {
    let sizes = Sizes::new(&qkv, heads);
    let Sizes {
        batch,
        tokens,
        width,
        ..
    } = sizes;
    let head_width = sizes.head_width();
    let (qkv, grad) = (Elements::new(qkv), Elements::new(grad));
    let (qkv, grad) = (qkv.slice(), grad.slice());
    let square = tokens * tokens;
    // SAFETY: every head of every sample writes all columns of its three parts, each element once.
    let values = unsafe {
        written(batch * tokens * 3 * width, |out| {
            let out = Output(out.as_mut_ptr().cast());
            sizes.for_each_head(in_halves, 2 * square, |products, scratch, sample, head| {
                let [query, key, value] = sizes.views(qkv, sample, head);
                let grad = View::new(grad, sample * tokens * width + head * head_width, width);
                let part = |part| out.at(sizes.offset(sample, head, part));
                let (weights, scores) = scratch.split_at_mut(square);
                attention_scores(products, sizes, query, key, weights);
                softmax_rows(weights, tokens);
                let transposed = View::new(weights, 0, tokens).transposed();
                let by_tokens = [tokens, head_width, tokens];
                products.write(by_tokens, part(2), 3 * width, [transposed, grad], 1.0);

                let shape = [tokens, tokens, head_width];
                let factors = [grad, value.transposed()];
                products.write(shape, scores.as_mut_ptr(), tokens, factors, 1.0);
                softmax_backward_rows(weights, scores, tokens);
                let scores = View::new(scores, 0, tokens);
                let scale = sizes.scale();
                products.write(by_tokens, part(0), 3 * width, [scores, key], scale);
                let factors = [scores.transposed(), query];
                products.write(by_tokens, part(1), 3 * width, factors, scale);
            });
        })
    };
    tensor_from(values, Shape::new([batch, tokens, 3 * width]))
}

/// Partial results that let the compiler reduce in vector registers.
const LANES: usize = 16;

#[inline(always)]
fn reduce(row: &[f32], start: f32, combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = combine(*lane, value);
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(start, |total, &value| combine(total, value))
}

/// Makes each score `e` to the power of its distance to the largest, and returns their sum.
#[inline(always)]
fn exponentials(row: &mut [f32]) -> f32 {
    let largest = reduce(row, f32::NEG_INFINITY, |a, b| if a > b { a } else { b });
    for value in row.iter_mut() {
        *value = exp(*value - largest);
    }
    reduce(row, 0.0, |a, b| a + b)
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn exponential_rows(scores: &mut [f32], totals: &mut [f32]) {
    let tokens = totals.len();
    for (row, total) in scores.chunks_exact_mut(tokens).zip(totals) {
        *total = exponentials(row);
    }
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn softmax_rows(scores: &mut [f32], tokens: usize) {
    for row in scores.chunks_exact_mut(tokens) {
        let inverse = 1.0 / exponentials(row);
        for value in row.iter_mut() {
            *value *= inverse;
        }
    }
}

/// `scores` holds the gradient of the weights and gets that of the scores.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn softmax_backward_rows(weights: &[f32], scores: &mut [f32], tokens: usize) {
    for (weights, scores) in weights
        .chunks_exact(tokens)
        .zip(scores.chunks_exact_mut(tokens))
    {
        for (score, weight) in scores.iter_mut().zip(weights) {
            *score *= weight;
        }
        let total = reduce(scores, 0.0, |a, b| a + b);
        for (score, weight) in scores.iter_mut().zip(weights) {
            *score -= weight * total;
        }
    }
}
