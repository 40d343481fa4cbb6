//! Latents of images, prepared once with an autoencoder and read many times in training.
//!
//! # The folder
//! `index.json` says what the set is, which shards it has and which images were skipped. A shard,
//! `shard-00000.safetensors` and so on, holds the items of a run of images:
//!
//! | tensor | shape | |
//! |---|---|---|
//! | `moments` | `[items, 2 * channels, height, width]` | means, then log-variances |
//! | `mirrored_moments` | the same | of the images mirrored left to right, where they were made |
//! | `labels` | `[items]` | where images have classes |
//! | `contexts` | `[contexts, tokens, width]` | where images have captions, those of all items |
//! | `context_starts` | `[items + 1]` | the first context of each item, and the end |
//!
//! `empty_context.safetensors` holds the context of the empty prompt, `context`, `[tokens, width]`.
//! All shards but the last have equally many items.

mod error;
mod files;
mod header;
mod index;
mod npy;
mod npy_folder;
mod npy_latents;
mod reader;
mod sampling;
mod shard;
mod verify;
mod writer;

pub use error::LatentError;
pub use header::{LatentHeader, LatentStorage};
pub use index::SkippedImage;
pub use npy_latents::NpyLatents;
pub use reader::Latents;
pub use sampling::SCALE_FACTOR;
pub use verify::Verify;
pub use writer::{LatentItem, LatentWriter};

/// The most values of an item's moments or of a context. It keeps what a damaged file promises from
/// being believed: the moments of an image of 4096 x 4096 pixels are an eighth of it.
const MOST_VALUES: usize = 1 << 24;

#[cfg(test)]
mod npy_tests;
#[cfg(test)]
mod reader_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod writer_tests;
