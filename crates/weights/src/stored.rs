//! A tensor in a file, and how its values are read.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use burn::tensor::{DType, TensorData};

/// The type of a tensor's values in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredType {
    /// One that can be read.
    Known(DType),
    /// One that no network here has, such as complex numbers, by the file's name for it.
    Other(String),
}

impl StoredType {
    /// Whether weights can have it.
    pub fn is_float(&self) -> bool {
        matches!(self, Self::Known(dtype) if dtype.is_float())
    }
}

impl fmt::Display for StoredType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(dtype) => write!(f, "{dtype:?}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// A tensor in a file, whose values are read when they are asked for.
#[derive(Clone, Debug)]
pub struct StoredTensor {
    /// The type of its values.
    pub dtype: StoredType,
    /// Its shape.
    pub shape: Vec<usize>,
    pub(crate) source: Source,
}

/// Where the values of a tensor are.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// In row-major order, least significant byte first, from this byte of the file on.
    At(Arc<File>, u64),
    /// Wherever PyTorch's reader finds them.
    PyTorch(pytorch_reader::Tensor),
}

impl StoredTensor {
    /// Number of values; the file's length bounds it.
    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }

    /// Reads the values.
    pub(crate) fn read(&self) -> io::Result<TensorData> {
        let dtype = match &self.dtype {
            StoredType::Known(dtype) => *dtype,
            StoredType::Other(name) => {
                let reason = format!("values of type {name} cannot be read");
                return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
            }
        };
        let bytes = match &self.source {
            Source::At(file, start) => read_at(file, *start, self.values() * dtype.size())?,
            Source::PyTorch(tensor) => tensor.read()?,
        };
        Ok(TensorData::from_bytes_vec(bytes, self.shape.clone(), dtype))
    }
}

/// Reads `length` bytes from `start`; the caller has held both against the file's length.
pub(crate) fn read_at(mut file: &File, start: u64, length: usize) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}
