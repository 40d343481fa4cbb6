use std::io;
use std::path::PathBuf;

use adadiff_images::TooManyBadImages;
use rayon::ThreadPoolBuildError;
use thiserror::Error;
use zip::result::ZipError;

use crate::fashion_mnist::SOURCE;

/// What can be wrong with a data set on disk.
///
/// `help` in an error says where the files of the data set come from.
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
    /// A file or a folder cannot be opened.
    #[error("{}: cannot be opened ({source}); expected {expected}: {help}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// What the file should hold.
        expected: &'static str,
        /// Where it comes from.
        help: &'static str,
        /// Why it cannot be opened.
        source: io::Error,
    },
    /// A file's compression is damaged, or the file ends too early.
    #[error(
        "{}: not an intact gzip file ({source}); expected {expected}; replace it: {help}",
        file.display()
    )]
    Compression {
        /// The file.
        file: PathBuf,
        /// What the file should hold.
        expected: &'static str,
        /// Where it comes from.
        help: &'static str,
        /// What the decoder met.
        source: io::Error,
    },
    /// A zip archive is damaged.
    #[error(
        "{}: not an intact zip archive ({source}); expected {expected}; replace it: {help}",
        file.display()
    )]
    Archive {
        /// The file.
        file: PathBuf,
        /// What the file should hold.
        expected: &'static str,
        /// Where it comes from.
        help: &'static str,
        /// What is wrong with it.
        source: ZipError,
    },
    /// A file's or a folder's content is not what the data set's files hold.
    #[error("{}: {found}, but expected {expected}; replace it: {help}", file.display())]
    Content {
        /// The file or folder.
        file: PathBuf,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
        /// Where it comes from.
        help: &'static str,
    },
    /// More images are bad than may be skipped.
    #[error(transparent)]
    BadImages(#[from] TooManyBadImages),
    /// The threads that decode images cannot be started.
    #[error("the threads that decode images cannot be started: {0}")]
    Workers(#[from] ThreadPoolBuildError),
}
