//! The few operations that decide the speed of a transformer block, its training and a network of convolutions,
//! as an extension of Burn's backends: every backend gets Burn's own operations, Flex vectorised ones.
//!
//! ```
//! use adadiff_kernels::{Kernels, gelu_linear_onto};
//! use burn::tensor::Tensor;
//! use burn_flex::Flex;
//!
//! /// `x + gelu(x) W`, on any backend.
//! fn residual<B: Kernels>(x: Tensor<B, 3>, weight: Tensor<B, 2>) -> Tensor<B, 3> {
//!     gelu_linear_onto(x.clone(), weight, None, x)
//! }
//!
//! let device = Default::default();
//! let x = Tensor::<Flex, 3>::from_floats([[[-100.0, 100.0]]], &device);
//! let weight = Tensor::from_floats([[1.0, 0.0], [0.5, 2.0]], &device);
//! let sum: Vec<f32> = residual(x, weight).into_data().to_vec().unwrap();
//! assert_eq!(sum, [-50.0, 300.0]);
//! ```

mod autodiff;
mod backends;
mod default;
#[cfg(feature = "flex")]
mod flex;
mod tensor;
#[cfg(all(test, feature = "flex"))]
mod testing;

pub use tensor::{
    adam_w, attention_onto, cast, convolution, gelu, gelu_linear_onto, group_norm, joined_linear,
    layer_norm, linear, linear_onto, linear_per_sample, mean_cosine, mean_sigmoid, mlp_onto,
    norm_linear, pool, self_attention, sigmoid,
};

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, FloatDType};

/// One step of AdamW (Loshchilov & Hutter 2019, algorithm 2) with PyTorch's meaning of its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// The learning rate.
    pub learning_rate: f64,
    /// The decay rates of the first and the second moment.
    pub betas: [f32; 2],
    /// What is added to the root of the second moment.
    pub epsilon: f32,
    /// The decoupled weight decay.
    pub weight_decay: f32,
    /// The number of this step, counted from 1, which the moments are corrected by.
    pub time: usize,
}

/// Where the windows of a convolution or a pooling lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// From one window to the next, down and to the right.
    pub stride: [usize; 2],
    /// Zeros above and below, to the left and to the right.
    pub padding: [[usize; 2]; 2],
}

impl Windows {
    /// Whether there are as many zeros before each axis as after it.
    pub fn is_symmetric(self) -> bool {
        self.padding.iter().all(|[before, after]| before == after)
    }

    /// How many windows there are, down and to the right.
    pub fn output(self, image: [usize; 2], kernel: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| {
            let padded = image[axis] + self.padding[axis].iter().sum::<usize>();
            (padded + self.stride[axis])
                .saturating_sub(kernel[axis])
                .checked_div(self.stride[axis])
                .unwrap_or(0)
        })
    }
}

/// What is done to the outputs of a convolution before they are stored.
#[derive(Clone, Debug)]
pub struct Epilogue<T> {
    /// What each channel `[outputs]` is multiplied by.
    pub scale: Option<T>,
    /// What is then added to it, `[outputs]`.
    pub shift: Option<T>,
    /// Whether values below zero become zero. What is no number stays none.
    pub rectifies: bool,
}

/// Layer normalisation with parameters of its own.
#[derive(Clone, Debug)]
pub struct NormParameters<T> {
    /// What normalised values are multiplied by, `[width]`.
    pub scale: T,
    /// What is then added to them, `[width]`.
    pub shift: T,
    /// What is added to the variance.
    pub epsilon: f64,
}

/// An affine layer.
#[derive(Clone, Debug)]
pub struct AffineParameters<T> {
    /// `[inputs, outputs]`.
    pub weight: T,
    /// `[outputs]`.
    pub bias: Option<T>,
}

/// What becomes of the values of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The largest of them; no number where one of them is none.
    Maximum,
    /// The mean of those that lie within the image.
    Average,
}

/// How channels are normalised together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grouping {
    /// Number of groups, of equally many channels.
    pub groups: usize,
    /// What is added to a group's variance.
    pub epsilon: f64,
    /// Whether swish, `x sigmoid(x)`, follows.
    pub swish: bool,
}

