//! The operations that Burn does not have as one, in Burn's operations.

use burn::tensor::activation::{silu, softmax};
use burn::tensor::backend::Backend;
use burn::tensor::module::{attention as burn_attention, avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, FloatTensor, PaddedConvOptions};
use burn::tensor::{FloatDType, Shape, Tensor, TensorMetadata, TensorPrimitive};

use super::{
    AdamWStep, AffineParameters, Epilogue, Grouping, Kernels, NormParameters, Pooling, Windows,
};

pub(super) fn wrap<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

pub(super) fn unwrap<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

/// Query, key and value `[batch, heads, tokens, head_width]` of `[batch, tokens, 3 width]`.
fn split_heads<B: Backend>(qkv: Tensor<B, 3>, heads: usize) -> [Tensor<B, 4>; 3] {
    let [batch, tokens, width] = qkv.dims();
    let head_width = width / 3 / heads;
    let parts = qkv
        .reshape([batch, tokens, 3, heads, head_width])
        .permute([2, 0, 3, 1, 4]);
    [0, 1, 2].map(|part| {
        parts
            .clone()
            .slice(part..part + 1)
            .reshape([batch, heads, tokens, head_width])
    })
}

/// `[batch, heads, tokens, head_width]` back to `[batch, tokens, heads * head_width]`.
fn join_heads<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 3> {
    let [batch, heads, tokens, head_width] = x.dims();
    x.swap_dims(1, 2)
        .reshape([batch, tokens, heads * head_width])
}

/// A product into one column is multiplied and summed: Burn 0.21's wgpu computes it wrongly as a
/// matrix product on software Vulkan.
pub(super) fn affine<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
) -> FloatTensor<B> {
    if weight.shape()[1] != 1 {
        return B::linear(x, weight, bias);
    }
    let products = wrap::<B, 2>(x) * wrap::<B, 2>(weight).transpose();
    let product = products.sum_dim(1);
    unwrap(match bias {
        Some(bias) => product + wrap::<B, 1>(bias).unsqueeze(),
        None => product,
    })
}

/// As in [`affine`], one column is multiplied and summed.
pub(super) fn affine_weight_backward<B: Backend>(
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    if grad.shape()[1] != 1 {
        return B::linear_weight_backward(x, grad);
    }
    let products = wrap::<B, 2>(x) * wrap::<B, 2>(grad);
    unwrap(products.sum_dim(0).transpose())
}

pub(super) fn mlp_onto<B: Kernels>(
    x: FloatTensor<B>,
    norm: NormParameters<FloatTensor<B>>,
    [first, second]: [AffineParameters<FloatTensor<B>>; 2],
) -> FloatTensor<B> {
    let hidden = norm_affine::<B>(x.clone(), norm, first);
    B::gelu_affine_onto(hidden, second.weight, second.bias, x)
}

fn norm_affine<B: Kernels>(
    x: FloatTensor<B>,
    norm: NormParameters<FloatTensor<B>>,
    layer: AffineParameters<FloatTensor<B>>,
) -> FloatTensor<B> {
    let NormParameters {
        scale,
        shift,
        epsilon,
    } = norm;
    B::norm_affine(x, scale, shift, epsilon, layer.weight, layer.bias)
}

pub(super) fn attention_onto<B: Kernels>(
    x: FloatTensor<B>,
    norm: NormParameters<FloatTensor<B>>,
    [qkv, projection]: [AffineParameters<FloatTensor<B>>; 2],
    heads: usize,
) -> FloatTensor<B> {
    let [batch, tokens, width] = x.shape().dims();
    let rows = Shape::new([batch * tokens, width]);
    let products = qkv.weight.dtype();
    let [_, outputs] = qkv.weight.shape().dims();
    let x = B::float_reshape(x, rows.clone());
    let qkv = norm_affine::<B>(x.clone(), norm, qkv);
    let qkv = B::float_reshape(qkv, Shape::new([batch, tokens, outputs]));
    let attended = B::float_reshape(B::fused_attention(qkv, heads, products), rows);
    let output = B::affine_onto(attended, projection.weight, projection.bias, x);
    B::float_reshape(output, Shape::new([batch, tokens, width]))
}

/// As the sum of two products, which saves copying both into one tensor.
pub(super) fn joined_affine<B: Kernels>(
    x: FloatTensor<B>,
    skip: FloatTensor<B>,
    layer: AffineParameters<FloatTensor<B>>,
) -> FloatTensor<B> {
    let weight: Tensor<B, 2> = wrap(layer.weight);
    let [inputs, _] = weight.dims();
    let [for_x, for_skip] =
        [0, inputs / 2].map(|start| unwrap(weight.clone().narrow(0, start, inputs / 2)));
    B::affine_onto(skip, for_skip, None, B::affine(x, for_x, layer.bias))
}

