//! What a file of arrays is about.

use std::path::Path;

use super::NpzError;
use super::array::{Archive, Element, NAME};

/// What a file of arrays holds, as its names and types tell. Whether it is sound shows when it is
/// read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayContents {
    /// Whether there are statistics of features, `mu` and `sigma`.
    pub has_statistics: bool,
    /// Samples in the array `arr_0`.
    pub samples: Option<ArrayKind>,
}

/// What the samples of an array are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrayKind {
    /// Bytes, or values of four axes.
    Images,
    /// Other floating-point numbers.
    Features,
}

impl ArrayContents {
    /// Looks into an `.npz` or `.npy` file.
    ///
    /// # Errors
    /// Where the file cannot be read, is damaged, or holds neither samples nor statistics.
    pub fn read(path: &Path) -> Result<Self, NpzError> {
        let mut archive = Archive::open(path)?;
        let has_statistics = archive.has("mu");
        let samples = match archive.has(NAME) {
            true => {
                let array = archive.array(NAME)?;
                Some(match (array.element, array.shape.len()) {
                    // Of images the most likely mistake is told.
                    (Element::Byte, _) | (_, 4) => ArrayKind::Images,
                    _ => ArrayKind::Features,
                })
            }
            false => None,
        };
        match (has_statistics, samples) {
            (false, None) => Err(archive.unusable(
                "it has neither images or features, an array arr_0, nor statistics, mu and sigma",
            )),
            _ => Ok(Self {
                has_statistics,
                samples,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npz::testing::{TestFile, entry, npz};

    fn contents(bytes: &[u8]) -> Result<(bool, Option<ArrayKind>), String> {
        let contents = ArrayContents::read(TestFile::new(bytes).path());
        let contents = contents.map_err(|error| error.to_string())?;
        Ok((contents.has_statistics, contents.samples))
    }

    #[test]
    fn names_and_types_tell_what_a_file_is_about() {
        let images = entry("arr_0", "|u1", false, "(1, 1, 1, 3)", &[0; 3]);
        let features = entry("arr_0", "<f4", false, "(1, 1)", &[0; 4]);
        let mean = entry("mu", "<f8", false, "(1,)", &[0; 8]);
        let kinds = [Some(ArrayKind::Images), Some(ArrayKind::Features)];
        assert_eq!(contents(&images.1), Ok((false, kinds[0])));
        assert_eq!(contents(&features.1), Ok((false, kinds[1])));
        assert_eq!(contents(&npz(&[features])), Ok((false, kinds[1])));
        assert_eq!(
            contents(&npz(std::slice::from_ref(&mean))),
            Ok((true, None))
        );
        // As guided diffusion publishes its reference batches.
        assert_eq!(
            contents(&npz(&[images, mean.clone()])),
            Ok((true, kinds[0]))
        );
        let other = entry("labels", "|u1", false, "(1,)", &[0]);
        let error = contents(&npz(&[other])).unwrap_err();
        assert!(
            error.contains("it has neither images or features"),
            "{error}"
        );
        let error = contents(b"no array").unwrap_err();
        assert!(error.contains("is not usable"), "{error}");
    }
}
