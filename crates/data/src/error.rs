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
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum DataError {
    /// The folder of the data set does not exist.
    #[error(
        "{} ({origin}) is not a folder; expected one with Fashion-MNIST's four gzipped IDX \
         files ({SOURCE}), given or named by the variable ADADIFF_DATA",
        folder.display()
    )]
    Folder {
        folder: PathBuf,
        /// Who named it: the caller, the variable or the default.
        origin: &'static str,
    },
    /// A file or a folder cannot be opened.
    #[error("{}: cannot be opened ({source}); expected {expected}: {help}", file.display())]
    Open {
        file: PathBuf,
        expected: &'static str,
        help: &'static str,
        source: io::Error,
    },
    /// A file's compression is damaged, or the file ends too early.
    #[error(
        "{}: not an intact gzip file ({source}); expected {expected}; replace it: {help}",
        file.display()
    )]
    Compression {
        file: PathBuf,
        expected: &'static str,
        help: &'static str,
        source: io::Error,
    },
    /// A zip archive is damaged.
    #[error(
        "{}: not an intact zip archive ({source}); expected {expected}; replace it: {help}",
        file.display()
    )]
    Archive {
        file: PathBuf,
        expected: &'static str,
        help: &'static str,
        source: ZipError,
    },
    /// A file's or a folder's content is not what the data set's files hold.
    #[error("{}: {found}, but expected {expected}; replace it: {help}", file.display())]
    Content {
        file: PathBuf,
        found: String,
        expected: String,
        help: &'static str,
    },
    /// More images are bad than may be skipped.
    #[error(transparent)]
    BadImages(#[from] TooManyBadImages),
    /// The threads that decode images cannot be started.
    #[error("the threads that decode images cannot be started: {0}")]
    Workers(#[from] ThreadPoolBuildError),
}
