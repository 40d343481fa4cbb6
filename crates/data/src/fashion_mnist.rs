//! Fashion-MNIST (Xiao et al. 2017, arXiv 1708.07747): photographs of clothes, 28 x 28, grey.

use std::io::{BufReader, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::expected::Expected;
use crate::idx::{IdxKind, read_items};
use crate::transform::{pad, to_planes};
use crate::{DataError, ImageError, ImageSet, PIXELS, SIDE, SampleOrder};

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

pub(crate) const SOURCE_SIDE: usize = 28;
pub(crate) const SOURCE_PIXELS: usize = SOURCE_SIDE * SOURCE_SIDE;

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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn bundled(name: &str) -> Vec<u8> {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../experiments/assets/fashion_mnist"
        );
        std::fs::read(Path::new(folder).join(name)).unwrap()
    }

    fn labels_gz(labels: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&LABELS.magic.to_be_bytes()).unwrap();
        encoder
            .write_all(&(labels.len() as u32).to_be_bytes())
            .unwrap();
        encoder.write_all(labels).unwrap();
        encoder.finish().unwrap()
    }

    fn images_gz(images: &[[u8; SOURCE_PIXELS]]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        for word in [IMAGES.magic, images.len() as u32, 28, 28] {
            encoder.write_all(&word.to_be_bytes()).unwrap();
        }
        encoder.write_all(images.as_flattened()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_bundled_test_split_is_the_published_one() {
        let [images, labels] = [Split::Test.images_file(), Split::Test.labels_file()].map(bundled);
        let data = FashionMnist::from_gz_bytes("bundle", Split::Test, &images, &labels).unwrap();
        assert_eq!(data.len(), 10_000);
        for class in 0..CLASSES as u8 {
            assert_eq!(
                data.labels()
                    .iter()
                    .filter(|&&label| label == class)
                    .count(),
                1000
            );
        }
        assert_eq!(data.labels()[..10], [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]);
        let mean = (0..data.len())
            .flat_map(|i| data.bytes(i))
            .map(|&b| f64::from(b))
            .sum::<f64>()
            / (data.len() * SOURCE_PIXELS) as f64;
        // The published test split's mean, 0.2868 of 255.
        assert!((mean / 255.0 - 0.2868).abs() < 5e-5, "{mean}");
    }

    #[test]
    fn a_folder_with_a_subset_loads() {
        let folder = tempfile::tempdir().unwrap();
        let mut image = [0; SOURCE_PIXELS];
        image[0] = 255;
        std::fs::write(
            folder.path().join(Split::Train.images_file()),
            images_gz(&[image]),
        )
        .unwrap();
        std::fs::write(
            folder.path().join(Split::Train.labels_file()),
            labels_gz(&[9]),
        )
        .unwrap();
        let data = FashionMnist::load(folder.path(), Split::Train).unwrap();
        assert_eq!((data.len(), data.labels()), (1, &[9][..]));
        assert_eq!(data.image(0, false)[2 * 32 + 2], 1.0);
        assert_eq!(data.image(0, true)[2 * 32 + 29], 1.0);
        assert_eq!(data.order(0).at(5).index, 0);
        let set: &dyn ImageSet = &data;
        assert_eq!((set.shape(), set.label(0)), ([1, 32, 32], Some(9)));
        assert_eq!(set.bytes(0).unwrap()[2 * 32 + 2], 255);
        assert_eq!(set.image(0, true).unwrap(), data.image(0, true));
    }

    #[test]
    fn errors_name_file_expectation_and_source() {
        let folder = tempfile::tempdir().unwrap();
        let error = FashionMnist::load(folder.path(), Split::Train)
            .unwrap_err()
            .to_string();
        for part in [
            "train-images-idx3-ubyte.gz",
            "28 x 28",
            "dataset-fashion-mnist",
            "https://",
        ] {
            assert!(error.contains(part), "{error}");
        }
        let read = |images: &[u8], labels: &[u8]| {
            FashionMnist::from_gz_bytes("here", Split::Test, images, labels)
                .unwrap_err()
                .to_string()
        };
        let images = images_gz(&[[0; SOURCE_PIXELS]; 2]);
        let error = read(&images, &labels_gz(&[1]));
        assert!(error.starts_with("here/t10k-labels-idx1-ubyte.gz: 1 labels, but expected 2"));
        let error = read(&images, &labels_gz(&[1, 10]));
        assert!(
            error.contains("label 10 at index 1, but expected labels from 0 to 9"),
            "{error}"
        );
        let error = read(&labels_gz(&[1, 2]), &labels_gz(&[1, 2]));
        assert!(
            error.contains("images-idx3-ubyte.gz: magic number 0x00000801"),
            "{error}"
        );
    }
}
