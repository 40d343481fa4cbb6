//! NumPy's arrays and archives of arrays, in which statistics, features and sets of images are
//! published.
//!
//! Nothing that a file claims is believed: memory grows with the values that were read, not with
//! the shape that is stated, and of the values a file may hold more than a shape says or fewer.

mod array;
mod contents;
mod error;
mod features;
mod images;
mod statistics;
#[cfg(test)]
mod testing;

pub use contents::{ArrayContents, ArrayKind};
pub use error::NpzError;
pub use features::FeatureSet;
pub use images::NpzImages;
pub use statistics::{parse_statistics, read_origin, read_statistics, write_statistics};

/// The most features whose covariance is taken, which then takes 512 MiB; Inception's are 2,048.
const MOST_FEATURES: usize = 1 << 13;
