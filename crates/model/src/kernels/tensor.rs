//! The operations on Burn's tensors.

use burn::tensor::{Tensor, TensorPrimitive};

use super::Kernels;

/// Exact GELU, `x Phi(x)`, of any shape.
pub fn gelu<B: Kernels, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    let x = x.into_primitive().tensor();
    Tensor::from_primitive(TensorPrimitive::Float(B::exact_gelu(x)))
}

/// The logistic function of any shape.
pub fn sigmoid<B: Kernels, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    let x = x.into_primitive().tensor();
    Tensor::from_primitive(TensorPrimitive::Float(B::logistic(x)))
}

/// Layer normalisation of `x` `[batch, tokens, width]` with `scale` and `shift` `[width]`.
pub fn layer_norm<B: Kernels>(
    x: Tensor<B, 3>,
    scale: Tensor<B, 1>,
    shift: Tensor<B, 1>,
    epsilon: f64,
) -> Tensor<B, 3> {
    let [batch, tokens, width] = x.dims();
    let rows = x.reshape([batch * tokens, width]).into_primitive().tensor();
    let scale = scale.into_primitive().tensor();
    let shift = shift.into_primitive().tensor();
    let rows = B::row_norm(rows, scale, shift, epsilon);
    Tensor::<B, 2>::from_primitive(TensorPrimitive::Float(rows)).reshape([batch, tokens, width])
}

/// `x W + b` of `x` `[batch, tokens, inputs]`, `weight` `[inputs, outputs]`, `bias` `[outputs]`.
///
/// All tokens go through one matrix product: Burn's own batches it by sample.
pub fn linear<B: Kernels>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, 3> {
    let [batch, tokens, inputs] = x.dims();
    let [_, outputs] = weight.dims();
    let rows = x
        .reshape([batch * tokens, inputs])
        .into_primitive()
        .tensor();
    let weight = weight.into_primitive().tensor();
    let bias = bias.map(|bias| bias.into_primitive().tensor());
    let rows = B::affine(rows, weight, bias);
    Tensor::<B, 2>::from_primitive(TensorPrimitive::Float(rows)).reshape([batch, tokens, outputs])
}

/// [`linear`] with a bias of its own for each sample: `biases` `[batch, outputs]`.
pub fn linear_per_sample<B: Kernels>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 2>,
    biases: Tensor<B, 2>,
) -> Tensor<B, 3> {
    let [batch, tokens, inputs] = x.dims();
    let [_, outputs] = weight.dims();
    let rows = x
        .reshape([batch * tokens, inputs])
        .into_primitive()
        .tensor();
    let weight = weight.into_primitive().tensor();
    let rows = B::grouped_affine(rows, weight, biases.into_primitive().tensor());
    Tensor::<B, 2>::from_primitive(TensorPrimitive::Float(rows)).reshape([batch, tokens, outputs])
}

/// Multi-head self-attention of `qkv` `[batch, tokens, 3 width]`; returns `[batch, tokens, width]`.
pub fn self_attention<B: Kernels>(qkv: Tensor<B, 3>, heads: usize) -> Tensor<B, 3> {
    let qkv = qkv.into_primitive().tensor();
    Tensor::from_primitive(TensorPrimitive::Float(B::fused_attention(qkv, heads)))
}
