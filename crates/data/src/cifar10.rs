//! CIFAR-10 (Krizhevsky 2009): photographs of ten kinds of things, 32 x 32.

mod batch;
mod place;

use std::path::Path;
use std::sync::Arc;

use crate::cifar10::batch::Records;
use crate::expected::Expected;
use crate::{DataError, Framing, ImageError, ImageFolder, ImageSet, Split};

/// Side of the images.
const SIDE: usize = 32;

/// Bytes of an image.
const BYTES: usize = 3 * SIDE * SIDE;

/// The most images of a batch; a subset with fewer is welcome.
const BATCH_LENGTH: usize = 10_000;

/// The names of CIFAR-10's classes, by label.
pub const CLASS_NAMES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

const EXPECTED: Expected = Expected {
    holds: "CIFAR-10: cifar-10-binary.tar.gz or cifar-10-python.tar.gz, the batches out of one of \
        them, or folders train and test with a folder of images, PNG or JPEG, for each class",
    help: "https://www.cs.toronto.edu/~kriz/cifar.html offers both archives",
};

/// The images and labels of a split, in memory (150 MB for the 50,000 of training); never empty.
#[derive(Clone, Debug)]
pub struct Cifar10 {
    split: Split,
    records: Records,
}

impl Cifar10 {
    /// Reads the batches of a split, of the binary version or of the one for Python. `place` is an
    /// archive as downloaded, the folder with the batches, or the folder that either is in.
    ///
    /// # Errors
    /// Where a batch is missing, damaged or of another format.
    pub fn load(place: &Path, split: Split) -> Result<Self, DataError> {
        let records = place::read_batches(place, split)?;
        Ok(Self { split, records })
    }
}

/// Opens CIFAR-10 in any of its forms: what [`Cifar10::load`] reads, or a folder with `train` and
/// `test` in it, or one of these two, each with a folder of 32 x 32 images for each class, named as
/// [`CLASS_NAMES`].
///
/// # Errors
/// As [`Cifar10::load`] and [`ImageFolder::labelled`].
pub fn open_cifar10(place: &Path, split: Split) -> Result<Arc<dyn ImageSet>, DataError> {
    let name = match split {
        Split::Train => "train",
        Split::Test => "test",
    };
    let mut folder = place.join(name);
    // Somebody who names one of the splits means the set that it is of.
    if !folder.is_dir() && (place.ends_with("train") || place.ends_with("test")) {
        folder = place.with_file_name(name);
    }
    if !folder.is_dir() {
        return Ok(Arc::new(Cifar10::load(place, split)?));
    }
    let classes = CLASS_NAMES.map(String::from).to_vec();
    let (framing, side) = (Framing::Exact, SIDE as u32);
    let set = ImageFolder::with_classes(&folder, classes, framing, side, &EXPECTED)?;
    Ok(Arc::new(set))
}

impl ImageSet for Cifar10 {
    fn len(&self) -> usize {
        self.records.labels.len()
    }

    fn shape(&self) -> [usize; 3] {
        [3, SIDE, SIDE]
    }

    fn name(&self, index: usize) -> String {
        format!("CIFAR-10's image {index} of {:?}", self.split)
    }

    fn bytes(&self, index: usize) -> Result<Vec<u8>, ImageError> {
        let planes = &self.records.images[index];
        let plane = SIDE * SIDE;
        let pixels =
            (0..plane).flat_map(|at| [planes[at], planes[plane + at], planes[2 * plane + at]]);
        Ok(pixels.collect())
    }

    fn classes(&self) -> Option<usize> {
        Some(CLASS_NAMES.len())
    }

