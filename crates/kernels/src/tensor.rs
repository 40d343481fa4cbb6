//! The operations on Burn's tensors.

use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, LayerNorm, Linear, PaddingConfig2d};
use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, FloatDType, Tensor, TensorPrimitive};

use super::{
    AdamWStep, AffineParameters, Epilogue, Grouping, Kernels, NormParameters, Pooling, Windows,
};

/// Exact GELU, `x Phi(x)`, of any shape.
pub fn gelu<B: Kernels, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    let x = x.into_primitive().tensor();
    Tensor::from_primitive(TensorPrimitive::Float(B::exact_gelu(x)))
}

/// `x` of any shape in another type.
pub fn cast<B: Kernels, const D: usize>(x: Tensor<B, D>, dtype: FloatDType) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(B::convert(primitive(x), dtype)))
}

/// The logistic function of any shape.
pub fn sigmoid<B: Kernels, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    let x = x.into_primitive().tensor();
    Tensor::from_primitive(TensorPrimitive::Float(B::logistic(x)))
}

/// The tokens of all samples as rows: `[batch, tokens, width]` to `[batch * tokens, width]`.
fn rows<B: Kernels>(x: Tensor<B, 3>) -> FloatTensor<B> {
    let [batch, tokens, width] = x.dims();
    x.reshape([batch * tokens, width]).into_primitive().tensor()
}

/// Rows `[batch * tokens, width]` as the tokens of samples.
fn tokens<B: Kernels>(rows: FloatTensor<B>, [batch, tokens, width]: [usize; 3]) -> Tensor<B, 3> {
    Tensor::<B, 2>::from_primitive(TensorPrimitive::Float(rows)).reshape([batch, tokens, width])
}

fn primitive<B: Kernels, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

/// Layer normalisation of `x` `[batch, tokens, width]` with `scale` and `shift` `[width]`.
pub fn layer_norm<B: Kernels>(
    x: Tensor<B, 3>,
    scale: Tensor<B, 1>,
    shift: Tensor<B, 1>,
    epsilon: f64,
) -> Tensor<B, 3> {
    let shape = x.dims();
    let output = B::row_norm(rows(x), primitive(scale), primitive(shift), epsilon);
    tokens(output, shape)
}

/// `x W + b` of `x` `[batch, tokens, inputs]`, `weight` `[inputs, outputs]`, `bias` `[outputs]`.
///
/// All tokens go through one matrix product: Burn's own batches it by sample.
pub fn linear<B: Kernels>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, 3> {
    let ([batch, count, _], [_, outputs]) = (x.dims(), weight.dims());
    let output = B::affine(rows(x), primitive(weight), bias.map(primitive));
    tokens(output, [batch, count, outputs])
}

/// [`linear`] added onto `onto` `[batch, tokens, outputs]`.
pub fn linear_onto<B: Kernels>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
    onto: Tensor<B, 3>,
) -> Tensor<B, 3> {
    let shape = onto.dims();
    let (weight, bias) = (primitive(weight), bias.map(primitive));
    tokens(B::affine_onto(rows(x), weight, bias, rows(onto)), shape)
}

/// [`linear_onto`] of [`gelu`].
pub fn gelu_linear_onto<B: Kernels>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
    onto: Tensor<B, 3>,
) -> Tensor<B, 3> {
    let shape = onto.dims();
    let (weight, bias) = (primitive(weight), bias.map(primitive));
    tokens(
        B::gelu_affine_onto(rows(x), weight, bias, rows(onto)),
        shape,
    )
}

