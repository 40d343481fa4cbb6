use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why an `.npz` file could not be read.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum NpzError {
    /// The file could not be opened or read.
    #[error("cannot read {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    /// The file is damaged, or holds something else than what is looked for.
    #[error("{path} is not usable: {reason}")]
    Unusable { path: PathBuf, reason: String },
}
