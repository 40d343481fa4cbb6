//! Sets of images as files, in batches for a network.

mod batch;
mod file_set;

pub use batch::ImageBatch;
pub(crate) use batch::{CHANNELS, LARGEST_BATCH, LARGEST_IMAGE};
pub use file_set::{FileSet, FileSetError};
