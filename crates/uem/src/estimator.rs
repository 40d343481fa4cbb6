//! The uncertainty estimation module of one block.

use adadiff_model::Initializer;
use adadiff_model::kernels::{Kernels, linear, linear_per_sample, mean_sigmoid, sigmoid};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::AdaDiffConfig;

/// What an estimator sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EstimatorForm {
    /// The image tokens alone, as in the published code.
    Tokens,
    /// The image tokens and the timestep embedding, as in the paper's equation.
    #[default]
    Timestep,
}

/// How finely an estimator tells uncertainty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UncertaintyForm {
    /// A map: one number for every value of the noise prediction, as the paper has it.
    #[default]
    Map,
    /// One number for every image token, of that token.
    Token,
    /// One number for the sample, of the mean of its image tokens.
    Sample,
}

/// Predicts how wrong a block's noise prediction is, value by value:
/// `u_i,t = sigmoid(w^T [L_i,t, temb] + b)`.
///
/// The product with `[L_i,t, temb]` is kept as two, one with the tokens and one with the timestep
/// embedding, so that the latter is not copied to every token.
#[derive(Module, Debug)]
pub struct UncertaintyEstimator<B: Backend> {
    /// The part of `w` that meets the tokens, and `b`.
    pub tokens: Linear<B>,
    /// The part of `w` that meets the timestep embedding; absent in form [`EstimatorForm::Tokens`].
    pub time: Option<Linear<B>>,
    /// Whether the estimator sees the mean of the image tokens in place of each of them.
    pooled: bool,
    /// Values of a patch.
    values: usize,
    /// Tokens before the image tokens.
    extra_tokens: usize,
}

impl<B: Kernels> UncertaintyEstimator<B> {
    pub(crate) fn init(config: &AdaDiffConfig, draw: &mut Initializer<'_, B>) -> Self {
        let backbone = &config.backbone;
        let (width, values) = (backbone.width, backbone.patch_values());
        let outputs = match config.uncertainty {
            UncertaintyForm::Map => values,
            UncertaintyForm::Token | UncertaintyForm::Sample => 1,
        };
        Self {
            tokens: draw.linear(width, outputs, true),
            time: match config.estimator {
                EstimatorForm::Tokens => None,
                EstimatorForm::Timestep => Some(draw.linear(width, outputs, false)),
            },
            pooled: config.uncertainty == UncertaintyForm::Sample,
            values,
            extra_tokens: backbone.extra_tokens(),
        }
    }

    /// The uncertainty in `[0, 1]` of every value of every patch, and of the extra tokens, which
    /// mean nothing: cutting them off before would copy the hidden state. An estimator that tells
    /// less than a map tells the same for all that it stands for.
    ///
    /// Both inputs are detached: estimating must not change what is estimated.
    ///
    /// # Shapes
    /// `hidden` `[batch, tokens, width]` and `time_embedding` `[batch, width]` to
    /// `[batch, tokens, (p1 p2 C)]`.
    pub fn forward(&self, hidden: Tensor<B, 3>, time_embedding: Tensor<B, 2>) -> Tensor<B, 3> {
        let [batch, tokens, _] = hidden.dims();
        let biases = self.biases(time_embedding);
        let seen = if self.pooled {
            self.pool(hidden.detach())
        } else {
            hidden.detach()
        };
        let logits = linear_per_sample(seen, self.tokens.weight.val(), biases);
        // In half precision a mean over thousands of values would keep three digits.
        let uncertainty = sigmoid(logits.cast(FloatDType::F32));
        if uncertainty.dims() == [batch, tokens, self.values] {
            uncertainty
        } else {
            uncertainty.expand([batch, tokens, self.values])
        }
    }

    /// The mean of [`Self::forward`] over a sample's values, those of the first `extra_tokens`
    /// tokens left out: `[batch]`. Faster, as the values are not kept. `biases` are [`Self::biases`],
    /// of one row where all samples are at the same timestep.
    pub fn mean(
        &self,
        hidden: Tensor<B, 3>,
        biases: Tensor<B, 2>,
        extra_tokens: usize,
    ) -> Tensor<B, 1> {
        let ([batch, ..], [rows, outputs]) = (hidden.dims(), biases.dims());
        let biases = if rows == batch {
            biases
        } else {
            biases.expand([batch, outputs])
        };
        let (seen, skipped) = if self.pooled {
            (self.pool(hidden.detach()), 0)
        } else {
            (hidden.detach(), extra_tokens)
        };
        mean_sigmoid(seen, self.tokens.weight.val(), biases, skipped)
    }

    /// The mean of the image tokens, `[batch, 1, width]`.
    fn pool(&self, hidden: Tensor<B, 3>) -> Tensor<B, 3> {
        let [_, tokens, _] = hidden.dims();
        let image = hidden.narrow(1, self.extra_tokens, tokens - self.extra_tokens);
        image.mean_dim(1)
    }

    /// What is added to all tokens of a sample: `time_embedding` `[batch, width]` to `[batch, outputs]`.
    pub fn biases(&self, time_embedding: Tensor<B, 2>) -> Tensor<B, 2> {
        let [batch, width] = time_embedding.dims();
        let [_, values] = self.tokens.weight.dims();
        let bias = self.tokens.bias.as_ref().map(|bias| bias.val());
        match (&self.time, bias) {
            (Some(time), bias) => {
                let time_embedding = time_embedding.detach().reshape([1, batch, width]);
                linear(time_embedding, time.weight.val(), bias).reshape([batch, values])
            }
            (None, Some(bias)) => bias.reshape([1, values]).expand([batch, values]),
            (None, None) => {
                let dtype = self.tokens.weight.val().dtype();
                Tensor::zeros([batch, values], (&time_embedding.device(), dtype))
            }
        }
    }
}

impl AdaDiffConfig {
    /// Floating-point operations of one estimator for one sample, counted as
    /// [`UVitConfig::flops`](adadiff_model::UVitConfig::flops) does.
    pub fn estimator_flops(&self) -> f64 {
        let (backbone, patches) = (&self.backbone, self.backbone.patches());
        let (rows, outputs) = match self.uncertainty {
            UncertaintyForm::Map => (patches, backbone.patch_values()),
            UncertaintyForm::Token => (patches, 1),
            UncertaintyForm::Sample => (1, 1),
        };
        let time = usize::from(self.estimator == EstimatorForm::Timestep);
        2.0 * ((rows + time) * backbone.width * outputs) as f64
    }
}
