//! CelebA (Liu et al. 2015, arXiv 1411.7766): aligned faces of celebrities.

mod partition_list;

use std::path::Path;

use adadiff_images::decode;

use crate::celeba::partition_list::read_list;
use crate::expected::Expected;
use crate::files::{ImageFiles, check_present};
use crate::{DataError, Framing, ImageError, ImageSet};

const HELP: &str = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html offers img_align_celeba.zip \
    and list_eval_partition.txt";

const IMAGES: Expected = Expected {
    holds: "CelebA's aligned images, a folder img_align_celeba or img_align_celeba.zip",
    help: HELP,
};

const LIST: Expected = Expected {
    holds: "CelebA's partition, a file name and a number on each line",
    help: HELP,
};

/// The parts of the data set as published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CelebAPartition {
    /// 162,770 images.
    Train,
    /// 19,867 images.
    Validation,
    /// 19,962 images.
    Test,
}

/// The faces of a part, as squares around the face; never empty.
pub struct CelebA {
    files: ImageFiles,
    names: Vec<String>,
    side: u32,
}

impl CelebA {
    /// Opens `img_align_celeba`, the folder or the zip archive, with `list_eval_partition.txt`
    /// beside it in `root`; images become [`Framing::CelebA`]'s squares of `side` pixels.
    ///
    /// # Errors
    /// Where the list or the images are missing, the list or the archive is damaged, or the list is
    /// one of other images. A single missing image is an error of its own when it is read.
    ///
    /// # Panics
    /// Where `side` is 0.
    pub fn open(root: &Path, partition: CelebAPartition, side: u32) -> Result<Self, DataError> {
        assert!(side > 0, "images need a side");
        let list = root.join("list_eval_partition.txt");
        let names = read_list(&list, partition)?;
        let folder = root.join("img_align_celeba");
        let place = if folder.is_dir() {
            folder
        } else {
            root.join("img_align_celeba.zip")
        };
        let files = ImageFiles::open(&place, &IMAGES)?;
        check_present(
            &files,
            &place,
            &list,
            names.iter().map(String::as_str),
            &IMAGES,
        )?;
        Ok(Self { files, names, side })
    }
}

impl ImageSet for CelebA {
    fn len(&self) -> usize {
        self.names.len()
    }

    fn shape(&self) -> [usize; 3] {
        [3, self.side as usize, self.side as usize]
    }

    fn name(&self, index: usize) -> String {
        self.names[index].clone()
    }

    fn bytes(&self, index: usize) -> Result<Vec<u8>, ImageError> {
        let image = decode(&self.stored(index)?)?;
        Ok(Framing::CelebA.apply(image, self.side)?.into_raw())
    }

    fn stored(&self, index: usize) -> Result<Vec<u8>, ImageError> {
        Ok(self.files.read(&self.names[index])?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Cursor, Write};

    use image::{ImageFormat, Rgb, RgbImage};
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    /// An aligned image of one grey around a white face.
    fn face(grey: u8) -> Vec<u8> {
        let image = RgbImage::from_fn(178, 218, |x, y| {
            let is_face = (25..153).contains(&x) && (57..185).contains(&y);
            Rgb([if is_face { 255 } else { grey }; 3])
        });
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    fn write_list(root: &Path) {
        let lines = "000001.jpg 0\n000002.jpg 2\n000003.jpg 0\n000004.jpg 1\n";
        fs::write(root.join("list_eval_partition.txt"), lines).unwrap();
    }

    fn check(root: &Path) {
        let train = CelebA::open(root, CelebAPartition::Train, 64).unwrap();
        assert_eq!((train.len(), train.shape()), (2, [3, 64, 64]));
        assert_eq!(train.name(1), "000003.jpg");
        // Nothing of what is around the face is in the square.
        assert_eq!(train.bytes(0).unwrap(), [255; 3 * 64 * 64]);
        assert!(train.bytes(1).is_err(), "image 3 is missing");
        let test = CelebA::open(root, CelebAPartition::Test, 64).unwrap();
        assert_eq!((test.len(), test.name(0)), (1, "000002.jpg".to_owned()));
        let error = CelebA::open(root, CelebAPartition::Validation, 64);
        let error = error.err().unwrap().to_string();
        assert!(error.contains("none of the images"), "{error}");
    }

    #[test]
    fn a_folder_and_the_archive_are_read() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write_list(root);
        let archive = root.join("img_align_celeba.zip");
        let mut zip = ZipWriter::new(fs::File::create(&archive).unwrap());
        let folder = root.join("img_align_celeba");
        fs::create_dir(&folder).unwrap();
        for name in ["000001.jpg", "000002.jpg"] {
            fs::write(folder.join(name), face(0)).unwrap();
            let path = format!("img_align_celeba/{name}");
            zip.start_file(path, SimpleFileOptions::default()).unwrap();
            zip.write_all(&face(0)).unwrap();
        }
        zip.finish().unwrap();
        check(root);
        fs::remove_dir_all(&folder).unwrap();
        check(root);
        fs::remove_file(&archive).unwrap();
        let error = CelebA::open(root, CelebAPartition::Train, 64);
        let error = error.err().unwrap().to_string();
        assert!(
            error.contains("img_align_celeba.zip: cannot be opened"),
            "{error}"
        );
        assert!(error.contains("https://mmlab"), "{error}");
    }

    #[test]
    fn images_that_are_not_aligned_are_errors() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write_list(root);
        fs::create_dir(root.join("img_align_celeba")).unwrap();
        let image = RgbImage::new(409, 687);
        image
            .save(root.join("img_align_celeba/000001.jpg"))
            .unwrap();
        let set = CelebA::open(root, CelebAPartition::Train, 64).unwrap();
        let error = set.bytes(0).unwrap_err().to_string();
        assert_eq!(error, "has 409 x 687 pixels instead of 178 x 218");
    }
}
