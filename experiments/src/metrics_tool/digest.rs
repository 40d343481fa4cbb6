//! SHA-256 of sets of samples, by which a result says what exactly it was made from.

use std::path::Path;

use adadiff_metrics::{ImageFiles, Samples, Source};
use adadiff_storage::{StorageError, sha256_file, sha256_hex};

/// The digest of a set: of its file, or of its folder as [`of_folder`] takes it.
///
/// # Errors
/// Where a file cannot be read.
pub fn of_source(source: &Source) -> Result<String, StorageError> {
    match source.samples() {
        Some(Samples::Files(files)) if files.is_folder() => of_folder(source.path(), files),
        _ => sha256_file(source.path()),
    }
}

/// The digest of a folder of images: of the list that `sha256sum` prints of them in their order,
/// which for a folder without others in it is `LC_ALL=C sha256sum *.png | sha256sum`.
fn of_folder(path: &Path, files: &ImageFiles) -> Result<String, StorageError> {
    let mut list = String::new();
    for name in files.names() {
        // What cannot be read was passed over, and stands in the list as such.
        let file = sha256_file(&path.join(name)).unwrap_or_else(|_| "unreadable".to_owned());
        list += &format!("{file}  {name}\n");
    }
    Ok(sha256_hex(list.as_bytes()))
}
