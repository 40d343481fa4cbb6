use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Where the data set comes from; ends every message about a file that is not as it should be.
const SOURCE: &str = "Debian's package dataset-fashion-mnist installs the four files, and \
    https://github.com/zalandoresearch/fashion-mnist offers them for download";

/// What can be wrong with a data set on disk.
#[derive(Debug, Error)]
pub enum DataError {
    /// The folder of the data set does not exist.
    #[error(
        "{} (from {origin}) is not a folder; expected one with Fashion-MNIST's four gzipped IDX \
         files ({SOURCE}), named by --data DIR or by the variable ADADIFF_DATA",
        folder.display()
    )]
    Folder {
        /// The folder that was looked for.
        folder: PathBuf,
        /// Who named it: the option, the variable or the default.
        origin: &'static str,
    },
    /// A file cannot be opened.
    #[error("{}: cannot be opened ({source}); expected {expected}: {SOURCE}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// What the file should hold.
        expected: &'static str,
        /// Why it cannot be opened.
        source: io::Error,
    },
    /// A file's compression is damaged, or the file ends too early.
    #[error(
        "{}: not an intact gzip file ({source}); expected {expected}; replace it: {SOURCE}",
        file.display()
    )]
    Compression {
        /// The file.
        file: PathBuf,
        /// What the file should hold.
        expected: &'static str,
        /// What the decoder met.
        source: io::Error,
    },
    /// A file's content is not what Fashion-MNIST's files hold.
    #[error("{}: {found}, but expected {expected}; replace it: {SOURCE}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
}
