//! Data sets and their transforms, in the range and the size that the networks see: Fashion-MNIST,
//! CIFAR-10, CelebA, ImageNet, MS-COCO and any folder of images, from the files as published.
//!
//! Every data set of images is an [`ImageSet`], and what a network is trained on a [`TrainingSet`]:
//! images or [`Latents`]. A [`BatchLoader`] reads one in parallel, in an order of training samples
//! that a position restores.

mod caption_choice;
mod celeba;
mod cifar10;
mod coco;
mod error;
mod expected;
mod fashion_mnist;
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
pub use cifar10::{CIFAR10_CLASS_NAMES, Cifar10, open_cifar10};
pub use coco::Coco;
pub use error::DataError;
pub use fashion_mnist::{CLASS_NAMES, CLASSES, FashionMnist, Split};
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
pub use transform::{PIXELS, SIDE, from_byte, to_byte, to_planes};
