//! A tensor in a file, and how its values are read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use burn::tensor::{DType, TensorData};

/// A tensor in a file: values in row-major order, least significant byte first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTensor {
    /// The type of its values.
    pub dtype: DType,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Where its values start in the file.
    pub(crate) start: u64,
}

impl StoredTensor {
    /// Number of values; the file's length bounds it.
    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }

    /// Reads the values.
    pub(crate) fn read(&self, file: &File) -> io::Result<TensorData> {
        let bytes = read_at(file, self.start, self.values() * self.dtype.size())?;
        Ok(TensorData::from_bytes_vec(
            bytes,
            self.shape.clone(),
            self.dtype,
        ))
    }
}

/// Number of values of a shape; `None` where it is beyond all memory.
pub(crate) fn count(shape: &[usize]) -> Option<usize> {
    // A zero makes the product zero whatever the others are, but only if it is met first.
    if shape.contains(&0) {
        return Some(0);
    }
    shape
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size))
}

/// Reads `length` bytes from `start`; the caller has held both against the file's length.
pub(crate) fn read_at(mut file: &File, start: u64, length: usize) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}
