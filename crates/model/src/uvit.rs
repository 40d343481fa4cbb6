//! U-ViT, whole and stepwise.

use std::convert::Infallible;
use std::ops::{ControlFlow, Range};

use burn::module::Module;
use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::{Embedding, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Int, Tensor};

use crate::block::{Block, normalise};
use crate::error::expect_shape;
use crate::init::Initializer;
use crate::kernels::{Kernels, convolution as convolve, linear};
use crate::timestep::{TimeMlp, apply, timestep_embedding};
use crate::{Condition, Denoiser, ModelError, NoisyBatch, Prediction, TokenState, UVitConfig};

/// The U-ViT noise prediction network (arXiv 2209.12152, section 3).
///
/// The stepwise form, [`Self::embed`], [`Self::walk_blocks`] and [`Self::decode`], is the only
/// implementation; [`Self::forward`] calls it.
#[derive(Module, Debug)]
pub struct UVit<B: Backend> {
    /// The convolution that makes a token of a patch.
    pub patch_embed: Conv2d<B>,
    /// The optional network on the timestep embedding.
    pub time_embed: Option<TimeMlp<B>>,
    /// The class token's embedding.
    pub label_emb: Option<Embedding<B>>,
    /// The text tokens' projection.
    pub context_embed: Option<Linear<B>>,
    /// The learned position embedding `[1, tokens, width]`.
    pub pos_embed: Param<Tensor<B, 3>>,
    /// In-blocks, mid block and out-blocks in the order of execution.
    pub blocks: Vec<Block<B>>,
    /// The norm before the decoder.
    pub norm: LayerNorm<B>,
    /// The decoder: `width` to a patch's values, ordered (p1 p2 C).
    pub decoder_pred: Linear<B>,
    /// The optional 3x3 convolution on the decoded image.
    pub final_layer: Option<Conv2d<B>>,
    extra_tokens: usize,
    image_size: usize,
    patch_size: usize,
    channels: usize,
}

impl UVitConfig {
    /// Builds the network with weights drawn from `seed`, the same on every device.
    ///
    /// # Errors
    /// Where the configuration describes no network.
    pub fn init<B: Kernels>(&self, seed: u64, device: &B::Device) -> Result<UVit<B>, ModelError> {
        self.validate()?;
        let mut draw = Initializer::new(seed, device);
        let mid = self.depth / 2;
        Ok(UVit {
            patch_embed: draw.convolution(
                [self.channels, self.width],
                self.patch_size,
                self.patch_size,
                0,
            ),
            time_embed: self.time_mlp.then(|| TimeMlp::init(self.width, &mut draw)),
            label_emb: self
                .classes
                .map(|classes| draw.embedding(classes, self.width)),
            context_embed: self
                .text
                .map(|text| draw.linear(text.width, self.width, true)),
            pos_embed: draw.truncated_normal([1, self.tokens(), self.width]),
            blocks: (0..self.blocks())
                .map(|block| Block::init(self, self.long_skips && block > mid, &mut draw))
                .collect(),
            norm: LayerNormConfig::new(self.width).init(device),
            decoder_pred: draw.linear(self.width, self.patch_values(), true),
            final_layer: self
                .final_convolution
                .then(|| draw.convolution([self.channels, self.channels], 3, 1, 1)),
            extra_tokens: self.extra_tokens(),
            image_size: self.image_size,
            patch_size: self.patch_size,
            channels: self.channels,
        })
    }
}

impl<B: Kernels> UVit<B> {
    /// Predicts the noise in `noisy` `[batch, channels, size, size]`; `timesteps` holds one value
    /// a sample, in the units the network was trained with.
    ///
    /// # Errors
    /// Where the shapes or the kind of the condition do not suit the network.
    pub fn forward(
        &self,
        noisy: Tensor<B, 4>,
        timesteps: &[f32],
        condition: &Condition<B>,
    ) -> Result<Tensor<B, 4>, ModelError> {
        B::on_worker(|| {
            let state = self.embed(noisy, timesteps, condition)?;
            let state = self.run_blocks(0..self.num_blocks(), state);
            Ok(self.decode(state.hidden()))
        })
    }

