//! ImageNet (Deng et al. 2009) as of the challenge of 2012: photographs of a thousand kinds of
//! things.

use std::path::Path;

use crate::expected::Expected;
use crate::{DataError, Framing, ImageFolder};

/// The synsets of the thousand classes, one a line, in their order.
const SYNSETS: &str = include_str!("image_net/synsets.txt");

const EXPECTED: Expected = Expected {
    holds: "ImageNet's images, a folder for each of the challenge's synsets (n01440764 to n15075141)",
    help: "https://www.image-net.org/download.php offers ILSVRC2012_img_train.tar, with an archive \
        of each synset in it",
};

/// Opens a folder of ImageNet with a folder of JPEGs for each synset, such as `train`; images
/// become [`Framing::Adm`]'s squares of `side` pixels.
///
/// Labels are the published ones, a synset's place among the thousand in the order of their names,
/// also where synsets are missing.
///
/// # Errors
/// Where a folder is none of the synsets, and as [`ImageFolder::labelled`].
///
/// # Panics
/// Where `side` is 0.
pub fn open_image_net(root: &Path, side: u32) -> Result<ImageFolder, DataError> {
    let classes = SYNSETS.lines().map(String::from).collect();
    ImageFolder::with_classes(root, classes, Framing::Adm, side, &EXPECTED)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::{Rgb, RgbImage};

    use super::*;
    use crate::ImageSet;

    fn save(path: &Path, size: (u32, u32)) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let image = RgbImage::from_pixel(size.0, size.1, Rgb([10, 20, 30]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        image
            .write_to(&mut bytes, image::ImageFormat::Jpeg)
            .unwrap();
        fs::write(path, bytes.into_inner()).unwrap();
    }

    #[test]
    fn the_list_is_the_published_one() {
        let synsets: Vec<_> = SYNSETS.lines().collect();
        assert_eq!(synsets.len(), 1000);
        assert!(synsets.is_sorted());
        // Tench, goldfish, Siberian husky, toilet tissue.
        for (label, synset) in [
            (0, "n01440764"),
            (1, "n01443537"),
            (250, "n02110185"),
            (999, "n15075141"),
        ] {
            assert_eq!(synsets[label], synset);
        }
    }

    #[test]
    fn labels_are_the_published_ones_in_a_part_too() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        save(&root.join("n15075141/n15075141_1.JPEG"), (50, 40));
        save(&root.join("n01443537/n01443537_10.JPEG"), (33, 70));
        save(&root.join("n01443537/n01443537_2.JPEG"), (8, 9));
        let set = open_image_net(root, 16).unwrap();
        assert_eq!((set.len(), set.classes()), (3, Some(1000)));
        let labels = [0, 1, 2].map(|index| set.label(index).unwrap());
        assert_eq!(labels, [1, 1, 999]);
        assert!(set.name(0).ends_with("n01443537_10.JPEG"));
        for index in 0..3 {
            let bytes = set.bytes(index).unwrap();
            assert_eq!(bytes.len(), 3 * 16 * 16);
            for pixel in bytes.chunks_exact(3) {
                let off = [0, 1, 2].map(|i| pixel[i].abs_diff([10, 20, 30][i]));
                assert!(off.iter().all(|&off| off <= 3), "{pixel:?}");
            }
        }
    }

    #[test]
    fn a_folder_that_is_no_synset_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        save(&root.path().join("n01440764/1.JPEG"), (8, 8));
        // A synset, but of another challenge.
        save(&root.path().join("n00007846/1.JPEG"), (8, 8));
        let error = open_image_net(root.path(), 16).unwrap_err().to_string();
        assert!(error.contains("a folder n00007846"), "{error}");
        fs::remove_dir_all(root.path().join("n00007846")).unwrap();
        fs::create_dir(root.path().join("n01443537")).unwrap();
        let error = open_image_net(root.path(), 16).unwrap_err().to_string();
        assert!(error.contains("n01443537: no image"), "{error}");
        assert!(error.contains("https://www.image-net.org"), "{error}");
    }
}
