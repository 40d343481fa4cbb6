//! Files that are either written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::StorageError;

/// Writes `contents` to a temporary name in `path`'s folder, then renames it to `path`, so that a
/// reader, or an interruption, meets the old file or the new one and never half of one.
///
/// # Errors
/// Where the folder is missing, not writable or full.
pub fn replace_file(path: &Path, contents: &[u8]) -> Result<(), StorageError> {
    let write = || -> io::Result<()> {
        let mut builder = tempfile::Builder::new();
        // Temporary files are private by default; this one is as readable as any other new file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder_of(path))?;
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        sync_folder(path)
    };
    write().map_err(StorageError::file("write", path))
}

/// [`replace_file`] that makes the folder where there is none.
///
/// # Errors
/// Where the folder cannot be made or written to.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), StorageError> {
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(StorageError::file("create", folder))?;
    replace_file(path, contents)
}

/// Appends to a file, which stays as it was where the disk is full.
///
/// # Errors
/// Where the file cannot be written.
pub fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let length = file.metadata()?.len();
    let written = file.write_all(bytes);
    if written.is_err() {
        // Where that fails too, a resumed training drops what is left.
        let _ = file.set_len(length);
    }
    written
}

/// Makes sure that the name `path` is on the disk, which it is once its folder is, where folders are
/// files.
///
/// # Errors
/// Where the folder cannot be opened.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder_of(path))?.sync_all()?;
    }
    Ok(())
}

pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/report.html");
        let error = replace_file(&path, b"old").unwrap_err();
        assert!(error.to_string().starts_with("cannot write"), "{error}");
        write_atomically(&path, b"old").unwrap();
        replace_file(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
