//! Data sets and their transforms: Fashion-MNIST from its gzipped IDX files, in the range and the
//! size that the networks see, and an order of training samples that a position restores.

mod bad_images;
mod error;
mod expected;
mod fashion_mnist;
mod idx;
mod image_set;
mod locate;
mod order;
mod transform;

pub use bad_images::{BadImage, BadImages};
pub use error::DataError;
pub use fashion_mnist::{CLASS_NAMES, CLASSES, FashionMnist, Split};
pub use image_set::{ImageError, ImageSet};
pub use locate::{DATA_VARIABLE, DEFAULT_FOLDER, locate};
pub use order::{SampleOrder, TrainingSample};
pub use transform::{PIXELS, SIDE, from_byte, to_byte};
