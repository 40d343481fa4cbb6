use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why an `.npz` file could not be read.
#[derive(Debug, Error)]
pub enum NpzError {
    /// The file could not be opened or read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is damaged, or holds something else than what is looked for.
    #[error("{path} is not usable: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}
