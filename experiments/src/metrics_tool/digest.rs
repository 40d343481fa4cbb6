//! SHA-256 of sets of samples, by which a result says what exactly it was made from.

use adadiff_images::ImageFiles;
use adadiff_metrics::{Samples, Source};
use adadiff_storage::{StorageError, sha256_file, sha256_hex};

/// The digest of a set: of its file, or of its folder as [`of_folder`] takes it.
///
/// # Errors
/// Where a file cannot be read.
pub fn of_source(source: &Source) -> Result<String, StorageError> {
    match source.samples() {
        Some(Samples::Files(set)) if set.files().is_folder() => Ok(of_folder(set.files())),
        _ => sha256_file(source.path()),
    }
}

/// The digest of a folder of images: of the list that `sha256sum` prints of them in their order,
/// which for a folder without others in it is `LC_ALL=C sha256sum *.png | sha256sum`.
fn of_folder(files: &ImageFiles) -> String {
    let mut list = String::new();
    for index in 0..files.len() {
        // What cannot be read was passed over, and stands in the list as such.
        let bytes = files.read(index);
        let file = bytes.map_or("unreadable".to_owned(), |bytes| sha256_hex(&bytes));
        list += &format!("{file}  {}\n", files.name(index));
    }
    sha256_hex(list.as_bytes())
}