/// [`linear`] of [`layer_norm`].
pub fn norm_linear<B: Kernels>(
    x: Tensor<B, 3>,
    scale: Tensor<B, 1>,
    shift: Tensor<B, 1>,
    epsilon: f64,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, 3> {
    let ([batch, count, _], [_, outputs]) = (x.dims(), weight.dims());
    let output = B::norm_affine(
        rows(x),
        primitive(scale),
        primitive(shift),
        epsilon,
        primitive(weight),
        bias.map(primitive),
    );
    tokens(output, [batch, count, outputs])
}

fn norm_parameters<B: Kernels>(
    norm: &LayerNorm<B>,
    epsilon: f64,
) -> NormParameters<FloatTensor<B>> {
    let scale = norm.gamma.val();
    let shift = match &norm.beta {
        Some(shift) => shift.val(),
        None => scale.zeros_like(),
    };
    NormParameters {
        scale: primitive(scale),
        shift: primitive(shift),
        epsilon,
    }
}

fn affine_parameters<B: Kernels>(layer: &Linear<B>) -> AffineParameters<FloatTensor<B>> {
    AffineParameters {
        weight: primitive(layer.weight.val()),
        bias: layer.bias.as_ref().map(|bias| primitive(bias.val())),
    }
}

/// `x + second(gelu(first(norm(x))))` of `x` `[batch, tokens, width]`.
pub fn mlp_onto<B: Kernels>(
    x: Tensor<B, 3>,
    norm: &LayerNorm<B>,
    epsilon: f64,
    layers: [&Linear<B>; 2],
) -> Tensor<B, 3> {
    let shape = x.dims();
    let output = B::mlp_onto(
        rows(x),
        norm_parameters(norm, epsilon),
        layers.map(affine_parameters),
    );
    tokens(output, shape)
}

/// `x + projection(attention(qkv(norm(x))))` of `x` `[batch, tokens, width]` and `layers` qkv and projection, with
/// [`self_attention`] of `heads` heads.
pub fn attention_onto<B: Kernels>(
    x: Tensor<B, 3>,
    norm: &LayerNorm<B>,
    epsilon: f64,
    layers: [&Linear<B>; 2],
    heads: usize,
) -> Tensor<B, 3> {
    let norm = norm_parameters(norm, epsilon);
    let output = B::attention_onto(primitive(x), norm, layers.map(affine_parameters), heads);
    Tensor::from_primitive(TensorPrimitive::Float(output))
}

/// `layer [x | skip]` of `x` and `skip` `[batch, tokens, width]`.
pub fn joined_linear<B: Kernels>(
    x: Tensor<B, 3>,
    skip: Tensor<B, 3>,
    layer: &Linear<B>,
) -> Tensor<B, 3> {
    let shape = x.dims();
    tokens(
        B::joined_affine(rows(x), rows(skip), affine_parameters(layer)),
        shape,
    )
}

/// [`linear`] with a bias of its own for each sample: `biases` `[batch, outputs]`.
pub fn linear_per_sample<B: Kernels>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 2>,
    biases: Tensor<B, 2>,
) -> Tensor<B, 3> {
    let ([batch, count, _], [_, outputs]) = (x.dims(), weight.dims());
    let output = B::grouped_affine(rows(x), primitive(weight), primitive(biases));
    tokens(output, [batch, count, outputs])
}

/// The mean [`sigmoid`] of [`linear_per_sample`] over a sample's tokens but the first `skipped`:
/// `[batch]`, in single precision.
pub fn mean_sigmoid<B: Kernels>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 2>,
    biases: Tensor<B, 2>,
    skipped: usize,
) -> Tensor<B, 1> {
    let (weight, biases) = (primitive(weight), primitive(biases));
    let means = B::grouped_affine_mean_logistic(rows(x), weight, biases, skipped);
    Tensor::from_primitive(TensorPrimitive::Float(means))
}

/// The cosine of each token of `a` and `b` `[batch, tokens, width]`, mean over a sample's tokens but
/// the first `skipped`: `[batch]`, in single precision.
pub fn mean_cosine<B: Kernels>(a: Tensor<B, 3>, b: Tensor<B, 3>, skipped: usize) -> Tensor<B, 1> {
    let means = B::mean_cosine(primitive(a), primitive(b), skipped);
    Tensor::from_primitive(TensorPrimitive::Float(means))
}

/// A parameter after a step of AdamW, and its first and second moment; all have the same shape.
pub fn adam_w<B: Kernels, const D: usize>(
    parameter: Tensor<B, D>,
    gradient: Tensor<B, D>,
    moments: [Tensor<B, D>; 2],
    step: AdamWStep,
) -> (Tensor<B, D>, [Tensor<B, D>; 2]) {
    let moments = moments.map(primitive);
    let updated = B::adam_w(primitive(parameter), primitive(gradient), moments, step);
    let [parameter, first, second] =
        updated.map(|tensor| Tensor::from_primitive(TensorPrimitive::Float(tensor)));
    (parameter, [first, second])
}

