use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What can go wrong with files that are kept.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum StorageError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A file holds something else than what is kept in it.
    #[error("{} is damaged{help}", path.display())]
    Damaged {
        path: PathBuf,
        help: &'static str,
        source: serde_json::Error,
    },
    /// A line of a file of JSON lines is no record.
    #[error("line {line} of {} is damaged", path.display())]
    Line {
        path: PathBuf,
        /// The line's number, counted from one.
        line: usize,
        source: serde_json::Error,
    },
    /// JSON has no numbers that are not finite, and would hold them as null.
    #[error("a measured number is not finite")]
    NotFinite(#[source] serde_json::Error),
    /// A value has no JSON form.
    #[error("a value has no JSON form")]
    Json(#[from] serde_json::Error),
    /// A folder holds what a run with other settings has kept.
    #[error(
        "{} holds what a run with other settings has drawn so far; remove it, or choose another \
         folder",
        folder.display()
    )]
    OtherSettings { folder: PathBuf },
    /// A run's folder is not empty.
    #[error("{} holds files already; choose another folder", folder.display())]
    Occupied { folder: PathBuf },
    /// The place for a run's folder cannot be written into.
    #[error("cannot write into {}; choose another folder", folder.display())]
    Unwritable { folder: PathBuf, source: io::Error },
    /// A file that is to be written is read, too.
    #[error("{} is read for this; name another file to write", path.display())]
    IsRead { path: PathBuf },
    /// Another process holds the lock of a folder or file.
    #[error("another process writes {} at this moment; choose another folder", folder.display())]
    InUse { folder: PathBuf },
}

impl StorageError {
    /// For `map_err` on file operations; `action` completes "cannot ... PATH".
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
