//! Sets of images as files.
//!
//! Nothing that a file claims is believed: memory is bounded by the largest image that is read, and
//! a file that is none is named and passed over.

mod batch;
mod decode;
mod error;
mod files;

pub use batch::ImageBatch;
pub(crate) use batch::{CHANNELS, LARGEST_BATCH, LARGEST_IMAGE};
pub use error::ImageFilesError;
pub use files::{BadImage, ImageFiles};
