//! A decoder of one's own for one block.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::conv::Conv2d;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::UVit;
use crate::kernels::Kernels;

/// What makes a noise prediction of a hidden state: norm, decoder and final convolution.
#[derive(Module, Debug)]
pub struct Head<B: Backend> {
    /// The norm before the decoder.
    pub norm: LayerNorm<B>,
    /// The decoder: `width` to a patch's values, ordered (p1 p2 C).
    pub decoder_pred: Linear<B>,
    /// The optional 3x3 convolution on the decoded image.
    pub final_layer: Option<Conv2d<B>>,
}

impl<B: Kernels> UVit<B> {
    /// A head with the values of the network's own decoder, to be trained apart from it.
    pub fn copy_of_decoder(&self) -> Head<B> {
        let head = Head {
            norm: self.norm.clone(),
            decoder_pred: self.decoder_pred.clone(),
            final_layer: self.final_layer.clone(),
        };
        head.map(&mut Renew)
    }

    /// [`UVit::decode`] by another head.
    ///
    /// # Shapes
    /// `hidden` `[batch, tokens, width]` to `[batch, channels, size, size]`.
    pub fn decode_by(&self, head: &Head<B>, hidden: Tensor<B, 3>) -> Tensor<B, 4> {
        self.decode_with(
            &head.norm,
            &head.decoder_pred,
            head.final_layer.as_ref(),
            hidden,
        )
    }
}

/// Gives parameters an identity of their own, by which optimizers and averages know them.
struct Renew;

impl<B: Backend> ModuleMapper<B> for Renew {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        Param::from_tensor(param.val().detach())
    }
}
