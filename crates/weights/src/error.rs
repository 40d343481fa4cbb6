use std::path::PathBuf;

use adadiff_storage::StorageError;
use thiserror::Error;

use crate::{BadTensor, StoredType};

/// The most tensors that a message names.
const MOST_NAMED: usize = 5;

/// Why weights could not be read or do not fit.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum WeightError {
    /// The file could not be opened or read.
    #[error("cannot read {path}: {error}")]
    File {
        path: PathBuf,
        /// What the system said: part of the message, so that no chain of errors repeats it.
        error: std::io::Error,
    },
    /// The file is damaged, or not what it claims to be.
    #[error("{path} is not a usable weight file: {reason}")]
    Unusable { path: PathBuf, reason: String },
    /// The file is one of several that hold a network together.
    #[error(
        "{path} is, by its name, piece {piece} of {pieces} of a network's weights; join them to one \
         file first"
    )]
    Piece {
        path: PathBuf,
        piece: u32,
        pieces: u32,
    },
    /// A file could not be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The file holds other tensors than the network needs.
    #[error("{path} does not fit the network: {}", list(misfits))]
    Misfits {
        path: PathBuf,
        /// Everything that differs, by name.
        misfits: Vec<Misfit>,
    },
    /// Values that no network can compute with.
    #[error("{path} holds weights that cannot be used: {}", first_of(tensors))]
    Values {
        path: PathBuf,
        tensors: Vec<BadTensor>,
    },
    /// Weights that no network can compute with are not written; a file that was there is untouched.
    #[error(
        "{path} is not written, as its weights could not be used: {}",
        first_of(tensors)
    )]
    Unwritten {
        path: PathBuf,
        tensors: Vec<BadTensor>,
    },
    /// The file holds the network several times, and nothing tells which is meant.
    #[error(
        "{path} holds several state dictionaries of one network ({}); name the one that is wanted",
        parts.join(", ")
    )]
    Ambiguous {
        path: PathBuf,
        /// Where they are in it; empty for the file's own root.
        parts: Vec<String>,
    },
    /// The file has no such part.
    #[error("{path} has no part {part}; its parts are {}", parts.join(", "))]
    NoPart {
        path: PathBuf,
        part: String,
        parts: Vec<String>,
    },
}

/// A tensor that keeps a file from fitting a network.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Misfit {
    /// The network needs it, the file does not have it.
    #[error("{name} {expected:?} is missing")]
    Missing { name: String, expected: Vec<usize> },
    /// The file has it, the network has no place for it.
    #[error("{name} {found:?} is not part of the network")]
    Unexpected { name: String, found: Vec<usize> },
    /// File and network have it in different shapes.
    #[error("{name} is {found:?} instead of {expected:?}")]
    Shape {
        name: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    /// It holds whole numbers where the network needs real ones.
    #[error("{name} holds values of type {found} instead of floating-point numbers")]
    Type { name: String, found: StoredType },
}

fn list(misfits: &[Misfit]) -> String {
    let lines: Vec<_> = misfits.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

fn first_of(tensors: &[BadTensor]) -> String {
    let mut lines: Vec<_> = tensors.iter().map(ToString::to_string).collect();
    if let Some(others) = lines
        .len()
        .checked_sub(MOST_NAMED)
        .filter(|others| *others > 0)
    {
        lines.truncate(MOST_NAMED);
        lines.push(format!("and {others} other tensors"));
    }
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
            // What the system did not say, a reader said of the content.
            _ if error.raw_os_error().is_none() => Self::Damaged(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Damaged(reason)
    }
}