    fn label(&self, index: usize) -> Option<usize> {
        Some(usize::from(self.records.labels[index]))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::{Rgb, RgbImage};

    use super::batch::testing::{binary, pickled, planes};
    use super::*;

    /// Writes one archive with these files in a folder, as the official ones have them.
    fn archive(path: &Path, folder: &str, files: &[(&str, Vec<u8>)]) {
        let file = fs::File::create(path).unwrap();
        let gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        let mut tar = tar::Builder::new(gz);
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            let path = format!("{folder}/{name}");
            tar.append_data(&mut header, path, bytes.as_slice())
                .unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
    }

    fn labels(set: &dyn ImageSet) -> Vec<usize> {
        (0..set.len())
            .filter_map(|index| set.label(index))
            .collect()
    }

    /// Batch `number` has one image more than the one before it, all with this label.
    fn training(write: impl Fn(&[u8]) -> Vec<u8>, ending: &str) -> Vec<(String, Vec<u8>)> {
        (1..=5)
            .map(|number| {
                let labels = vec![number; usize::from(number)];
                (format!("data_batch_{number}{ending}"), write(&labels))
            })
            .collect()
    }

    const TRAINING_LABELS: [usize; 15] = [1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5];

    #[test]
    fn all_official_forms_hold_the_same() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let binaries = training(binary, ".bin");
        let pickles = training(pickled, "");
        for (folder, files) in [
            ("cifar-10-batches-bin", &binaries),
            ("cifar-10-batches-py", &pickles),
        ] {
            let place = root.join(format!("unpacked {folder}"));
            let inner = place.join(folder);
            fs::create_dir_all(&inner).unwrap();
            for (name, bytes) in files {
                fs::write(inner.join(name), bytes).unwrap();
            }
            // Archives have their batches in any order, among other files.
            let mut files: Vec<_> = files
                .iter()
                .rev()
                .map(|(name, bytes)| (name.as_str(), bytes.clone()))
                .collect();
            files.insert(2, ("readme.html", b"read me".to_vec()));
            let name = folder
                .replace("batches-bin", "binary")
                .replace("batches-py", "python");
            let packed = root.join(format!("packed {folder}"));
            fs::create_dir(&packed).unwrap();
            let file = packed.join(format!("{name}.tar.gz"));
            archive(&file, folder, &files);
            for place in [&place, &inner, &packed, &file] {
                let set = open_cifar10(place, Split::Train).unwrap();
                assert_eq!(labels(&*set), TRAINING_LABELS, "{}", place.display());
                assert_eq!((set.shape(), set.classes()), ([3, 32, 32], Some(10)));
                // Red is the label, green the column, blue the row.
                let bytes = set.bytes(14).unwrap();
                assert_eq!(bytes[3 * (2 * 32 + 30)..][..3], [5, 30, 2]);
                let image = set.image(14, true).unwrap();
                let green = image[32 * 32 + 2 * 32 + 1];
                assert!((green - (30.0 / 127.5 - 1.0)).abs() < 1e-6, "{green}");
                let error = open_cifar10(place, Split::Test).err().unwrap().to_string();
                assert!(error.contains("test_batch"), "{error}");
            }
        }
    }

