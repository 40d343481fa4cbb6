//! What a network is told beside the noisy image.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

/// The condition of a batch of samples; every sample of a batch has the same kind.
#[derive(Clone, Debug)]
pub enum Condition<B: Backend> {
    /// Unconditional generation.
    None,
    /// Class labels `[batch]`.
    Class(Tensor<B, 1, Int>),
    /// Text context `[batch, tokens, width]`, for example a CLIP text model's last hidden state.
    Text(Tensor<B, 3>),
}

impl<B: Backend> Condition<B> {
    /// The condition's name in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Class(_) => "class",
            Self::Text(_) => "text",
        }
    }

    /// The rows at `indices` `[rows]`, in that order.
    pub fn select(&self, indices: Tensor<B, 1, Int>) -> Self {
        match self {
            Self::None => Self::None,
            Self::Class(labels) => Self::Class(labels.clone().select(0, indices)),
            Self::Text(context) => Self::Text(context.clone().select(0, indices)),
        }
    }

    /// The rows of `self` followed by those of `other`; `None` where the two differ in kind.
    pub fn join(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::None, Self::None) => Some(Self::None),
            (Self::Class(a), Self::Class(b)) => Some(Self::Class(Tensor::cat(vec![a, b], 0))),
            (Self::Text(a), Self::Text(b)) => Some(Self::Text(Tensor::cat(vec![a, b], 0))),
            _ => None,
        }
    }
}
