//! Fashion-MNIST (Xiao et al. 2017, arXiv 1708.07747): photographs of clothes, 28 x 28, grey.

use std::io::{BufReader, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::expected::Expected;
use crate::idx::{IdxKind, read_items};
use crate::transform::to_planes;
use crate::{DataError, ImageError, ImageSet, SampleOrder};

/// Where the data set comes from; ends every message about a file that is not as it should be.
pub(crate) const SOURCE: &str = "Debian's package dataset-fashion-mnist installs the four files, \
    and https://github.com/zalandoresearch/fashion-mnist offers them for download";

/// Number of classes.
pub const CLASSES: usize = 10;

/// The names of the classes, by label.
pub const CLASS_NAMES: [&str; CLASSES] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// Side of the images as published.
const SOURCE_SIDE: usize = 28;
const SOURCE_PIXELS: usize = SOURCE_SIDE * SOURCE_SIDE;

/// Side of the images as networks see them, padded with background.
pub const SIDE: usize = 32;

/// Pixels of a padded image.
pub const PIXELS: usize = SIDE * SIDE;

/// Rows and columns of background added on each side.
const PADDING: usize = (SIDE - SOURCE_SIDE) / 2;

const IMAGES: IdxKind = IdxKind {
    expected: Expected {
        holds: "Fashion-MNIST's images as gzipped IDX, 28 x 28 bytes each",
        help: SOURCE,
    },
    magic: 0x0000_0803,
    item_shape: &[SOURCE_SIDE as u32, SOURCE_SIDE as u32],
};

const LABELS: IdxKind = IdxKind {
    expected: Expected {
        holds: "Fashion-MNIST's labels as gzipped IDX, one byte each",
        help: SOURCE,
    },
    magic: 0x0000_0801,
    item_shape: &[],
};

/// The published halves of the data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// 60,000 images.
    Train,
    /// 10,000 images.
    Test,
}

impl Split {
    /// The file of the images.
    pub fn images_file(self) -> &'static str {
        match self {
            Self::Train => "train-images-idx3-ubyte.gz",
            Self::Test => "t10k-images-idx3-ubyte.gz",
        }
    }

    /// The file of the labels.
    pub fn labels_file(self) -> &'static str {
        match self {
            Self::Train => "train-labels-idx1-ubyte.gz",
            Self::Test => "t10k-labels-idx1-ubyte.gz",
        }
    }

    /// Number of images as published; a subset with fewer is welcome.
    pub fn published_len(self) -> usize {
        match self {
            Self::Train => 60_000,
            Self::Test => 10_000,
        }
    }
}

/// The images and labels of a split, in memory; never empty.
#[derive(Clone, Debug)]
pub struct FashionMnist {
    images: Vec<[u8; SOURCE_PIXELS]>,
    labels: Vec<u8>,
}

impl FashionMnist {
    /// Reads a split from the two gzipped IDX files in `folder`.
    ///
    /// # Errors
    /// Where a file is missing, damaged, of another format or does not fit its partner.
    pub fn load(folder: &Path, split: Split) -> Result<Self, DataError> {
        let images = folder.join(split.images_file());
        let labels = folder.join(split.labels_file());
        let image_bytes = BufReader::new(IMAGES.expected.open(&images)?);
        let label_bytes = BufReader::new(LABELS.expected.open(&labels)?);
        Self::read(split, (images, image_bytes), (labels, label_bytes))
    }

    /// Reads a split from the bytes of its two gzipped IDX files; `place` stands for their folder
    /// in errors.
    ///
    /// # Errors
    /// As [`FashionMnist::load`].
    pub fn from_gz_bytes(
        place: &str,
        split: Split,
        images_gz: &[u8],
        labels_gz: &[u8],
    ) -> Result<Self, DataError> {
        let place = Path::new(place);
        let images = place.join(split.images_file());
        let labels = place.join(split.labels_file());
        Self::read(split, (images, images_gz), (labels, labels_gz))
    }

    fn read(
        split: Split,
        (images_file, images_gz): (PathBuf, impl Read),
        (labels_file, labels_gz): (PathBuf, impl Read),
    ) -> Result<Self, DataError> {
        let most = split.published_len();
        let bytes = read_items(images_gz, &images_file, &IMAGES, most)?;
        let labels = read_items(labels_gz, &labels_file, &LABELS, most)?;
        let images = bytes.as_chunks::<SOURCE_PIXELS>().0.to_vec();
        if images.len() != labels.len() {
            return Err(LABELS.expected.content(
                &labels_file,
                format!("{} labels", labels.len()),
                format!("{}, as {} has images", images.len(), images_file.display()),
            ));
        }
        if let Some(index) = labels
            .iter()
            .position(|&label| usize::from(label) >= CLASSES)
        {
            return Err(LABELS.expected.content(
                &labels_file,
                format!("label {} at index {index}", labels[index]),
                format!("labels from 0 to {}", CLASSES - 1),
            ));
        }
        Ok(Self { images, labels })
    }

    /// Number of images.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a loaded data set is never empty"
    )]
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// The labels `0..10` of all images.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The bytes of an image, 28 x 28, 0 being background.
    ///
    /// # Panics
    /// Where `index` is not below [`FashionMnist::len`].
    pub fn bytes(&self, index: usize) -> &[u8; SOURCE_PIXELS] {
        &self.images[index]
    }

    /// An image padded to 32 x 32 in `[-1, 1]`, mirrored left to right where `flip` is set.
    ///
    /// # Panics
    /// Where `index` is not below [`FashionMnist::len`].
    pub fn image(&self, index: usize, flip: bool) -> [f32; PIXELS] {
        let planes = to_planes(&pad(&self.images[index]), [1, SIDE, SIDE], flip);
        // One channel of 32 x 32 is as long as the array.
        let mut image = [0.0; PIXELS];
        image.copy_from_slice(&planes);
        image
    }

    /// The endless order of training samples of this data set under `seed`.
    pub fn order(&self, seed: u64) -> SampleOrder {
        // The reader refuses files without items.
        SampleOrder::new(
            seed,
            NonZeroUsize::new(self.len()).unwrap_or(NonZeroUsize::MIN),
        )
    }
}

impl ImageSet for FashionMnist {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn shape(&self) -> [usize; 3] {
        [1, SIDE, SIDE]
    }

    fn name(&self, index: usize) -> String {
        format!("Fashion-MNIST's image {index}")
    }

    fn bytes(&self, index: usize) -> Result<Vec<u8>, ImageError> {
        Ok(pad(&self.images[index]).to_vec())
    }

    fn classes(&self) -> Option<usize> {
        Some(CLASSES)
    }

    fn label(&self, index: usize) -> Option<usize> {
        Some(usize::from(self.labels[index]))
    }
}

/// An image padded with background (0) to 32 x 32.
fn pad(source: &[u8; SOURCE_PIXELS]) -> [u8; PIXELS] {
    let mut target = [0; PIXELS];
    let rows = target.chunks_exact_mut(SIDE).skip(PADDING);
    for (pixels, row) in source.chunks_exact(SOURCE_SIDE).zip(rows) {
        row[PADDING..PADDING + SOURCE_SIDE].copy_from_slice(pixels);
    }
    target
}

#[cfg(test)]
#[path = "fashion_mnist_tests.rs"]
mod tests;
