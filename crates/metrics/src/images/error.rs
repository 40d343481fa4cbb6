use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::files::BadImage;

/// Files that an error names at most.
const NAMED: usize = 3;

/// Why a folder or an archive of images could not be read.
#[derive(Debug, Error)]
pub enum ImageFilesError {
    /// The folder or file could not be read.
    #[error("cannot read {path}")]
    File {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no zip archive, or damaged.
    #[error("{path} is no usable zip archive: {reason}")]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There are no images.
    #[error("{path} holds no images: none of its {files} files ends in .png, .jpg or .jpeg")]
    None {
        /// The folder or file.
        path: PathBuf,
        /// Files in it.
        files: usize,
    },
    /// More files than are tolerated cannot be decoded, or all of them.
    #[error("{} of the images in {path} cannot be read: {}", bad.len(), list(bad))]
    Bad {
        /// The folder or file.
        path: PathBuf,
        /// Those that were met.
        bad: Vec<BadImage>,
    },
}

fn list(bad: &[BadImage]) -> String {
    let mut named: Vec<_> = bad
        .iter()
        .take(NAMED)
        .map(|image| format!("{}: {}", image.name, image.reason))
        .collect();
    if bad.len() > NAMED {
        named.push("…".to_owned());
    }
    named.join("; ")
}
