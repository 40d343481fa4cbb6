//! The uncertainty estimation module of one block.

use adadiff_model::kernels::{Kernels, linear, linear_per_sample, mean_sigmoid, sigmoid};
use adadiff_model::{Initializer, UVitConfig};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor};
use serde::{Deserialize, Serialize};

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
}

impl<B: Kernels> UncertaintyEstimator<B> {
    pub(crate) fn init(
        form: EstimatorForm,
        config: &UVitConfig,
        draw: &mut Initializer<'_, B>,
    ) -> Self {
        let (width, values) = (config.width, config.patch_values());
        Self {
            tokens: draw.linear(width, values, true),
            time: match form {
                EstimatorForm::Tokens => None,
                EstimatorForm::Timestep => Some(draw.linear(width, values, false)),
            },
        }
    }

    /// The uncertainty in `[0, 1]` of every value of every patch, and of the extra tokens, which
    /// mean nothing: cutting them off before would copy the hidden state.
    ///
    /// Both inputs are detached: estimating must not change what is estimated.
    ///
    /// # Shapes
    /// `hidden` `[batch, tokens, width]` and `time_embedding` `[batch, width]` to
    /// `[batch, tokens, (p1 p2 C)]`.
    pub fn forward(&self, hidden: Tensor<B, 3>, time_embedding: Tensor<B, 2>) -> Tensor<B, 3> {
        let biases = self.biases(time_embedding);
        let logits = linear_per_sample(hidden.detach(), self.tokens.weight.val(), biases);
        // In half precision a mean over thousands of values would keep three digits.
        sigmoid(logits.cast(FloatDType::F32))
    }

    /// The mean of [`Self::forward`] over a sample's values, those of the first `extra_tokens`
    /// tokens left out: `[batch]`. Faster, as the values are not kept.
    pub fn mean(
        &self,
        hidden: Tensor<B, 3>,
        time_embedding: Tensor<B, 2>,
        extra_tokens: usize,
    ) -> Tensor<B, 1> {
        let biases = self.biases(time_embedding);
        mean_sigmoid(
            hidden.detach(),
            self.tokens.weight.val(),
            biases,
            extra_tokens,
        )
    }

    /// What is added to all tokens of a sample, `[batch, (p1 p2 C)]`.
    fn biases(&self, time_embedding: Tensor<B, 2>) -> Tensor<B, 2> {
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

/// Floating-point operations of one estimator for one sample, counted as [`UVitConfig::flops`] does.
pub fn estimator_flops(form: EstimatorForm, config: &UVitConfig) -> f64 {
    let rows = match form {
        EstimatorForm::Tokens => config.patches(),
        EstimatorForm::Timestep => config.patches() + 1,
    };
    2.0 * (rows * config.width * config.patch_values()) as f64
}
