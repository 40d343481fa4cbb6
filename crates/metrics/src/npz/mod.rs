//! NumPy's archives of arrays, in which statistics and sets of images are published.
//!
//! Nothing that a file claims is believed: memory grows with the values that were read, not with
//! the shape that is stated, and of the values a file may hold more than a shape says or fewer.

mod array;
mod error;
mod images;
mod statistics;
#[cfg(test)]
mod testing;

pub use error::NpzError;
pub use images::{ImageBatch, ImageSet};
pub use statistics::{read_statistics, write_statistics};
