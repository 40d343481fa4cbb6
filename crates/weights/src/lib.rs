//! Published weights: opened without trust, checked whole, placed through `burn-store`.
//!
//! A [`WeightFile`] is what a PyTorch file (zip or legacy, a plain state dictionary or one inside a
//! checkpoint) or a safetensors file holds: names, types and shapes, with values read when they are
//! asked for. [`Placements`] say which tensor goes where in a network. [`WeightFile::place`]
//! compares the two and refuses a file that does not hold exactly what the network needs.
//!
//! # Why PyTorch's container is read here
//! `burn-store` 0.21 reads it too, but fills storages that are missing or cut off with zeros, ignores
//! strides, and reserves whatever memory a file asks for. Here every size is held against the
//! file's length before anything is reserved, and of pickle's instructions only those that build a
//! state dictionary are known: nothing in a file is ever run.

mod error;
mod file;
mod legacy;
mod pickle;
mod placed;
mod placements;
mod safetensors;
mod state_dict;
mod stored;
#[cfg(test)]
mod testing;
mod zip;

pub use error::{Misfit, WeightError};
pub use file::{WeightFile, WeightFormat};
pub use placed::Placed;
pub use placements::{Placement, Placements};
pub use stored::StoredTensor;
