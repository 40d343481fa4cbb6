//! The CLIP text model.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm};
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Int, Tensor, TensorData};

use super::ClipTextConfig;
use super::layer::{ClipLayer, LayerSizes, norm, normalise};
use crate::ModelError;
use crate::error::expect_shape;
use crate::kernels::Kernels;

/// The `eos_token_id` of old configurations, which is not the token that ends a text.
const LEGACY_END_OF_TEXT: u32 = 2;

/// What the text model says of a batch of texts.
#[derive(Clone, Debug)]
pub struct TextFeatures<B: Backend> {
    /// The last hidden state `[batch, tokens, width]` after the final layer norm: the context of
    /// U-ViT's and AdaDiff's text-conditional networks.
    pub hidden: Tensor<B, 3>,
    /// The last hidden state of the first end-of-text token `[batch, width]`.
    pub pooled: Tensor<B, 2>,
}

/// The text model of CLIP: a transformer in which no token sees a later one. Padding is not masked,
/// as the published networks expect it.
#[derive(Module, Debug)]
pub struct ClipText<B: Backend> {
    pub(super) token_embedding: Embedding<B>,
    pub(super) position_embedding: Embedding<B>,
    pub(super) layers: Vec<ClipLayer<B>>,
    pub(super) final_layer_norm: LayerNorm<B>,
    #[module(skip)]
    config: ClipTextConfig,
}

impl ClipTextConfig {
    /// Builds the network with random weights, which an import replaces.
    ///
    /// # Errors
    /// Where the configuration describes no network.
    pub fn init<B: Kernels>(&self, device: &B::Device) -> Result<ClipText<B>, ModelError> {
        self.validate()?;
        let embedding = |count| EmbeddingConfig::new(count, self.width).init(device);
        let sizes = LayerSizes {
            width: self.width,
            mlp_width: self.mlp_width,
            heads: self.heads,
        };
        Ok(ClipText {
            token_embedding: embedding(self.vocabulary),
            position_embedding: embedding(self.tokens),
            layers: (0..self.layers)
                .map(|_| ClipLayer::init(sizes, device))
                .collect(),
            final_layer_norm: norm(self.width, device),
            config: self.clone(),
        })
    }
}

impl<B: Kernels> ClipText<B> {
    /// The features of texts, each given by its token ids; all have the same number of them.
    ///
    /// # Errors
    /// Where there is no text, the texts differ in length, have no tokens or more than the model
    /// has positions for, or a token is not in the vocabulary.
    pub fn forward<T: AsRef<[u32]>>(&self, texts: &[T]) -> Result<TextFeatures<B>, ModelError> {
        let count = texts.first().map_or(0, |text| text.as_ref().len());
        self.check(texts, count)?;
        let (batch, width) = (texts.len(), self.config.width);
        let device = self.token_embedding.weight.device();

        let ids: Vec<i64> = texts
            .iter()
            .flat_map(|text| text.as_ref())
            .map(|&id| i64::from(id))
            .collect();
        let ids = Tensor::<B, 2, Int>::from_data(TensorData::new(ids, [batch, count]), &device);
        let positions = self.position_embedding.weight.val().narrow(0, 0, count);
        let mut x = self.token_embedding.forward(ids) + positions.unsqueeze();

        let later = later(count, &device).expand([batch, self.config.heads, count, count]);
        let epsilon = self.config.layer_norm_epsilon;
        for layer in &self.layers {
            x = layer.forward(x, Some(later.clone()), self.config.activation, epsilon);
        }
        let hidden = normalise(&self.final_layer_norm, x, epsilon);

        let ends = texts.iter().enumerate().map(|(index, text)| {
            let end = end_of_text(text.as_ref(), self.config.end_of_text);
            (index * count + end) as i64
        });
        let ends = TensorData::new(ends.collect::<Vec<_>>(), [batch]);
        let rows = hidden.clone().reshape([batch * count, width]);
        Ok(TextFeatures {
            pooled: rows.select(0, Tensor::from_data(ends, &device)),
            hidden,
        })
    }

    fn check<T: AsRef<[u32]>>(&self, texts: &[T], count: usize) -> Result<(), ModelError> {
        expect_shape("texts", &[texts.len().max(1)], &[texts.len()])?;
        let ClipTextConfig {
            tokens, vocabulary, ..
        } = self.config;
        if count == 0 || count > tokens {
            return Err(ModelError::Tokens {
                most: tokens,
                found: count,
            });
        }
        for text in texts {
            let text = text.as_ref();
            expect_shape("tokens of a text of the batch", &[count], &[text.len()])?;
            if let Some(&id) = text.iter().find(|&&id| id as usize >= vocabulary) {
                return Err(ModelError::Token { id, vocabulary });
            }
        }
        Ok(())
    }
}

/// Where a token (row) must not see another (column): `[1, 1, tokens, tokens]`.
fn later<B: Backend>(tokens: usize, device: &B::Device) -> Tensor<B, 4, Bool> {
    let later: Vec<bool> = (0..tokens)
        .flat_map(|row| (0..tokens).map(move |column| column > row))
        .collect();
    Tensor::from_data(TensorData::new(later, [1, 1, tokens, tokens]), device)
}

/// The position of the first end-of-text token; 0, as in the published code, where there is none.
fn end_of_text(ids: &[u32], end: u32) -> usize {
    let end = match end {
        LEGACY_END_OF_TEXT => ids.iter().copied().max().unwrap_or(end),
        end => end,
    };
    ids.iter().position(|&id| id == end).unwrap_or(0)
}

#[cfg(all(test, feature = "flex"))]
#[path = "text_tests.rs"]
mod tests;