/// A Burn backend with the operations of a transformer block and of its training.
///
/// The defaults are Burn's own operations; `impl Kernels for MyBackend {}` is enough for a new
/// backend. The backward operations are what [`burn_autodiff::Autodiff`] calls.
pub trait Kernels: Backend {
    /// Runs `work`, many operations one after the other, and returns what it returns; a panic is passed on.
    ///
    /// By itself it runs where it is called. On Flex it runs on one of Rayon's threads: an operation that is
    /// started there need not be handed over to them, which takes longer than a small operation itself.
    /// While that thread waits for parts of an operation, it may run other threads' work, all of it. So `work`
    /// must not wait for other threads, nor hold a lock during an operation that theirs could want.
    /// Automatic differentiation goes through its graphs under locks, and keeps to the calling thread.
    fn on_worker<R: Send>(work: impl FnOnce() -> R + Send) -> R {
        work()
    }

    /// Whether a network in this type keeps all but its matrices in single precision, which [`Self::affine`] and its
    /// kin then multiply with single-precision rows.
    fn mixes(_dtype: FloatDType) -> bool {
        false
    }

    /// Whether the processor has instructions for products in this type, which make it faster than single precision.
    fn has_fast_products(_dtype: FloatDType) -> bool {
        false
    }

    /// `x` of any shape in another type.
    fn convert(x: FloatTensor<Self>, dtype: FloatDType) -> FloatTensor<Self> {
        Self::float_cast(x, dtype)
    }