/// Multi-head self-attention of `qkv` `[batch, tokens, 3 width]`; returns `[batch, tokens, width]`. `products` is the
/// type of the layers' weights, in which a backend that [mixes](Kernels::mixes) types takes its products.
pub fn self_attention<B: Kernels>(
    qkv: Tensor<B, 3>,
    heads: usize,
    products: DType,
) -> Tensor<B, 3> {
    let attended = B::fused_attention(primitive(qkv), heads, products);
    Tensor::from_primitive(TensorPrimitive::Float(attended))
}

/// A layer's convolution of `x` `[batch, inputs, height, width]`, each channel of which is then multiplied by a scale
/// and added to a shift `[outputs]`, and cut off at zero where `rectifies`; what is no number stays none.
pub fn convolution<B: Kernels>(
    x: Tensor<B, 4>,
    layer: &Conv2d<B>,
    scale_and_shift: Option<[Tensor<B, 1>; 2]>,
    rectifies: bool,
) -> Tensor<B, 4> {
    assert!(
        layer.groups == 1 && layer.dilation == [1, 1],
        "a plain convolution"
    );
    let windows = Windows {
        stride: layer.stride,
        padding: padding(layer, &x),
    };
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    let (scale, shift) = match (scale_and_shift, bias) {
        (Some([scale, shift]), Some(bias)) => (Some(scale.clone()), Some(bias * scale + shift)),
        (Some([scale, shift]), None) => (Some(scale), Some(shift)),
        (None, bias) => (None, bias),
    };
    let epilogue = Epilogue {
        scale: scale.map(primitive),
        shift: shift.map(primitive),
        rectifies,
    };
    let output = B::convolution(
        primitive(x),
        primitive(layer.weight.val()),
        epilogue,
        windows,
    );
    Tensor::from_primitive(TensorPrimitive::Float(output))
}

/// A layer's normalisation of `x` `[batch, channels, height, width]`, and swish after it where that is asked for.
pub fn group_norm<B: Kernels>(x: Tensor<B, 4>, layer: &GroupNorm<B>, swish: bool) -> Tensor<B, 4> {
    let channels = [layer.num_channels];
    let parameter = |values: &Option<Param<Tensor<B, 1>>>, otherwise: f64| match values {
        Some(values) => values.val(),
        None => Tensor::full(channels, otherwise, &x.device()),
    };
    let (scale, shift) = (parameter(&layer.gamma, 1.0), parameter(&layer.beta, 0.0));
    let grouping = Grouping {
        groups: layer.num_groups,
        epsilon: layer.epsilon,
        swish,
    };
    let output = B::group_norm(primitive(x), primitive(scale), primitive(shift), grouping);
    Tensor::from_primitive(TensorPrimitive::Float(output))
}

/// What `pooling` makes of each window of `x` `[batch, channels, height, width]`.
///
/// # Panics
/// Where the zeros before and after an axis differ, or a window could lie beyond the image.
pub fn pool<B: Kernels>(
    x: Tensor<B, 4>,
    pooling: Pooling,
    kernel: [usize; 2],
    windows: Windows,
) -> Tensor<B, 4> {
    for (axis, [before, after]) in windows.padding.into_iter().enumerate() {
        assert!(
            before == after && before < kernel[axis],
            "a window of zeros alone"
        );
    }
    let pooled = B::pool(primitive(x), pooling, kernel, windows);
    Tensor::from_primitive(TensorPrimitive::Float(pooled))
}

/// Zeros before and after each axis of an image.
fn padding<B: Kernels>(layer: &Conv2d<B>, x: &Tensor<B, 4>) -> [[usize; 2]; 2] {
    let [_, _, height, width] = x.dims();
    match layer.padding {
        PaddingConfig2d::Valid => [[0; 2]; 2],
        PaddingConfig2d::Explicit(top, left, bottom, right) => [[top, bottom], [left, right]],
        PaddingConfig2d::Same => [0, 1].map(|axis| {
            let (size, stride) = ([height, width][axis], layer.stride[axis]);
            let covered = (size.div_ceil(stride) - 1) * stride + layer.kernel_size[axis];
            let zeros = covered.saturating_sub(size);
            [zeros / 2, zeros.div_ceil(2)]
        }),
    }
}
