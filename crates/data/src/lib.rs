//! Data sets and their transforms, in the range and the size that the networks see: Fashion-MNIST,
//! CIFAR-10, CelebA, ImageNet, MS-COCO and any folder of images, from the files as published.
//!
//! Every data set of images is an [`ImageSet`], and what a network is trained on a [`TrainingSet`]:
//! images ([`Pixels`]) or [`Latents`]. A [`BatchLoader`] reads one in parallel, in an order of training
//! samples that a position restores. A data set of one's own needs four methods:
//!
//! ```
//! use std::sync::Arc;
//!
//! use adadiff_data::{BatchLoader, ImageError, ImageSet, LoaderConfig, Pixels};
//!
//! /// Grey squares, each of another brightness.
//! struct Squares;
//!
//! impl ImageSet for Squares {
//!     fn len(&self) -> usize {
//!         256
//!     }
//!
//!     fn shape(&self) -> [usize; 3] {
//!         [1, 8, 8]
//!     }
//!
//!     fn name(&self, index: usize) -> String {
//!         format!("square {index}")
//!     }
//!
//!     fn bytes(&self, index: usize) -> Result<Vec<u8>, ImageError> {
//!         Ok(vec![index as u8; 64])
//!     }
//! }
//!
//! let config = LoaderConfig {
//!     seed: 0,
//!     batch_size: 4,
//!     rows: 0..4,
//!     flip: false,
//!     ahead: 2,
//!     workers: 1,
//!     most_bad_images: 0,
//! };
//! let set = Arc::new(Pixels(Arc::new(Squares)));
//! let loader = BatchLoader::new(set.clone(), config.clone(), 0)?;
//! let batches = loader.take(3).collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(batches[2].images.len(), 4 * 64);
//! assert!(batches[2].images.iter().all(|value| (-1.0..=1.0).contains(value)));
//! // Training goes on at any step as if it had never stopped.
//! let resumed = BatchLoader::new(set, config, 2)?.next().unwrap()?;
//! assert_eq!(resumed, batches[2]);
//! # Ok::<(), adadiff_data::DataError>(())
//! ```

mod caption_choice;
mod celeba;
pub mod cifar10;
mod coco;
mod digest;
mod error;
mod expected;
pub mod fashion_mnist;
mod files;
mod framing;
mod idx;
mod image_folder;
mod image_net;
mod image_set;
mod latents;
mod loader;
mod locate;
mod order;
mod pickle;
mod resample;
mod training_set;
mod transform;

pub use adadiff_images::{BadImage, BadImages, LeftOut, PictureError, TooManyBadImages};
pub use caption_choice::choose_caption;
pub use celeba::{CelebA, CelebAPartition};
pub use cifar10::{Cifar10, open_cifar10};
pub use coco::Coco;
pub use digest::{data_sha256, images_sha256};
pub use error::DataError;
pub use fashion_mnist::{FashionMnist, Split};
pub use framing::{Framing, centre_square};
pub use image_folder::ImageFolder;
pub use image_net::open_image_net;
pub use image_set::{ImageError, ImageSet};
pub use latents::{
    LatentError, LatentHeader, LatentItem, LatentStorage, LatentWriter, Latents, NpyLatents,
    SCALE_FACTOR, SkippedImage, Verify,
};
pub use loader::{Batch, BatchLoader, LoaderConfig};
pub use locate::{DATA_VARIABLE, DEFAULT_FOLDER, locate};
pub use order::{SampleOrder, TrainingSample};
pub use training_set::{Conditioning, Label, Pixels, TrainingSet, Visit};
pub use transform::{from_byte, to_byte, to_planes};