    /// Exact GELU, `x Phi(x)`, of any shape.
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::gelu(x)
    }

    /// The gradient of [`Self::exact_gelu`] with respect to `x`.
    fn exact_gelu_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        default::gelu_backward::<Self>(x, grad)
    }

    /// The logistic function of any shape.
    fn logistic(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::sigmoid(x)
    }

    /// Layer normalisation of `x` `[rows, width]` with `scale` and `shift` `[width]`.
    fn row_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        Self::layer_norm(x, scale, Some(shift), epsilon)
    }

    /// The gradients of [`Self::row_norm`] with respect to `x`, `scale` and `shift`.
    fn row_norm_backward(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f64,
    ) -> [FloatTensor<Self>; 3] {
        default::row_norm_backward::<Self>(x, scale, grad, epsilon)
    }

    /// `x W + b` of `x` `[rows, inputs]`, `weight` `[inputs, outputs]` and `bias` `[outputs]`.
    fn affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
    ) -> FloatTensor<Self> {
        default::affine::<Self>(x, weight, bias)
    }

    /// `y + x W + b`: [`Self::affine`] added onto `onto` `[rows, outputs]`.
    fn affine_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        onto: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::float_add(onto, Self::affine(x, weight, bias))
    }

    /// [`Self::affine_onto`] of [`Self::exact_gelu`]. Where gradients are wanted, the activation is
    /// computed again rather than kept.
    fn gelu_affine_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        onto: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::affine_onto(Self::exact_gelu(x), weight, bias, onto)
    }

    /// [`Self::affine`] of [`Self::row_norm`]. Where gradients are wanted, the normalised rows are
    /// computed again rather than kept.
    fn norm_affine(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        epsilon: f64,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
    ) -> FloatTensor<Self> {
        Self::affine(Self::row_norm(x, scale, shift, epsilon), weight, bias)
    }

    /// `x + second(gelu(first(norm(x))))` of `x` `[rows, width]`: the half of a block that mixes features.
    fn mlp_onto(
        x: FloatTensor<Self>,
        norm: NormParameters<FloatTensor<Self>>,
        layers: [AffineParameters<FloatTensor<Self>>; 2],
    ) -> FloatTensor<Self> {
        default::mlp_onto::<Self>(x, norm, layers)
    }

    /// `x + projection(attention(qkv(norm(x))))` of `x` `[batch, tokens, width]` and `layers` qkv and projection: the
    /// half of a block that mixes tokens, with [`Self::fused_attention`] of `heads` heads.
    fn attention_onto(
        x: FloatTensor<Self>,
        norm: NormParameters<FloatTensor<Self>>,
        layers: [AffineParameters<FloatTensor<Self>>; 2],
        heads: usize,
    ) -> FloatTensor<Self> {
        default::attention_onto::<Self>(x, norm, layers, heads)
    }

    /// `[x | skip] W + b` of `x` and `skip` `[rows, width]`.
    fn joined_affine(
        x: FloatTensor<Self>,
        skip: FloatTensor<Self>,
        layer: AffineParameters<FloatTensor<Self>>,
    ) -> FloatTensor<Self> {
        default::joined_affine::<Self>(x, skip, layer)
    }

    /// `x W + b` where each of `biases` `[groups, outputs]` serves an equal run of the rows of `x`
    /// `[rows, inputs]`.
    fn grouped_affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        biases: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        default::grouped_affine::<Self>(x, weight, biases)
    }

    /// The mean logistic of [`Self::grouped_affine`] over all outputs of a group's rows but its first
    /// `skipped`: `[groups]`, in single precision.
    fn grouped_affine_mean_logistic(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        biases: FloatTensor<Self>,
        skipped: usize,
    ) -> FloatTensor<Self> {
        default::grouped_affine_mean_logistic::<Self>(x, weight, biases, skipped)
    }

    /// The cosine of the angle between the rows of `a` and `b` `[groups, run, width]`, mean over a
    /// group's rows but its first `skipped`: `[groups]`, in single precision.
    fn mean_cosine(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        skipped: usize,
    ) -> FloatTensor<Self> {
        default::mean_cosine::<Self>(a, b, skipped)
    }

    /// `grad W^T` of `grad` `[rows, outputs]`: the gradient of [`Self::affine`]'s input.
    fn affine_x_backward(weight: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::linear_x_backward(weight, grad)
    }

    /// `x^T grad`: the gradient of [`Self::affine`]'s weight, which is stored in `_weight` and which a backend that
    /// [mixes](Self::mixes) rounds both factors to.
    fn affine_weight_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        _weight: DType,
    ) -> FloatTensor<Self> {
        default::affine_weight_backward::<Self>(x, grad)
    }

    /// The sum over rows of `grad` `[rows, outputs]`: the gradient of [`Self::affine`]'s bias.
    fn affine_bias_backward(grad: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::linear_bias_backward(grad)
    }

    /// Multi-head self-attention of `qkv` `[batch, tokens, 3 width]`, ordered (K H D) as U-ViT has
    /// it: query, key and value, each of `heads` heads. Returns `[batch, tokens, width]`; scores
    /// are scaled by `head_width^-0.5`. A backend that [mixes](Self::mixes) rounds the factors of the products to
    /// `_products`.
    fn fused_attention(
        qkv: FloatTensor<Self>,
        heads: usize,
        _products: DType,
    ) -> FloatTensor<Self> {
        default::attention::<Self>(qkv, heads)
    }

    /// The gradient of [`Self::fused_attention`] with respect to `qkv`. The scores are computed
    /// again, so that the forward pass keeps none.
    fn fused_attention_backward(
        qkv: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        heads: usize,
        _products: DType,
    ) -> FloatTensor<Self> {
        default::attention_backward::<Self>(qkv, grad, heads)
    }

    /// A convolution of `x` `[batch, inputs, height, width]` with `weight` `[outputs, inputs, height, width]`, and what is done to
    /// its outputs.
    fn convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epilogue: Epilogue<FloatTensor<Self>>,
        windows: Windows,
    ) -> FloatTensor<Self> {
        default::convolution::<Self>(x, weight, epilogue, windows)
    }

    /// The gradient of [`Self::convolution`]'s image `x`, whose values do not matter, where nothing but a bias follows and
    /// the windows are [symmetric](Windows::is_symmetric).
    fn convolution_x_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        windows: Windows,
    ) -> FloatTensor<Self> {
        Self::conv2d_x_backward(x, weight, grad, default::symmetric(windows))
    }

    /// The gradient of [`Self::convolution`]'s weight, whose values do not matter, as [`Self::convolution_x_backward`].
    fn convolution_weight_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        windows: Windows,
    ) -> FloatTensor<Self> {
        Self::conv2d_weight_backward(x, weight, grad, default::symmetric(windows))
    }

    /// What `pooling` makes of each window of `x` `[batch, channels, height, width]`, each of which covers some of it.
    fn pool(
        x: FloatTensor<Self>,
        pooling: Pooling,
        kernel: [usize; 2],
        windows: Windows,
    ) -> FloatTensor<Self> {
        default::pool::<Self>(x, pooling, kernel, windows)
    }

    /// Group normalisation of `x` `[batch, channels, height, width]` with `scale` and `shift` `[channels]`.
    fn group_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        grouping: Grouping,
    ) -> FloatTensor<Self> {
        default::group_norm::<Self>(x, scale, shift, grouping)
    }

    /// A parameter of any shape after a step of AdamW, and its first and second moment.
    fn adam_w(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moments: [FloatTensor<Self>; 2],
        step: AdamWStep,
    ) -> [FloatTensor<Self>; 3] {
        default::adam_w::<Self>(parameter, gradient, moments, step)
    }
}
