//! Data sets and their transforms: Fashion-MNIST from its gzipped IDX files, in the range and the
//! size that the networks see, and an order of training samples that a position restores.

mod error;
mod fashion_mnist;
mod idx;
mod locate;
mod order;
mod transform;

pub use error::DataError;
pub use fashion_mnist::{CLASS_NAMES, CLASSES, FashionMnist, Split};
pub use locate::{DATA_VARIABLE, DEFAULT_FOLDER, locate};
pub use order::{SampleOrder, TrainingSample};
pub use transform::{PIXELS, SIDE, from_byte, to_byte};