    /// Makes the token sequence: class token, timestep token (and text tokens), image tokens.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn embed(
        &self,
        noisy: Tensor<B, 4>,
        timesteps: &[f32],
        condition: &Condition<B>,
    ) -> Result<TokenState<B>, ModelError> {
        let found = noisy.dims();
        let batch = found[0];
        expect_shape(
            "noisy image",
            &[batch, self.channels, self.image_size, self.image_size],
            &found,
        )?;
        expect_shape("timesteps", &[batch], &[timesteps.len()])?;

        let [_, _, width] = self.pos_embed.dims();
        let dtype = self.dtype();
        let patches = self.embed_patches(noisy.cast(dtype));
        let embedding = timestep_embedding::<B>(timesteps, width, &patches.device());
        let mut time: Tensor<B, 3> = embedding.cast(dtype).reshape([batch, 1, width]);
        if let Some(mlp) = &self.time_embed {
            time = mlp.forward(time);
        }
        let parts = match (self.context(condition, batch)?, condition) {
            (Some(context), Condition::Text(_)) => vec![time.clone(), context, patches],
            // An embedding is a matrix, which may be in another precision than the rest.
            (Some(label), _) => vec![label.cast(dtype), time.clone(), patches],
            (None, _) => vec![time.clone(), patches],
        };
        let hidden = self.with_positions(Tensor::cat(parts, 1));
        Ok(TokenState::new(hidden, time.reshape([batch, width])))
    }

    /// [`Self::embed`] of samples at one timestep.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn embed_batch(&self, batch: NoisyBatch<B>) -> Result<TokenState<B>, ModelError> {
        let timesteps = batch.timesteps();
        self.embed(batch.noisy, &timesteps, &batch.condition)
    }

    /// Tokens `[batch, tokens, width]` with the embedding of each token's position.
    fn with_positions(&self, tokens: Tensor<B, 3>) -> Tensor<B, 3> {
        // As one row of all tokens, which Flex adds to other rows many times as fast as a matrix to matrices.
        let [batch, count, width] = tokens.dims();
        let positions: Tensor<B, 2> = self.pos_embed.val().reshape([1, count * width]);
        let rows: Tensor<B, 2> = tokens.reshape([batch, count * width]);
        (rows + positions).reshape([batch, count, width])
    }

    /// The image tokens `[batch, patches, width]` of an image `[batch, channels, size, size]`: the
    /// convolution whose stride is its size, written as the matrix product that it is, since a
    /// convolution's result would have to be transposed.
    fn embed_patches(&self, image: Tensor<B, 4>) -> Tensor<B, 3> {
        let [batch, channels, size, _] = image.dims();
        let (patch, side) = (self.patch_size, size / self.patch_size);
        let values = channels * patch * patch;
        let patches = image
            .reshape([batch, channels, side, patch, side, patch])
            .permute([0, 2, 4, 1, 3, 5]) // [batch, side, side, channels, p1, p2]
            .reshape([batch, side * side, values]);
        let weight = self.patch_embed.weight.val();
        let [width, ..] = weight.dims();
        let weight = weight.reshape([width, values]).transpose();
        linear(
            patches,
            weight,
            self.patch_embed.bias.as_ref().map(Param::val),
        )
    }

    /// The tokens of the condition `[batch, class or text tokens, width]`.
    fn context(
        &self,
        condition: &Condition<B>,
        batch: usize,
    ) -> Result<Option<Tensor<B, 3>>, ModelError> {
        match (&self.label_emb, &self.context_embed, condition) {
            (None, None, Condition::None) => Ok(None),
            (Some(embedding), _, Condition::Class(labels)) => {
                expect_shape("class labels", &[batch], &labels.dims())?;
                let labels: Tensor<B, 2, Int> = labels.clone().reshape([batch, 1]);
                Ok(Some(embedding.forward(labels)))
            }
            (_, Some(layer), Condition::Text(context)) => {
                let [inputs, _] = layer.weight.dims();
                let expected = [batch, self.extra_tokens - 1, inputs];
                expect_shape("text context", &expected, &context.dims())?;
                Ok(Some(apply(layer, context.clone().cast(self.dtype()))))
            }
            (label, text, condition) => Err(ModelError::Condition {
                expected: match (label, text) {
                    (Some(_), _) => "class",
                    (_, Some(_)) => "text",
                    _ => "none",
                },
                given: condition.kind(),
            }),
        }
    }

    /// Runs `blocks`, numbered in the order of execution from 0.
    pub fn run_blocks(&self, blocks: Range<usize>, state: TokenState<B>) -> TokenState<B> {
        self.for_each_block(blocks, state, |_, _| ())
    }

    /// [`Self::run_blocks`], and shows `see` each block's number and the state after it.
    pub fn for_each_block(
        &self,
        blocks: Range<usize>,
        state: TokenState<B>,
        mut see: impl FnMut(usize, &TokenState<B>),
    ) -> TokenState<B> {
        let Ok(state) = self.walk_blocks(blocks, state, |block, state| {
            see(block, state);
            Ok::<_, Infallible>(ControlFlow::Continue(()))
        });
        state
    }

    /// [`Self::run_blocks`], where `after` is given each block's number and the state after it, which
    /// it may cut down to some of the samples; where it breaks, no further block is run.
    ///
    /// # Errors
    /// Those of `after`.
    pub fn walk_blocks<E>(
        &self,
        blocks: Range<usize>,
        state: TokenState<B>,
        after: impl FnMut(usize, &mut TokenState<B>) -> Result<ControlFlow<()>, E>,
    ) -> Result<TokenState<B>, E> {
        let whole = |block: &Block<B>, x, skip| Ok(block.forward(x, skip));
        self.walk_blocks_by(blocks, state, whole, after)
    }

    /// [`Self::walk_blocks`], where `run` makes a block's output of the block, its input and the skip.
    ///
    /// # Errors
    /// Those of `run` and `after`.
    pub(crate) fn walk_blocks_by<E>(
        &self,
        blocks: Range<usize>,
        mut state: TokenState<B>,
        mut run: impl FnMut(&Block<B>, Tensor<B, 3>, Option<Tensor<B, 3>>) -> Result<Tensor<B, 3>, E>,
        mut after: impl FnMut(usize, &mut TokenState<B>) -> Result<ControlFlow<()>, E>,
    ) -> Result<TokenState<B>, E> {
        let mid = self.num_blocks() / 2;
        for index in blocks {
            let skip = if index > mid { state.pop_skip() } else { None };
            let hidden = run(&self.blocks[index], state.hidden(), skip)?;
            state = state.with_hidden(hidden);
            if index < mid && self.has_long_skips() {
                state.push_skip();
            }
            if after(index, &mut state)?.is_break() {
                break;
            }
        }
        Ok(state)
    }

    /// The state `hidden` `[active, tokens, width]` before the out-block `block`, to which `state` jumps:
    /// the skips that the out-blocks between them would have consumed are dropped.
    pub fn jump(
        &self,
        mut state: TokenState<B>,
        block: usize,
        hidden: Tensor<B, 3>,
    ) -> TokenState<B> {
        state.drop_skips(self.num_blocks() - block);
        state.with_hidden(hidden)
    }

    /// Whether out-blocks join what in-blocks made.
    pub(crate) fn has_long_skips(&self) -> bool {
        self.blocks
            .last()
            .is_some_and(|block| block.skip_linear.is_some())
    }

    /// Patches, and so image tokens, along a side of the image.
    pub(crate) fn side(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// The tokens of time and condition, which stand before the image tokens.
    pub fn extra_tokens(&self) -> usize {
        self.extra_tokens
    }

    /// The image tokens `[batch, patches, values]` among all `[batch, tokens, values]`.
    pub fn image_tokens(&self, values: Tensor<B, 3>) -> Tensor<B, 3> {
        let [_, tokens, _] = values.dims();
        values.narrow(1, self.extra_tokens, tokens - self.extra_tokens)
    }

    /// The noise prediction `[batch, channels, size, size]` of a hidden state
    /// `[batch, tokens, width]`, of any block: `g_i` of the paper. In single precision, whatever the
    /// network computes in.
    pub fn decode(&self, hidden: Tensor<B, 3>) -> Tensor<B, 4> {
        let convolution = self.final_layer.as_ref();
        self.decode_with(&self.norm, &self.decoder_pred, convolution, hidden)
    }

    pub(crate) fn decode_with(
        &self,
        norm: &LayerNorm<B>,
        decoder: &Linear<B>,
        convolution: Option<&Conv2d<B>>,
        hidden: Tensor<B, 3>,
    ) -> Tensor<B, 4> {
        // The few extra tokens are decoded with the others: cutting them off first would copy all.
        let patches = apply(decoder, normalise(norm, hidden));
        let image = self.unpatchify(self.image_tokens(patches));
        let image = match convolution {
            Some(layer) => convolve(image, layer, None, false),
            None => image,
        };
        image.cast(FloatDType::F32)
    }

    /// What the network computes in.
    fn dtype(&self) -> FloatDType {
        self.pos_embed.val().dtype().into()
    }

    /// Patches `[batch, patches, (p1 p2 C)]` to an image `[batch, channels, size, size]`.
    pub fn unpatchify(&self, patches: Tensor<B, 3>) -> Tensor<B, 4> {
        let [batch, _, _] = patches.dims();
        let (patch, side) = (self.patch_size, self.image_size / self.patch_size);
        patches
            .reshape([batch, side, side, patch, patch, self.channels])
            .permute([0, 5, 1, 3, 2, 4]) // [batch, channels, side, p1, side, p2]
            .reshape([batch, self.channels, self.image_size, self.image_size])
    }

    /// Number of blocks.
    pub fn num_blocks(&self) -> usize {
        self.blocks.len()
    }
}

impl<B: Kernels> Denoiser<B> for UVit<B> {
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        let timesteps = batch.timesteps();
        let noise = self.forward(batch.noisy, &timesteps, &batch.condition)?;
        Ok(Prediction::new(noise, self.num_blocks()))
    }

    fn blocks_per_prediction(&self) -> u32 {
        self.num_blocks() as u32
    }
}

#[cfg(all(test, feature = "flex"))]
#[path = "uvit_tests.rs"]
mod tests;
