//! The operations of `adadiff_model::kernels` as their formulas, in ordinary tensor operations.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// `x Phi(x)`.
pub fn gelu<B: Backend>(x: Tensor<B, 3>) -> Tensor<B, 3> {
    let cumulative = ((x.clone() / 2f64.sqrt()).erf() + 1.0) * 0.5;
    x * cumulative
}

/// `1 / (1 + exp(-x))`.
pub fn sigmoid<B: Backend>(x: Tensor<B, 3>) -> Tensor<B, 3> {
    (x.neg().exp() + 1.0).recip()
}

/// `(x - mean) / sqrt(variance + epsilon) * scale + shift` over the last axis.
pub fn layer_norm<B: Backend>(
    x: Tensor<B, 3>,
    scale: Tensor<B, 1>,
    shift: Tensor<B, 1>,
    epsilon: f64,
) -> Tensor<B, 3> {
    let centred = x.clone() - x.mean_dim(2);
    let deviation = (centred.clone().powi_scalar(2).mean_dim(2) + epsilon).sqrt();
    centred / deviation * scale.unsqueeze() + shift.unsqueeze()
}

/// `x W + b`.
pub fn linear<B: Backend>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, 3> {
    let product = x.matmul(weight.unsqueeze());
    match bias {
        Some(bias) => product + bias.unsqueeze(),
        None => product,
    }
}

/// `softmax(Q K^T / sqrt(head_width)) V` of every head; `qkv` is ordered (K H D).
pub fn self_attention<B: Backend>(qkv: Tensor<B, 3>, heads: usize) -> Tensor<B, 3> {
    let [batch, tokens, triple] = qkv.dims();
    let width = triple / 3;
    let head_width = width / heads;
    let [query, key, value] = [0, 1, 2].map(|part| {
        let part = qkv.clone().narrow(2, part * width, width);
        part.reshape([batch, tokens, heads, head_width])
            .swap_dims(1, 2)
    }); // each [batch, heads, tokens, head_width]
    let scores = query.matmul(key.swap_dims(2, 3)) / (head_width as f64).sqrt();
    // The largest score only keeps the exponential in range.
    let weights = (scores.clone() - scores.max_dim(3).detach()).exp();
    let weights = weights.clone() / weights.sum_dim(3);
    weights
        .matmul(value)
        .swap_dims(1, 2)
        .reshape([batch, tokens, width])
}
