//! Files that are written at the end of long work.

use std::fs;
use std::io;
use std::path::Path;

use crate::StorageError;
use crate::atomic::folder_of;

/// Checks before the work that a file can be written to `path` after it, where folders may yet be made,
/// and that it is none of the files that the work reads, nor one in a folder that it reads.
///
/// # Errors
/// [`StorageError::IsRead`] names the file, [`StorageError::File`] says why it cannot be written.
pub fn check_output<'p>(
    path: &Path,
    read: impl IntoIterator<Item = &'p Path>,
) -> Result<(), StorageError> {
    let unwritable = StorageError::file("write", path);
    if let Ok(whole) = fs::canonicalize(path) {
        if !whole.is_file() {
            return Err(unwritable(io::ErrorKind::InvalidInput.into()));
        }
        let is_read =
            |read: &Path| fs::canonicalize(read).is_ok_and(|read| whole.starts_with(read));
        if read.into_iter().any(is_read) {
            return Err(StorageError::IsRead {
                path: path.to_owned(),
            });
        }
    }
    let there = folder_of(path).ancestors().find(|folder| folder.exists());
    let trial = tempfile::NamedTempFile::new_in(there.unwrap_or(Path::new(".")));
    trial
        .and_then(tempfile::NamedTempFile::close)
        .map_err(unwritable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_not_written_over() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir(path("images")).unwrap();
        for name in ["weights", "notes", "images/a.png"] {
            fs::write(path(name), name).unwrap();
        }
        let read = [path("weights"), path("images"), path("missing")];
        let check = |name: &str| check_output(&path(name), read.iter().map(AsRef::as_ref));
        for name in ["notes", "new", "deep/below/new", "images/new.png"] {
            check(name).unwrap();
        }
        for name in ["weights", "images/../weights", "images/a.png"] {
            let error = check(name).unwrap_err();
            assert!(matches!(error, StorageError::IsRead { .. }), "{error}");
        }
        for name in ["images", "weights/new"] {
            let error = check(name).unwrap_err();
            assert!(matches!(error, StorageError::File { .. }), "{error}");
        }
        assert_eq!(
            fs::read_dir(root.path()).unwrap().count(),
            3,
            "no trace is left"
        );
    }
}
