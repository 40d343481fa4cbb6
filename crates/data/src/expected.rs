//! What a file of a data set should be; every error about the file says it.

use std::fs::File;
use std::io;
use std::path::Path;

use adadiff_storage::open_file;
use zip::result::ZipError;

use crate::DataError;

/// What a file or folder should hold, and where it comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// The content in words.
    pub holds: &'static str,
    /// Where the data set comes from.
    pub help: &'static str,
}

impl Expected {
    /// Opens the file.
    pub fn open(&self, file: &Path) -> Result<File, DataError> {
        open_file(file).map_err(|source| self.unopened(file, source))
    }

    /// The file or folder cannot be opened or listed.
    pub fn unopened(&self, file: &Path, source: io::Error) -> DataError {
        DataError::Open {
            file: file.to_owned(),
            expected: self.holds,
            help: self.help,
            source,
        }
    }

    /// The file's gzip compression is damaged.
    pub fn damaged_gzip(&self, file: &Path, source: io::Error) -> DataError {
        DataError::Compression {
            file: file.to_owned(),
            expected: self.holds,
            help: self.help,
            source,
        }
    }

    /// The zip archive is damaged.
    pub fn damaged_zip(&self, file: &Path, source: ZipError) -> DataError {
        DataError::Archive {
            file: file.to_owned(),
            expected: self.holds,
            help: self.help,
            source,
        }
    }

    /// The file holds something else.
    pub fn content(
        &self,
        file: &Path,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> DataError {
        DataError::Content {
            file: file.to_owned(),
            found: found.into(),
            expected: expected.into(),
            help: self.help,
        }
    }
}