    #[test]
    fn the_test_split_is_one_batch() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("test_batch.bin"), binary(&[9, 0, 3])).unwrap();
        let set = open_cifar10(root.path(), Split::Test).unwrap();
        assert_eq!(labels(&*set), [9, 0, 3]);
        assert_eq!(set.name(1), "CIFAR-10's image 1 of Test");
        let error = open_cifar10(root.path(), Split::Train).err().unwrap();
        let error = error.to_string();
        assert!(error.contains("data_batch_1"), "{error}");
        assert!(error.contains("https://www.cs.toronto.edu"), "{error}");
    }

    #[test]
    fn folders_of_png_images_are_the_same_set() {
        let root = tempfile::tempdir().unwrap();
        for (class, name) in CLASS_NAMES.iter().enumerate().skip(3) {
            let folder = root.path().join("train").join(name);
            fs::create_dir_all(&folder).unwrap();
            let (label, planes) = (class as u8, planes(class as u8));
            let image = RgbImage::from_fn(32, 32, |x, y| {
                let at = (y * 32 + x) as usize;
                Rgb([planes[at], planes[1024 + at], planes[2048 + at]])
            });
            assert_eq!(image.get_pixel(30, 2), &Rgb([label, 30, 2]));
            image.save(folder.join("0001.png")).unwrap();
        }
        // The folder of a split stands for the set.
        for place in [
            root.path(),
            &root.path().join("train"),
            &root.path().join("test"),
        ] {
            let set = open_cifar10(place, Split::Train).unwrap();
            assert_eq!(labels(&*set), [3, 4, 5, 6, 7, 8, 9], "{}", place.display());
        }
        let set = open_cifar10(root.path(), Split::Train).unwrap();
        // Airplanes, automobiles and birds are missing, which renames nobody.
        assert_eq!(labels(&*set), [3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(set.bytes(2).unwrap()[3 * (2 * 32 + 30)..][..3], [5, 30, 2]);
        fs::create_dir(root.path().join("train/spoon")).unwrap();
        let error = open_cifar10(root.path(), Split::Train).err().unwrap();
        let error = error.to_string();
        assert!(error.contains("a folder spoon"), "{error}");
    }

    #[test]
    fn a_copy_saved_as_jpeg_and_an_archive_of_its_pixels_are_the_same_set() {
        let root = tempfile::tempdir().unwrap();
        for (class, name) in CLASS_NAMES.iter().enumerate() {
            let folder = root.path().join("copy/train").join(name);
            fs::create_dir_all(&folder).unwrap();
            let image = RgbImage::from_fn(32, 32, |x, y| {
                Rgb([25 * class as u8, 8 * x as u8, 8 * y as u8])
            });
            image.save(folder.join("0001.jpg")).unwrap();
        }
        let copy = open_cifar10(&root.path().join("copy"), Split::Train).unwrap();
        assert_eq!(labels(&*copy), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let record = |index: usize| {
            let bytes = copy.bytes(index).unwrap();
            let plane = |channel| bytes[channel..].iter().copied().step_by(3);
            let planes = (0..3).flat_map(plane);
            [index as u8].into_iter().chain(planes).collect::<Vec<_>>()
        };
        let batches: Vec<_> = (0..5)
            .map(|batch| {
                let bytes = [record(2 * batch), record(2 * batch + 1)].concat();
                (format!("data_batch_{}.bin", batch + 1), bytes)
            })
            .collect();
        let files: Vec<_> = batches
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.clone()))
            .collect();
        let file = root.path().join("cifar-10-binary.tar.gz");
        archive(&file, "cifar-10-batches-bin", &files);
        let official = open_cifar10(&file, Split::Train).unwrap();
        assert_eq!(labels(&*official), labels(&*copy));
        for index in 0..10 {
            assert_eq!(
                official.image(index, true).unwrap(),
                copy.image(index, true).unwrap()
            );
        }
    }

    #[test]
    fn damaged_archives_are_errors() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("cifar-10-binary.tar.gz");
        let batch = ("test_batch.bin", binary(&[1, 2]));
        let message = || {
            let error = Cifar10::load(&file, Split::Test).unwrap_err();
            error.to_string()
        };
        archive(
            &file,
            "cifar-10-batches-bin",
            &[batch.clone(), batch.clone()],
        );
        assert!(message().contains("test_batch.bin twice"), "{}", message());
        archive(&file, "cifar-10-batches-bin", &[batch]);
        let bytes = fs::read(&file).unwrap();
        for length in [1, 100, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&file, &bytes[..length]).unwrap();
            assert!(
                message().contains("not an intact gzip file"),
                "{length}: {}",
                message()
            );
        }
        let mut flipped = bytes.clone();
        let checksum = bytes.len() - 8;
        flipped[checksum] ^= 1;
        fs::write(&file, flipped).unwrap();
        assert!(
            message().contains("not an intact gzip file"),
            "{}",
            message()
        );
        fs::write(&file, b"plain text").unwrap();
        assert!(
            message().contains("not an intact gzip file"),
            "{}",
            message()
        );
    }
}
