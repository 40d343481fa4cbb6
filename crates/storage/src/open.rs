//! Opening what is to be read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Opens a file. What is none is not opened: a pipe would be waited for, a device read without an end.
///
/// # Errors
/// Where there is no file, or it cannot be opened.
pub fn open_file(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() {
        return File::open(path);
    }
    let reason = "it is a folder, a pipe or a device";
    Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
}

/// The bytes of a file, as [`open_file`] opens it.
///
/// # Errors
/// As [`open_file`], and where it cannot be read.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
