//! A layer of the text and of the image model.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Tensor};

use super::Activation;
use crate::kernels::{Kernels, gelu, layer_norm, self_attention, sigmoid};
use crate::timestep::apply;

/// The sizes of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct LayerSizes {
    /// Width of a token.
    pub(super) width: usize,
    /// Width of the hidden features.
    pub(super) mlp_width: usize,
    /// Attention heads.
    pub(super) heads: usize,
}

pub(super) fn norm<B: Backend>(width: usize, device: &B::Device) -> LayerNorm<B> {
    LayerNormConfig::new(width).init(device)
}

/// Layer normalisation of tokens `[batch, tokens, width]`.
pub(super) fn normalise<B: Kernels>(
    norm: &LayerNorm<B>,
    tokens: Tensor<B, 3>,
    epsilon: f64,
) -> Tensor<B, 3> {
    let shift = match &norm.beta {
        Some(shift) => shift.val(),
        None => norm.gamma.val().zeros_like(),
    };
    layer_norm(tokens, norm.gamma.val(), shift, epsilon)
}

/// Multi-head self-attention. In the text model no token sees a later one.
#[derive(Module, Debug)]
pub struct ClipAttention<B: Backend> {
    /// The projection to queries.
    pub q_proj: Linear<B>,
    /// The projection to keys.
    pub k_proj: Linear<B>,
    /// The projection to values.
    pub v_proj: Linear<B>,
    /// The projection of the heads' outputs.
    pub out_proj: Linear<B>,
    heads: usize,
}

impl<B: Kernels> ClipAttention<B> {
    /// Attends between all `tokens` `[batch, tokens, width]`.
    fn forward(&self, tokens: Tensor<B, 3>) -> Tensor<B, 3> {
        let parts = [&self.q_proj, &self.k_proj, &self.v_proj];
        let parts = parts.map(|layer| apply(layer, tokens.clone()));
        let attended = self_attention(
            Tensor::cat(parts.to_vec(), 2),
            self.heads,
            self.q_proj.weight.dtype(),
        );
        apply(&self.out_proj, attended)
    }

    /// Attends between `tokens` `[batch, tokens, width]`; `later` `[batch, heads, tokens, tokens]`
    /// is true where a token (row) must not see another (column).
    fn forward_masked(&self, tokens: Tensor<B, 3>, later: Tensor<B, 4, Bool>) -> Tensor<B, 3> {
        let [batch, count, width] = tokens.dims();
        let head_width = width / self.heads;
        let heads = |layer: &Linear<B>| {
            apply(layer, tokens.clone())
                .reshape([batch, count, self.heads, head_width])
                .swap_dims(1, 2) // [batch, heads, tokens, head_width]
        };
        let scale = (head_width as f64).powf(-0.5);
        let scores = heads(&self.q_proj).matmul(heads(&self.k_proj).transpose()) * scale;
        let weights = softmax(scores.mask_fill(later, f32::MIN), 3);
        let attended = weights
            .matmul(heads(&self.v_proj))
            .swap_dims(1, 2)
            .reshape([batch, count, width]);
        apply(&self.out_proj, attended)
    }
}

/// The two-layer network of a layer.
#[derive(Module, Debug)]
pub struct ClipMlp<B: Backend> {
    /// `width` to the hidden width.
    pub fc1: Linear<B>,
    /// The hidden width to `width`.
    pub fc2: Linear<B>,
}

/// A pre-norm transformer layer.
///
/// ```text
/// x = x + attention(layer_norm1(x))
/// x = x + mlp(layer_norm2(x))
/// ```
#[derive(Module, Debug)]
pub struct ClipLayer<B: Backend> {
    pub layer_norm1: LayerNorm<B>,
    pub self_attn: ClipAttention<B>,
    pub layer_norm2: LayerNorm<B>,
    pub mlp: ClipMlp<B>,
}

impl<B: Kernels> ClipLayer<B> {
    pub(super) fn init(sizes: LayerSizes, device: &B::Device) -> Self {
        let linear =
            |inputs: usize, outputs: usize| LinearConfig::new(inputs, outputs).init(device);
        let LayerSizes {
            width,
            mlp_width,
            heads,
        } = sizes;
        let projection = || linear(width, width);
        Self {
            layer_norm1: norm(width, device),
            self_attn: ClipAttention {
                q_proj: projection(),
                k_proj: projection(),
                v_proj: projection(),
                out_proj: projection(),
                heads,
            },
            layer_norm2: norm(width, device),
            mlp: ClipMlp {
                fc1: linear(width, mlp_width),
                fc2: linear(mlp_width, width),
            },
        }
    }

    /// Tokens `[batch, tokens, width]` after the layer; with `later` as
    /// [`ClipAttention::forward_masked`] has it.
    pub(super) fn forward(
        &self,
        x: Tensor<B, 3>,
        later: Option<Tensor<B, 4, Bool>>,
        activation: Activation,
        epsilon: f64,
    ) -> Tensor<B, 3> {
        let normed = normalise(&self.layer_norm1, x.clone(), epsilon);
        let attended = match later {
            Some(later) => self.self_attn.forward_masked(normed, later),
            None => self.self_attn.forward(normed),
        };
        let x = attended + x;
        let hidden = apply(
            &self.mlp.fc1,
            normalise(&self.layer_norm2, x.clone(), epsilon),
        );
        let hidden = match activation {
            Activation::QuickGelu => quick_gelu(hidden),
            Activation::Gelu => gelu(hidden),
        };
        apply(&self.mlp.fc2, hidden) + x
    }
}

/// `x sigmoid(1.702 x)`, an approximation of GELU (Hendrycks and Gimpel, arXiv 1606.08415).
fn quick_gelu<B: Kernels>(x: Tensor<B, 3>) -> Tensor<B, 3> {
    x.clone() * sigmoid(x * 1.702)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::quick_gelu;
    use burn::tensor::Tensor;
    use burn_flex::Flex;

    #[test]
    fn quick_gelu_has_its_constant() {
        let x = Tensor::<Flex, 3>::from_data([[[-1.0f32, 0.0, 1.0, 3.0]]], &Default::default());
        let found: Vec<f32> = quick_gelu(x).into_data().into_vec().unwrap();
        let expected = [-1.0f64, 0.0, 1.0, 3.0].map(|x| x / (1.0 + (-1.702 * x).exp()));
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((f64::from(found) - expected).abs() < 1e-6, "{found}");
        }
    }
}
