//! Published sets of images, as the reference batches of guided diffusion's evaluation are kept.

use std::path::Path;

use super::NpzError;
use super::array::{Archive, Array, Element, NAME};
use crate::images::{CHANNELS, ImageBatch, LARGEST_BATCH, LARGEST_IMAGE};

/// A file of images of one size: an array `arr_0` `[images, height, width, 3]` of bytes, the
/// channels red, green and blue.
#[derive(Debug)]
pub struct NpzImages {
    archive: Archive,
    shape: [usize; 4],
}

impl NpzImages {
    /// Opens a file and reads how many images it holds.
    ///
    /// # Errors
    /// Where the file cannot be read, is damaged, or holds no images.
    pub fn open(path: &Path) -> Result<Self, NpzError> {
        let mut archive = Archive::open(path)?;
        let shape = image_shape(&archive.array(NAME)?);
        match shape {
            Ok(shape) => Ok(Self { archive, shape }),
            Err(reason) => Err(archive.unusable(format!("its {NAME} holds no images: {reason}"))),
        }
    }

    /// Images, height, width, channels.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Reads all images and gives them to `visit` in batches of `images`, or of as many as memory
    /// has room for, of which only one is in memory at a time; the last may be smaller. A set may
    /// be read more than once.
    ///
    /// # Errors
    /// Where the file is damaged, which may be found after some batches, or `visit` fails.
    pub fn for_each_batch<E: From<NpzError>>(
        &mut self,
        images: usize,
        mut visit: impl FnMut(ImageBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        let [total, height, width, channels] = self.shape;
        let mut array = self.archive.array(NAME)?;
        let bytes = height * width * channels;
        let most = images.min(LARGEST_BATCH / bytes).max(1);
        let mut rest = total;
        while rest > 0 {
            let count = rest.min(most);
            let pixels = array.read_bytes(count * bytes)?;
            visit(ImageBatch::new(pixels, [count, height, width, channels]))?;
            rest -= count;
        }
        array.finish()?;
        Ok(())
    }
}

/// The shape of an array of images; the error continues a sentence on why it is none.
fn image_shape(array: &Array<'_>) -> Result<[usize; 4], String> {
    let Ok([images, height, width, channels]) = <[usize; 4]>::try_from(array.shape.as_slice())
    else {
        let axes = array.shape.len();
        return Err(format!(
            "it has {axes} axes instead of images, height, width, channels"
        ));
    };
    if array.element != Element::Byte {
        let advice = "multiply values between 0 and 1 by 255, round and save them as uint8";
        return Err(format!(
            "its values are no bytes (uint8) from 0 to 255; {advice}"
        ));
    }
    if array.is_fortran {
        let advice = "save `numpy.ascontiguousarray` of it";
        return Err(format!("it is stored column by column; {advice}"));
    }
    if channels != CHANNELS && height == CHANNELS {
        return Err(format!(
            "of the shape {:?} the channels are the second axis instead of the last; save \
             numpy.transpose(array, (0, 2, 3, 1))",
            array.shape
        ));
    }
    if channels != CHANNELS {
        let advice = "repeat a single one, or leave out transparency";
        return Err(format!(
            "they have {channels} channels instead of {CHANNELS}; {advice}"
        ));
    }
    let bytes = [height, width, channels]
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size));
    if images == 0 || !bytes.is_some_and(|bytes| (1..=LARGEST_IMAGE).contains(&bytes)) {
        return Err(format!("they would be of shape {:?}", array.shape));
    }
    Ok([images, height, width, channels])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npz::testing::{TestFile, entry, npz, npz_compressed};

    const SHAPE: &str = "(5, 2, 3, 3)";

    fn pixels() -> Vec<u8> {
        (0..90).map(|index| (index * 7 % 256) as u8).collect()
    }

    /// The batches of a file, or what is said of it.
    fn batches(bytes: &[u8], images: usize) -> Result<Vec<ImageBatch>, String> {
        let file = TestFile::new(bytes);
        let mut batches = Vec::new();
        let mut read = || -> Result<(), NpzError> {
            let mut set = NpzImages::open(file.path())?;
            assert_eq!(set.shape()[1..], [2, 3, 3]);
            set.for_each_batch(images, |batch| {
                batches.push(batch);
                Ok::<_, NpzError>(())
            })
        };
        read().map_err(|error| error.to_string())?;
        Ok(batches)
    }

    #[test]
    fn images_come_in_batches() {
        let images = entry("arr_0", "|u1", false, SHAPE, &pixels());
        let labels = entry("arr_1", "<f8", false, "(1,)", &[0; 8]);
        for bytes in [
            npz(&[images.clone(), labels.clone()]),
            npz_compressed(&[labels, images]),
        ] {
            let found = batches(&bytes, 2).unwrap();
            let counts: Vec<_> = found.iter().map(|batch| batch.images()).collect();
            assert_eq!(counts, [2, 2, 1]);
            let all: Vec<u8> = found
                .iter()
                .flat_map(|batch| batch.pixels().to_vec())
                .collect();
            assert_eq!(all, pixels());
            assert_eq!(batches(&bytes, usize::MAX).unwrap().len(), 1);
            assert_eq!(batches(&bytes, 0).unwrap().len(), 5);
        }
    }

    #[test]
    fn what_are_no_images_is_refused() {
        let message = |element: &str, is_fortran: bool, shape: &str, values: usize| {
            let images = entry("arr_0", element, is_fortran, shape, &vec![0; values]);
            batches(&npz(&[images]), 2).unwrap_err()
        };
        for (error, expected) in [
            (message("|u1", true, SHAPE, 90), "column by column"),
            (message("<f4", false, SHAPE, 360), "no bytes (uint8)"),
            (
                message("|u1", false, "(5, 18)", 90),
                "it has 2 axes instead of",
            ),
            (
                message("|u1", false, "(0, 2, 3, 3)", 0),
                "of shape [0, 2, 3, 3]",
            ),
            (
                message("|u1", false, "(5, 0, 3, 3)", 0),
                "of shape [5, 0, 3, 3]",
            ),
            (
                message("|u1", false, "(0, 4294967296, 4294967296, 3)", 0),
                "of shape [0, 4294967296",
            ),
            (
                message("|u1", false, "(5, 6, 3, 1)", 90),
                "they have 1 channels instead of 3",
            ),
            (
                message("|u1", false, "(5, 3, 6, 1)", 90),
                "the channels are the second axis",
            ),
            (message("|u1", false, SHAPE, 89), "does not go with its"),
            (
                message("|u1", false, "(5, 2, 3)", 90),
                "does not go with its",
            ),
        ] {
            assert!(error.contains(expected), "{error}");
        }
        assert!(
            batches(&npz(&[]), 2)
                .unwrap_err()
                .contains("no array arr_0")
        );
    }

    #[test]
    fn damage_is_met_with_an_error() {
        let sound = npz_compressed(&[entry("arr_0", "|u1", false, SHAPE, &pixels())]);
        for length in 0..sound.len() {
            batches(&sound[..length], 2).unwrap_err();
        }
        for index in 0..sound.len() {
            let mut changed = sound.clone();
            changed[index] ^= 0x55;
            if let Ok(found) = batches(&changed, 2) {
                let all: Vec<u8> = found
                    .iter()
                    .flat_map(|batch| batch.pixels().to_vec())
                    .collect();
                assert_eq!(all, pixels(), "byte {index}");
            }
        }
    }
}
