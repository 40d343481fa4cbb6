//! Multi-head self-attention on the interleaved projection: query, key and value are read where
//! they lie, and the scores of one head at a time live in cache, forward and backward.

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use faer::Par;
use multiversion::multiversion;
use rayon::prelude::*;

use super::math::exp;
use super::product::{Onto, View, product};
use super::{Elements, Output, tensor_from, written};

/// A product of one head, which has a core to itself.
///
/// # Safety
/// As [`product`].
unsafe fn of_head(
    sizes: [usize; 3],
    out: *mut f32,
    out_stride: usize,
    factors: [View; 2],
    scale: f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        product(
            sizes,
            out,
            out_stride,
            Onto::Nothing,
            factors,
            scale,
            Par::Seq,
        );
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

    fn views(self, qkv: &[f32], sample: usize, head: usize) -> [View; 3] {
        [0, 1, 2].map(|part| View::new(qkv, self.offset(sample, head, part), 3 * self.width))
    }

    /// Runs `task(scratch, sample, head)` for every head of every sample, on all cores.
    fn for_each_head(self, scratch: usize, task: impl Fn(&mut [f32], usize, usize) + Sync) {
        (0..self.batch * self.heads).into_par_iter().for_each_init(
            || vec![0.0; scratch],
            |scratch, index| task(scratch, index / self.heads, index % self.heads),
        );
    }
}

pub(super) fn forward(qkv: FlexTensor, heads: usize) -> FlexTensor {
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
    // SAFETY: every head of every sample writes all its columns of the output, each element once;
    // the views cover `tokens` rows of `head_width` columns inside `qkv`.
    let values = unsafe {
        written(batch * tokens * width, |out| {
            let out = Output(out.as_mut_ptr().cast());
            sizes.for_each_head(tokens * tokens, |scores, sample, head| {
                let [query, key, value] = sizes.views(qkv, sample, head);
                let out = out.at(sample * tokens * width + head * head_width);
                attention_weights(sizes, query, key, scores);
                let weights = View::new(scores, 0, tokens);
                let sizes = [tokens, head_width, tokens];
                of_head(sizes, out, width, [weights, value], 1.0);
            });
        })
    };
    tensor_from(values, Shape::new([batch, tokens, width]))
}

/// # Safety
/// The views must cover `[tokens, head_width]`.
unsafe fn attention_weights(sizes: Sizes, query: View, key: View, scores: &mut [f32]) {
    let tokens = sizes.tokens;
    let shape = [tokens, tokens, sizes.head_width()];
    // SAFETY: the caller's promise; `scores` holds `tokens * tokens` elements.
    unsafe {
        let factors = [query, key.transposed()];
        of_head(shape, scores.as_mut_ptr(), tokens, factors, sizes.scale());
    }
    softmax_rows(scores, tokens);
}

pub(super) fn backward(qkv: FlexTensor, grad: FlexTensor, heads: usize) -> FlexTensor {
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
    // SAFETY: every head of every sample writes all columns of its three parts, each element once;
    // the views cover `tokens` rows of `head_width` columns inside `qkv` and `grad`.
    let values = unsafe {
        written(batch * tokens * 3 * width, |out| {
            let out = Output(out.as_mut_ptr().cast());
            sizes.for_each_head(2 * square, |scratch, sample, head| {
                let [query, key, value] = sizes.views(qkv, sample, head);
                let grad = View::new(grad, sample * tokens * width + head * head_width, width);
                let part = |part| out.at(sizes.offset(sample, head, part));
                let (weights, scores) = scratch.split_at_mut(square);
                attention_weights(sizes, query, key, weights);
                let transposed = View::new(weights, 0, tokens).transposed();
                let by_tokens = [tokens, head_width, tokens];
                of_head(by_tokens, part(2), 3 * width, [transposed, grad], 1.0);

                let shape = [tokens, tokens, head_width];
                let factors = [grad, value.transposed()];
                of_head(shape, scores.as_mut_ptr(), tokens, factors, 1.0);
                softmax_backward_rows(weights, scores, tokens);
                let scores = View::new(scores, 0, tokens);
                let scale = sizes.scale();
                of_head(by_tokens, part(0), 3 * width, [scores, key], scale);
                let factors = [scores.transposed(), query];
                of_head(by_tokens, part(1), 3 * width, factors, scale);
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

#[multiversion(targets = "simd")]
fn softmax_rows(scores: &mut [f32], tokens: usize) {
    for row in scores.chunks_exact_mut(tokens) {
        let largest = reduce(row, f32::NEG_INFINITY, |a, b| if a > b { a } else { b });
        for value in row.iter_mut() {
            *value = exp(*value - largest);
        }
        let inverse = 1.0 / reduce(row, 0.0, |a, b| a + b);
        for value in row.iter_mut() {
            *value *= inverse;
        }
    }
}

/// `scores` holds the gradient of the weights and gets that of the scores.
#[multiversion(targets = "simd")]
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
