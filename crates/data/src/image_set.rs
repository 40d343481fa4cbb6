//! What every data set of images is to those who read it.

use std::io;

use adadiff_images::PictureError;
use thiserror::Error;

use crate::transform::to_planes;

/// A data set of equally shaped images with 8 bits per value, with labels, captions or neither.
///
/// Images may be read from many threads at once, and nothing but the list of them need be in
/// memory.
#[expect(
    clippy::len_without_is_empty,
    reason = "readers refuse a data set without images"
)]
pub trait ImageSet: Send + Sync {
    /// Number of images, never 0.
    fn len(&self) -> usize;

    /// Channels, height and width of every image.
    fn shape(&self) -> [usize; 3];

    /// What the image is called where the data lie; for messages.
    fn name(&self, index: usize) -> String;

    /// The bytes of an image, cropped and resized, `[height, width, channels]`.
    ///
    /// # Errors
    /// Where the image cannot be read or is not what the data set's images are.
    ///
    /// # Panics
    /// Where `index` is not below [`ImageSet::len`], as all methods with an index do.
    fn bytes(&self, index: usize) -> Result<Vec<u8>, ImageError>;

    /// What is stored of an image: bytes that differ where the image does, to tell data sets from each
    /// other without decoding them.
    ///
    /// # Errors
    /// Where the image cannot be read.
    fn stored(&self, index: usize) -> Result<Vec<u8>, ImageError> {
        self.bytes(index)
    }

    /// Number of classes; absent where the images have no labels.
    fn classes(&self) -> Option<usize> {
        None
    }

    /// The label of an image, below [`ImageSet::classes`].
    fn label(&self, index: usize) -> Option<usize> {
        let _ = index;
        None
    }

    /// The captions of an image; of all images or of none.
    fn captions(&self, index: usize) -> &[String] {
        let _ = index;
        &[]
    }

    /// An image in `[-1, 1]`, `[channels, height, width]`, mirrored left to right where `flip` is
    /// set.
    ///
    /// # Errors
    /// As [`ImageSet::bytes`].
    fn image(&self, index: usize, flip: bool) -> Result<Vec<f32>, ImageError> {
        Ok(to_planes(&self.bytes(index)?, self.shape(), flip))
    }
}

/// Why one image of a data set cannot be used.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ImageError {
    /// The file cannot be read.
    #[error("cannot be read ({0})")]
    Read(#[from] io::Error),
    /// The picture cannot be read or decoded.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The picture's size is not the one that all images of the data set have.
    #[error("has {width} x {height} pixels instead of {expected}")]
    Size {
        width: u32,
        height: u32,
        expected: String,
    },
    /// The file is no array, or another one than the data set's.
    #[error("is {found} instead of {expected}")]
    Array { found: String, expected: String },
    /// The file of its context, which lies beside it, cannot be used.
    #[error("has a context {name} that {error}")]
    Context { name: String, error: Box<Self> },
    /// The latents or contexts are damaged.
    #[error("has numbers that are not finite")]
    NotFinite,
}
