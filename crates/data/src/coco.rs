//! MS-COCO (Lin et al. 2014, arXiv 1405.0312) of 2014 and 2017: photographs with several captions
//! each.

mod captions;

use std::path::Path;

use adadiff_images::decode;

use crate::coco::captions::{CaptionedImage, read_captions};
use crate::expected::Expected;
use crate::files::{ImageFiles, check_present};
use crate::{DataError, Framing, ImageError, ImageSet};

const HELP: &str = "https://cocodataset.org/#download offers train2014.zip, val2014.zip and their \
    like of 2017, and annotations_trainval2014.zip with the captions";

const IMAGES: Expected = Expected {
    holds: "MS-COCO's images, a folder such as train2014 or its zip archive",
    help: HELP,
};

const CAPTIONS: Expected = Expected {
    holds: "MS-COCO's captions, a file such as captions_train2014.json",
    help: HELP,
};

/// The images of a split with their captions, in the order of the images' identifiers; never empty.
pub struct Coco {
    files: ImageFiles,
    images: Vec<CaptionedImage>,
    side: u32,
}

impl Coco {
    /// Opens the images of a folder or zip archive (`train2014`, `val2017.zip`) with the captions of
    /// the same split (`captions_train2014.json`, `captions_val2017.json`); images become
    /// [`Framing::Lanczos`]'s squares of `side` pixels.
    ///
    /// # Errors
    /// Where images or captions are missing, damaged, ambiguous, or of different splits. A single
    /// missing image is an error of its own when it is read.
    ///
    /// # Panics
    /// Where `side` is 0.
    pub fn open(images: &Path, captions: &Path, side: u32) -> Result<Self, DataError> {
        assert!(side > 0, "images need a side");
        let list = read_captions(captions)?;
        let files = ImageFiles::open(images, &IMAGES)?;
        let names = list.iter().map(|image| image.name.as_str());
        check_present(&files, images, captions, names, &IMAGES)?;
        Ok(Self {
            files,
            images: list,
            side,
        })
    }
}

impl ImageSet for Coco {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn shape(&self) -> [usize; 3] {
        [3, self.side as usize, self.side as usize]
    }

    fn name(&self, index: usize) -> String {
        self.images[index].name.clone()
    }

    fn bytes(&self, index: usize) -> Result<Vec<u8>, ImageError> {
        let image = decode(&self.stored(index)?)?;
        Ok(Framing::Lanczos.apply(image, self.side)?.into_raw())
    }

    fn stored(&self, index: usize) -> Result<Vec<u8>, ImageError> {
        Ok(self.files.read(&self.images[index].name)?)
    }

    fn captions(&self, index: usize) -> &[String] {
        &self.images[index].captions
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::{Rgb, RgbImage};

    use super::*;

    #[test]
    fn images_and_captions_belong_together() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let folder = root.join("val2014");
        fs::create_dir(&folder).unwrap();
        // Left and right of the centre square is another colour.
        let image = RgbImage::from_fn(80, 40, |x, _| {
            Rgb(if (20..60).contains(&x) {
                [99; 3]
            } else {
                [0; 3]
            })
        });
        image
            .save(folder.join("COCO_val2014_000000000042.png"))
            .unwrap();
        let captions = root.join("captions_val2014.json");
        let json = r#"{"info": {"year": 2014}, "licenses": [],
            "images": [{"id": 73, "file_name": "COCO_val2014_000000000073.png", "height": 9},
                {"id": 42, "file_name": "COCO_val2014_000000000042.png"}],
            "annotations": [{"image_id": 42, "id": 641613, "caption": "A grey square."},
                {"image_id": 73, "id": 7, "caption": "Nothing"},
                {"image_id": 42, "id": 2, "caption": "Ein Platz "}]}"#;
        fs::write(&captions, json).unwrap();
        let set = Coco::open(&folder, &captions, 16).unwrap();
        assert_eq!((set.len(), set.shape()), (2, [3, 16, 16]));
        assert_eq!(set.name(0), "COCO_val2014_000000000042.png");
        assert_eq!(set.captions(0), ["A grey square.", "Ein Platz "]);
        assert_eq!(set.captions(1), ["Nothing"]);
        assert_eq!(set.bytes(0).unwrap(), [99; 3 * 16 * 16]);
        let error = set.bytes(1).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }

    #[test]
    fn images_of_another_split_are_an_error() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("val2017");
        fs::create_dir(&folder).unwrap();
        RgbImage::new(4, 4)
            .save(folder.join("000000000139.jpg"))
            .unwrap();
        let captions = root.path().join("captions_val2014.json");
        let json = r#"{"images": [{"id": 42, "file_name": "COCO_val2014_000000000042.jpg"}],
            "annotations": [{"image_id": 42, "id": 1, "caption": "A surfer"}]}"#;
        fs::write(&captions, json).unwrap();
        let error = Coco::open(&folder, &captions, 16)
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("val2017: none of the images that "),
            "{error}"
        );
        assert!(
            error.contains("COCO_val2014_000000000042.jpg and more"),
            "{error}"
        );
    }
}
