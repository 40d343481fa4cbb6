//! Files that are either written whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::TrainError;

/// Writes `contents` to a temporary name in `path`'s folder, then renames it to `path`, so that a
/// reader, or an interruption, meets the old file or the new one and never half of one.
///
/// # Errors
/// Where the folder is missing, not writable or full.
pub fn replace_file(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let mut builder = tempfile::Builder::new();
    // Temporary files are private by default; this one is as readable as any other new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder_of(path))?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// [`replace_file`] that makes the folder where there is none.
///
/// # Errors
/// Where the folder cannot be made or written to.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), TrainError> {
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(TrainError::file("create", folder))?;
    replace_file(path, contents).map_err(TrainError::file("write", path))
}

/// Appends to a file, which stays as it was where the disk is full.
pub(crate) fn append(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let length = file.metadata()?.len();
    let written = file.write_all(bytes);
    if written.is_err() {
        // Where that fails too, a resumed training drops what is left.
        let _ = file.set_len(length);
    }
    written
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