pub(super) fn grouped_affine<B: Kernels>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    biases: FloatTensor<B>,
) -> FloatTensor<B> {
    let product: Tensor<B, 2> = wrap(B::affine(x, weight, None));
    let biases: Tensor<B, 2> = wrap(biases);
    let ([rows, outputs], [groups, _]) = (product.dims(), biases.dims());
    let product = product.reshape([groups, rows / groups.max(1), outputs]);
    let sum = product + biases.reshape([groups, 1, outputs]);
    unwrap(sum.reshape([rows, outputs]))
}

pub(super) fn grouped_affine_mean_logistic<B: Kernels>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    biases: FloatTensor<B>,
    skipped: usize,
) -> FloatTensor<B> {
    let [groups, outputs] = wrap::<B, 2>(biases.clone()).dims();
    let logits: Tensor<B, 2> = wrap(B::grouped_affine(x, weight, biases));
    // In half precision a mean over thousands of values would keep three digits.
    let logits = logits.cast(FloatDType::F32);
    let values: Tensor<B, 2> = wrap(B::logistic(unwrap(logits)));
    let run = values.dims()[0] / groups.max(1);
    let counted = values
        .reshape([groups, run, outputs])
        .narrow(1, skipped, run - skipped)
        .reshape([groups, (run - skipped) * outputs]);
    unwrap(counted.mean_dim(1).reshape([groups]))
}

/// Products of norms below this count as this, so that a row of zeros has a cosine of zero.
pub(super) const LEAST_NORM: f32 = 1e-12;

pub(super) fn mean_cosine<B: Backend>(
    a: FloatTensor<B>,
    b: FloatTensor<B>,
    skipped: usize,
) -> FloatTensor<B> {
    // In half precision the sums of squares could overflow.
    let [a, b] = [a, b].map(|rows| {
        let rows: Tensor<B, 3> = wrap(rows);
        let [_, run, _] = rows.dims();
        rows.narrow(1, skipped, run - skipped).cast(FloatDType::F32)
    });
    let dot = (a.clone() * b.clone()).sum_dim(2);
    let squares = |rows: Tensor<B, 3>| (rows.clone() * rows).sum_dim(2);
    let norms = (squares(a) * squares(b)).sqrt().clamp_min(LEAST_NORM);
    let cosine = (dot / norms).mean_dim(1);
    let [groups, ..] = cosine.dims();
    unwrap(cosine.reshape([groups]))
}

pub(super) fn adam_w<B: Backend>(
    parameter: FloatTensor<B>,
    gradient: FloatTensor<B>,
    [first, second]: [FloatTensor<B>; 2],
    step: AdamWStep,
) -> [FloatTensor<B>; 3] {
    // Only elementwise operations follow, so the shape plays no part.
    let flat = |primitive: FloatTensor<B>| {
        let count = primitive.shape().num_elements();
        wrap::<B, 1>(B::float_reshape(primitive, Shape::new([count])))
    };
    let shape = parameter.shape();
    let [parameter, gradient, first, second] = [parameter, gradient, first, second].map(flat);
    let [first_decay, second_decay] = step.betas;
    let first = first * first_decay + gradient.clone() * (1.0 - first_decay);
    let second = second * second_decay + gradient.square() * (1.0 - second_decay);
    let correction = |decay: f32| 1.0 - f64::from(decay).powf(step.time as f64);
    let deviation = (second.clone() / correction(second_decay)).sqrt() + step.epsilon;
    let delta = first.clone() / correction(first_decay) / deviation;
    let kept = 1.0 - step.learning_rate * f64::from(step.weight_decay);
    let parameter = parameter * kept - delta * step.learning_rate;
    [parameter, first, second].map(|tensor| B::float_reshape(unwrap(tensor), shape.clone()))
}

pub(super) fn attention<B: Backend>(qkv: FloatTensor<B>, heads: usize) -> FloatTensor<B> {
    let [query, key, value] = split_heads::<B>(wrap(qkv), heads);
    unwrap(join_heads(burn_attention(
        query,
        key,
        value,
        None,
        None,
        Default::default(),
    )))
}

pub(super) fn attention_backward<B: Backend>(
    qkv: FloatTensor<B>,
    grad: FloatTensor<B>,
    heads: usize,
) -> FloatTensor<B> {
    let [query, key, value] = split_heads::<B>(wrap(qkv), heads);
    let [batch, heads, tokens, head_width] = query.dims();
    let grad = wrap::<B, 3>(grad)
        .reshape([batch, tokens, heads, head_width])
        .swap_dims(1, 2); // [batch, heads, tokens, head_width]
    let scale = (head_width as f64).powf(-0.5);

    let weights = softmax(query.clone().matmul(key.clone().transpose()) * scale, 3);
    let grad_value = weights.clone().transpose().matmul(grad.clone());
    let grad_weights = grad.matmul(value.transpose());
    let row_sums = (grad_weights.clone() * weights.clone()).sum_dim(3);
    let grad_scores = weights * (grad_weights - row_sums) * scale;
    let grad_query = grad_scores.clone().matmul(key);
    let grad_key = grad_scores.transpose().matmul(query);

    unwrap(Tensor::cat(
        [grad_query, grad_key, grad_value].map(join_heads).to_vec(),
        2,
    ))
}

