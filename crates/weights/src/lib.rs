//! Published weights: opened without trust, checked whole, placed through `burn-store`.
//!
//! A [`WeightFile`] is what a PyTorch file (zip, legacy or tar, a state dictionary, one inside a
//! checkpoint, or a whole network) or a safetensors file holds: names, types and shapes, with values
//! read when they are asked for. [`WeightFile::network`] finds a network among them, the averaged
//! weights where a checkpoint has both. [`Placements`] say which tensor goes where in a network.
//! [`WeightFile::place`] compares the two and refuses a file that does not hold exactly what the
//! network needs; what is loaded is [`checked`] value by value.
//! [`native`] saves and loads this project's own files.
//!
//! # Why not through `burn-store`
//! `burn-store` 0.21 reads PyTorch's container too, but fills storages that are missing or cut off
//! with zeros, ignores strides and checksums, and reserves whatever memory a file asks for. Its
//! successor's reader is a crate of its own, `pytorch-reader`; every size is held against the file's
//! length here before anything is read through it, and nothing in a file is ever run.

mod error;
mod file;
pub mod native;
mod network;
mod placed;
mod placements;
mod pytorch;
mod safetensors;
mod stored;
#[cfg(test)]
mod testing;
mod values;

pub use error::{Misfit, WeightError};
pub use file::{WeightFile, WeightFormat};
pub use placed::Placed;
pub use placements::{Placement, Placements};
pub use safetensors::bad_tensors;
pub use stored::{StoredTensor, StoredType};
pub use values::{BadTensor, Flaw, checked};
