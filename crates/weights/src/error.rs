use std::path::PathBuf;

use burn::tensor::DType;
use thiserror::Error;

/// Why weights could not be read or do not fit.
#[derive(Debug, Error)]
pub enum WeightError {
    /// The file could not be opened or read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is damaged, or not what it claims to be.
    #[error("{path} is not a usable weight file: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file holds other tensors than the network needs.
    #[error("{path} does not fit the network: {}", list(misfits))]
    Misfits {
        /// The file.
        path: PathBuf,
        /// Everything that differs, by name.
        misfits: Vec<Misfit>,
    },
}

/// A tensor that keeps a file from fitting a network.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Misfit {
    /// The network needs it, the file does not have it.
    #[error("{name} {expected:?} is missing")]
    Missing {
        /// The published name.
        name: String,
        /// The shape that the network needs.
        expected: Vec<usize>,
    },
    /// The file has it, the network has no place for it.
    #[error("{name} {found:?} is not part of the network")]
    Unexpected {
        /// The published name.
        name: String,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// File and network have it in different shapes.
    #[error("{name} is {found:?} instead of {expected:?}")]
    Shape {
        /// The published name.
        name: String,
        /// The shape that the network needs.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// It holds whole numbers where the network needs real ones.
    #[error("{name} holds values of type {found:?} instead of floating-point numbers")]
    Type {
        /// The published name.
        name: String,
        /// The type in the file.
        found: DType,
    },
}

fn list(misfits: &[Misfit]) -> String {
    let lines: Vec<_> = misfits.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

/// Why a file could not be opened, before its path is joined to it.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The system refused.
    Io(std::io::Error),
    /// The content is wrong.
    Damaged(String),
}

impl Fault {
    pub(crate) fn damaged<T>(reason: impl Into<String>) -> Result<T, Self> {
        Err(Self::Damaged(reason.into()))
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::Damaged("it is cut off".into()),
            _ => Self::Io(error),
        }
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Damaged(reason)
    }
}
