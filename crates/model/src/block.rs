//! The transformer block of U-ViT.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::UVitConfig;
use crate::init::Initializer;
use crate::kernels::{Kernels, attention_onto, joined_linear, layer_norm, mlp_onto};

/// PyTorch's default, which U-ViT uses.
const LAYER_NORM_EPSILON: f64 = 1e-5;

/// Layer normalisation of tokens `[batch, tokens, width]`.
pub(crate) fn normalise<B: Kernels>(norm: &LayerNorm<B>, tokens: Tensor<B, 3>) -> Tensor<B, 3> {
    let shift = match &norm.beta {
        Some(shift) => shift.val(),
        None => norm.gamma.val().zeros_like(),
    };
    layer_norm(tokens, norm.gamma.val(), shift, LAYER_NORM_EPSILON)
}

/// Multi-head self-attention.
#[derive(Module, Debug)]
pub struct Attention<B: Backend> {
    /// `width` to query, key and value, ordered (K H D).
    pub qkv: Linear<B>,
    /// The projection of the heads' outputs.
    pub proj: Linear<B>,
    heads: usize,
}

/// The two-layer network of a block.
#[derive(Module, Debug)]
pub struct Mlp<B: Backend> {
    /// `width` to the hidden width.
    pub fc1: Linear<B>,
    /// The hidden width to `width`.
    pub fc2: Linear<B>,
}

/// A pre-norm transformer block; an out-block first joins the long skip.
///
/// ```text
/// x = skip_linear [x | skip]      (out-blocks)
/// x = x + attention(norm1(x))
/// x = x + mlp(norm2(x))
/// ```
#[derive(Module, Debug)]
pub struct Block<B: Backend> {
    /// The norm before the attention.
    pub norm1: LayerNorm<B>,
    /// The attention.
    pub attn: Attention<B>,
    /// The norm before the two-layer network.
    pub norm2: LayerNorm<B>,
    /// The two-layer network.
    pub mlp: Mlp<B>,
    /// `2 width` to `width`, in out-blocks of networks with long skips.
    pub skip_linear: Option<Linear<B>>,
}

impl<B: Kernels> Block<B> {
    pub(crate) fn init(
        config: &UVitConfig,
        with_skip: bool,
        initializer: &mut Initializer<'_, B>,
    ) -> Self {
        let width = config.width;
        let norm = || LayerNormConfig::new(width).init(initializer.device());
        let (norm1, norm2) = (norm(), norm());
        Self {
            norm1,
            attn: Attention {
                qkv: initializer.linear(width, 3 * width, config.qkv_bias),
                proj: initializer.linear(width, width, true),
                heads: config.heads,
            },
            norm2,
            mlp: Mlp {
                fc1: initializer.linear(width, config.mlp_width(), true),
                fc2: initializer.linear(config.mlp_width(), width, true),
            },
            skip_linear: with_skip.then(|| initializer.linear(2 * width, width, true)),
        }
    }

    /// Runs the block on `x` and, in an out-block, the skip, both `[batch, tokens, width]`.
    pub fn forward(&self, x: Tensor<B, 3>, skip: Option<Tensor<B, 3>>) -> Tensor<B, 3> {
        self.transform(self.join(x, skip))
    }

    /// The input of attention and MLP: `x` with the skip joined, where there is one.
    pub(crate) fn join(&self, x: Tensor<B, 3>, skip: Option<Tensor<B, 3>>) -> Tensor<B, 3> {
        match (&self.skip_linear, skip) {
            (Some(layer), Some(skip)) => joined_linear(x, skip, layer),
            _ => x,
        }
    }

    /// Attention and MLP, each added onto its input, of any number of tokens.
    pub(crate) fn transform(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let (attn, mlp) = (&self.attn, &self.mlp);
        let layers = [&attn.qkv, &attn.proj];
        let x = attention_onto(x, &self.norm1, LAYER_NORM_EPSILON, layers, attn.heads);
        mlp_onto(x, &self.norm2, LAYER_NORM_EPSILON, [&mlp.fc1, &mlp.fc2])
    }
}
