//! SHA-256, by which a result says what exactly it was made from.

use std::io;
use std::path::Path;

use adadiff_images::{ImageFiles, open_file};
use adadiff_metrics::{Samples, Source};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The digest of a file, as `sha256sum FILE` prints it.
///
/// # Errors
/// Where the file cannot be read.
pub fn of_file(path: &Path) -> Result<String> {
    let hash = || -> io::Result<Sha256> {
        let mut hash = Sha256::new();
        io::copy(&mut open_file(path)?, &mut hash)?;
        Ok(hash)
    };
    let hash = hash().with_context(|| format!("cannot read {}", path.display()))?;
    Ok(format!("{:x}", hash.finalize()))
}

/// The digest of bytes.
pub fn of_bytes(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// The digest of a set: of its file, or of its folder as [`of_folder`] takes it.
///
/// # Errors
/// Where a file cannot be read.
pub fn of_source(source: &Source) -> Result<String> {
    match source.samples() {
        Some(Samples::Files(set)) if set.files().is_folder() => Ok(of_folder(set.files())),
        _ => of_file(source.path()),
    }
}

/// The digest of a folder of images: of the list that `sha256sum` prints of them in their order,
/// which for a folder without others in it is `LC_ALL=C sha256sum *.png | sha256sum`.
fn of_folder(files: &ImageFiles) -> String {
    let mut list = Sha256::new();
    for index in 0..files.len() {
        // What cannot be read was passed over, and stands in the list as such.
        let file = files
            .read(index)
            .map_or("unreadable".to_owned(), |bytes| of_bytes(&bytes));
        list.update(format!("{file}  {}\n", files.name(index)));
    }
    format!("{:x}", list.finalize())
}
