//! Features that another program has computed.

use std::path::Path;

use super::array::{Archive, Array, Element, NAME};
use super::{MOST_FEATURES, NpzError};

/// A file of features: an array `[samples, dims]` of floating-point numbers, by itself (`.npy`) or
/// as `arr_0` of an archive (`.npz`).
#[derive(Debug)]
pub struct FeatureSet {
    archive: Archive,
    samples: usize,
    dims: usize,
    is_double: bool,
}

impl FeatureSet {
    /// Opens a file and reads how many features it holds.
    ///
    /// # Errors
    /// Where the file cannot be read, is damaged, or holds no features.
    pub fn open(path: &Path) -> Result<Self, NpzError> {
        let mut archive = Archive::open(path)?;
        let array = archive.array(NAME)?;
        let (shape, is_double) = (feature_shape(&array), array.element == Element::Double);
        drop(array);
        match shape {
            Ok([samples, dims]) => Ok(Self {
                archive,
                samples,
                dims,
                is_double,
            }),
            Err(reason) => Err(archive.unusable(format!("it holds no features: {reason}"))),
        }
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Features of each sample.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Whether they are stored in double precision.
    pub fn is_double(&self) -> bool {
        self.is_double
    }

    /// Reads all features and gives them to `visit`, row by row, in batches of `samples`, of which
    /// only one is in memory at a time; the last may be smaller. A set may be read more than once.
    ///
    /// # Errors
    /// Where the file is damaged, which may be found after some batches, or `visit` fails.
    pub fn for_each_batch<E: From<NpzError>>(
        &mut self,
        samples: usize,
        mut visit: impl FnMut(Vec<f64>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut array = self.archive.array(NAME)?;
        let mut rest = self.samples;
        while rest > 0 {
            let count = rest.min(samples.max(1));
            visit(array.read_numbers(count * self.dims)?)?;
            rest -= count;
        }
        array.finish()?;
        Ok(())
    }
}

/// The shape of an array of features; the error continues a sentence on why it is none.
fn feature_shape(array: &Array<'_>) -> Result<[usize; 2], String> {
    if !array.element.is_float() {
        return Err("its values are bytes or a text, not floating-point numbers".into());
    }
    if array.is_fortran {
        let advice = "save `numpy.ascontiguousarray` of it";
        return Err(format!("it is stored column by column; {advice}"));
    }
    match *array.shape.as_slice() {
        [samples, dims] if samples > 0 && (1..=MOST_FEATURES).contains(&dims) => {
            Ok([samples, dims])
        }
        _ => Err(format!(
            "it is of shape {:?} instead of samples, features (at most {MOST_FEATURES})",
            array.shape
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npz::testing::{TestFile, entry, npz, npz_compressed};

    fn singles(values: &[f32]) -> Vec<u8> {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        bytes.collect()
    }

    /// The batches of a file, or what is said of it.
    fn batches(bytes: &[u8], samples: usize) -> Result<Vec<Vec<f64>>, String> {
        let file = TestFile::new(bytes);
        let mut batches = Vec::new();
        let mut read = || -> Result<(), NpzError> {
            let mut set = FeatureSet::open(file.path())?;
            assert_eq!((set.samples(), set.dims()), (3, 2));
            assert!(!set.is_double());
            set.for_each_batch(samples, |batch| {
                batches.push(batch);
                Ok::<_, NpzError>(())
            })
        };
        read().map_err(|error| error.to_string())?;
        Ok(batches)
    }

    #[test]
    fn features_come_in_batches_from_arrays_and_archives() {
        let values = [1.0, -2.0, 0.5, 4.0, 1e-3, 6.0];
        let array = entry("arr_0", "<f4", false, "(3, 2)", &singles(&values));
        for bytes in [
            &array.1,
            &npz(std::slice::from_ref(&array)),
            &npz_compressed(std::slice::from_ref(&array)),
        ] {
            let found = batches(bytes, 2).unwrap();
            let expected: Vec<_> = values.iter().copied().map(f64::from).collect();
            assert_eq!(found.concat(), expected);
            assert_eq!(found[0].len(), 4);
            assert_eq!(batches(bytes, 0).unwrap().len(), 3);
        }
        for length in 0..array.1.len() {
            batches(&array.1[..length], 2).unwrap_err();
        }
    }

    #[test]
    fn what_are_no_features_is_refused() {
        for (element, is_fortran, shape, values, expected) in [
            ("<f4", true, "(3, 2)", 24, "column by column"),
            ("|u1", false, "(3, 2)", 6, "its values are bytes"),
            ("<f4", false, "(6,)", 24, "of shape [6] instead of samples"),
            ("<f4", false, "(0, 2)", 0, "of shape [0, 2]"),
            ("<f4", false, "(1, 8193)", 32772, "of shape [1, 8193]"),
            ("<f2", false, "(3, 2)", 12, "neither <f8, <f4 nor |u1"),
            ("<f4", false, "(3, 3)", 24, "does not go with its"),
        ] {
            let (_, array) = entry("arr_0", element, is_fortran, shape, &vec![0; values]);
            let error = batches(&array, 2).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