pub(super) fn row_norm_backward<B: Backend>(
    x: FloatTensor<B>,
    scale: FloatTensor<B>,
    grad: FloatTensor<B>,
    epsilon: f64,
) -> [FloatTensor<B>; 3] {
    let x: Tensor<B, 2> = wrap(x);
    let scale: Tensor<B, 1> = wrap(scale);
    let grad: Tensor<B, 2> = wrap(grad);
    let centred = x.clone() - x.mean_dim(1);
    let deviation = (centred.clone().square().mean_dim(1) + epsilon).sqrt();
    let normalised = centred / deviation.clone();

    let grad_shift = grad.clone().sum_dim(0).squeeze_dim::<1>(0);
    let grad_scale = (grad.clone() * normalised.clone())
        .sum_dim(0)
        .squeeze_dim::<1>(0);
    let scaled = grad * scale.unsqueeze();
    let along = (scaled.clone() * normalised.clone()).mean_dim(1);
    let grad_x = (scaled.clone() - scaled.mean_dim(1) - normalised * along) / deviation;
    [unwrap(grad_x), unwrap(grad_scale), unwrap(grad_shift)]
}

/// Burn's own is the derivative of the tanh approximation of GELU, not of the exact one.
pub(super) fn gelu_backward<B: Backend>(x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    const INVERSE_SQRT_2PI: f64 = 0.398_942_280_401_432_7;
    let squares = B::float_mul(x.clone(), x.clone());
    let density = B::float_exp(B::float_mul_scalar(squares, (-0.5).into()));
    let density = B::float_mul_scalar(density, INVERSE_SQRT_2PI.into());
    let error = B::float_erf(B::float_mul_scalar(
        x.clone(),
        std::f64::consts::FRAC_1_SQRT_2.into(),
    ));
    let cumulative = B::float_mul_scalar(B::float_add_scalar(error, 1.0.into()), 0.5.into());
    B::float_mul(grad, B::float_add(cumulative, B::float_mul(x, density)))
}

pub(super) fn convolution<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    epilogue: Epilogue<FloatTensor<B>>,
    Windows { stride, padding }: Windows,
) -> FloatTensor<B> {
    let options = PaddedConvOptions::asymmetric(
        stride,
        padding.map(|[before, _]| before),
        padding.map(|[_, after]| after),
        [1, 1],
        1,
    );
    let per_channel = |values: Tensor<B, 1>| values.reshape([1, -1, 1, 1]);
    let [scale, shift] = [epilogue.scale, epilogue.shift].map(|values| values.map(wrap::<B, 1>));
    let mut x: Tensor<B, 4> = match scale {
        None => conv2d(wrap(x), wrap(weight), shift, options),
        Some(scale) => {
            let scaled = conv2d(wrap(x), wrap(weight), None, options) * per_channel(scale);
            match shift {
                None => scaled,
                Some(shift) => scaled + per_channel(shift),
            }
        }
    };
    if epilogue.rectifies {
        // Burn's ReLU makes a zero of what is no number.
        let is_negative = x.clone().lower_elem(0.0);
        x = x.mask_fill(is_negative, 0.0);
    }
    unwrap(x)
}

/// Burn's form of windows with as many zeros before an axis as after it.
pub(super) fn symmetric(Windows { stride, padding }: Windows) -> ConvOptions<2> {
    ConvOptions::new(stride, padding.map(|[before, _]| before), [1, 1], 1)
}

pub(super) fn pool<B: Backend>(
    x: FloatTensor<B>,
    pooling: Pooling,
    kernel: [usize; 2],
    Windows { stride, padding }: Windows,
) -> FloatTensor<B> {
    let x: Tensor<B, 4> = wrap(x);
    let padding = padding.map(|[before, _]| before);
    unwrap(match pooling {
        Pooling::Average => avg_pool2d(x, kernel, stride, padding, false, false),
        Pooling::Maximum => {
            // Burn's maximum passes over what is no number.
            let flaws = (x.clone() * 0.0).sum_dim(3).sum_dim(2);
            max_pool2d(x, kernel, stride, padding, [1, 1], false) + flaws
        }
    })
}

pub(super) fn group_norm<B: Backend>(
    x: FloatTensor<B>,
    scale: FloatTensor<B>,
    shift: FloatTensor<B>,
    grouping: Grouping,
) -> FloatTensor<B> {
    let x: Tensor<B, 4> = wrap(x);
    let shape @ [batch, channels, height, width] = x.dims();
    let values = channels / grouping.groups * height * width;
    let groups = x.reshape([batch, grouping.groups, values]);
    let (variance, mean) = groups.clone().var_mean_bias(2);
    let normalised = (groups - mean) / (variance + grouping.epsilon).sqrt();
    let per_channel = |values| wrap::<B, 1>(values).reshape([1, channels, 1, 1]);
    let x = normalised.reshape(shape) * per_channel(scale) + per_channel(shift);
    unwrap(if grouping.swish { silu(x) } else { x })
}
