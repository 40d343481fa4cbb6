//! What training reads: images or latents in the range that the network sees, with what they are
//! conditioned on.

use std::sync::Arc;

use crate::digest::values_of;
use crate::{ImageError, ImageSet};

/// One visit of an example in training. Whatever is drawn at random for it is a function of seed
/// and position alone, so that a position restores a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Whether the image is mirrored left to right.
    pub flip: bool,
    /// The seed of the training.
    pub seed: u64,
    /// The number of examples that were drawn before this one.
    pub position: u64,
}

/// What all examples of a set are conditioned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conditioning {
    /// On nothing.
    None,
    /// On one of so many classes.
    Class {
        /// Number of classes, without one that stands for "no class".
        classes: usize,
    },
    /// On the hidden states of a text encoder.
    Text {
        /// Tokens of a context.
        tokens: usize,
        /// Values of a token.
        width: usize,
    },
}

/// What one example is conditioned on.
#[derive(Clone, Debug, PartialEq)]
pub enum Label {
    /// On nothing.
    None,
    /// On a class.
    Class(usize),
    /// On a context, `[tokens, width]` in row-major order.
    Context(Vec<f32>),
}

/// A set of equally shaped examples. They may be read from many threads at once.
#[expect(
    clippy::len_without_is_empty,
    reason = "readers refuse a set without examples"
)]
pub trait TrainingSet: Send + Sync {
    /// Number of examples, never 0.
    fn len(&self) -> usize;

    /// Channels, height and width of what the network is trained on.
    fn shape(&self) -> [usize; 3];

    /// What an example is called where the data lie; for messages.
    fn name(&self, index: usize) -> String;

    /// What all examples are conditioned on.
    fn conditioning(&self) -> Conditioning;

    /// The context of the empty prompt, which stands for a dropped one, `[tokens, width]`; present
    /// where examples are conditioned on text.
    fn empty_context(&self) -> Option<&[f32]> {
        None
    }

    /// Writes an example into `values`, `[channels, height, width]`.
    ///
    /// # Errors
    /// Where it cannot be read or is not what the set's examples are.
    ///
    /// # Panics
    /// Where `index` is not below [`TrainingSet::len`] or `values` has another size.
    fn read(&self, index: usize, visit: Visit, values: &mut [f32]) -> Result<Label, ImageError>;

    /// What is stored of an example: bytes that differ where it or its label does, to tell data sets
    /// from each other.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn stored(&self, index: usize) -> Result<Vec<u8>, ImageError> {
        values_of(self, index)
    }
}

/// The images of a data set in `[-1, 1]`, with their labels where they have some.
pub struct Pixels(pub Arc<dyn ImageSet>);

impl TrainingSet for Pixels {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn shape(&self) -> [usize; 3] {
        self.0.shape()
    }

    fn name(&self, index: usize) -> String {
        self.0.name(index)
    }

    fn conditioning(&self) -> Conditioning {
        match self.0.classes() {
            None => Conditioning::None,
            Some(classes) => Conditioning::Class { classes },
        }
    }

    fn read(&self, index: usize, visit: Visit, values: &mut [f32]) -> Result<Label, ImageError> {
        values.copy_from_slice(&self.0.image(index, visit.flip)?);
        Ok(self.0.label(index).map_or(Label::None, Label::Class))
    }

    fn stored(&self, index: usize) -> Result<Vec<u8>, ImageError> {
        let mut bytes = self.0.stored(index)?;
        if let Some(label) = self.0.label(index) {
            bytes.extend((label as u64).to_le_bytes());
        }
        Ok(bytes)
    }
}
