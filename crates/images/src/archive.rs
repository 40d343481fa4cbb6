//! Zip archives of pictures.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use adadiff_storage::open_file;
use thiserror::Error;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::{MOST_BYTES, PictureError, read_at_most};

/// A zip archive, whose files may be read from many threads: it is locked while one is taken out.
#[derive(Debug)]
pub struct Archive(Mutex<ZipArchive<BufReader<File>>>);

/// Why an archive cannot be opened.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The file cannot be opened.
    #[error(transparent)]
    Open(#[from] io::Error),
    /// It is no archive, or damaged.
    #[error(transparent)]
    Damaged(#[from] ZipError),
}

impl Archive {
    /// Opens a file.
    ///
    /// # Errors
    /// Where there is none, or it is damaged.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let file = BufReader::new(open_file(path)?);
        Ok(Self(Mutex::new(ZipArchive::new(file)?)))
    }

    /// The names of all files with their numbers, without those of folders.
    pub fn files(&self) -> Vec<(String, usize)> {
        let archive = self.lock();
        let names = archive.file_names().zip(archive.file_names_raw());
        let names = names.map(|(name, bytes)| match name {
            Ok(name) => name.into_owned(),
            // Not in the encoding that it says: still a file, which counts.
            Err(_) => String::from_utf8_lossy(bytes).into_owned(),
        });
        let numbered = names.enumerate().map(|(number, name)| (name, number));
        let files = numbered.filter(|(name, _)| !name.ends_with('/'));
        files.collect()
    }

    /// The bytes of the file of a number.
    ///
    /// # Errors
    /// Where it is damaged or too large.
    pub fn read(&self, number: usize) -> Result<Vec<u8>, PictureError> {
        // What a file is said to hold is not believed.
        read_at_most(MOST_BYTES, self.lock().by_index(number)?)
    }

    fn lock(&self) -> MutexGuard<'_, ZipArchive<BufReader<File>>> {
        // Nothing of the archive changes when a file is read.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
