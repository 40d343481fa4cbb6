use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// What can go wrong with prepared latents.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum LatentError {
    /// A file or folder cannot be written, as on a full disk.
    #[error(
        "{}: cannot be written ({source}); the shards that are complete stay, and the preparation \
         goes on after them when it is started again",
        file.display()
    )]
    Write { file: PathBuf, source: io::Error },
    /// A file cannot be read.
    #[error("{}: cannot be read ({source})", file.display())]
    Read { file: PathBuf, source: io::Error },
    /// A file is not there.
    #[error("{}: is missing; {help}", file.display())]
    Missing { file: PathBuf, help: &'static str },
    /// A file has another length than when it was written.
    #[error(
        "{}: has {bytes} bytes instead of {expected}; copy it again, or prepare the latents again",
        file.display()
    )]
    Size {
        file: PathBuf,
        bytes: u64,
        expected: u64,
    },
    /// A file has another content than when it was written.
    #[error(
        "{}: has the SHA-256 {found} instead of {expected}; copy it again, or prepare the latents \
         again",
        file.display()
    )]
    Checksum {
        file: PathBuf,
        found: String,
        expected: String,
    },
    /// A file of tensors is not what the index says of it.
    #[error("{}: {reason}; copy it again, or prepare the latents again", file.display())]
    Shard { file: PathBuf, reason: String },
    /// An index is damaged, or is something else.
    #[error(
        "{}: is no index of latents ({reason}); copy it again, or prepare the latents again",
        file.display()
    )]
    Index { file: PathBuf, reason: String },
    /// An index is of a later or earlier format.
    #[error(
        "{}: has the format {version}, where this program reads {expected}; prepare the latents \
         again, or use the program that they were prepared with",
        file.display()
    )]
    Version {
        file: PathBuf,
        version: u64,
        expected: u64,
    },
    /// A header asks for latents that there cannot be.
    #[error("latents cannot be prepared with {reason}")]
    Header { reason: String },
    /// The folder holds latents of something else.
    #[error(
        "{}: holds latents with {field} {found}, not {expected}; choose another folder, or remove \
         this one",
        folder.display()
    )]
    Differs {
        folder: PathBuf,
        /// The part of the header that differs.
        field: String,
        found: String,
        expected: String,
    },
    /// The folder's latents are complete.
    #[error("{}: holds these latents already, all of them", folder.display())]
    Finished { folder: PathBuf },
    /// The folder's latents are not complete.
    #[error(
        "{}: holds latents of the first {images} of {expected} images; start their preparation \
         again, and it goes on there",
        folder.display()
    )]
    Unfinished {
        folder: PathBuf,
        images: usize,
        expected: usize,
    },
    /// Another process writes to the folder.
    #[error("{}: another process prepares these latents; wait for it, or end it", folder.display())]
    InUse { folder: PathBuf },
    /// What was given for an image does not fit the header.
    #[error("image {image} has {reason}")]
    Item {
        /// The image's index in the data set.
        image: usize,
        reason: String,
    },
    /// The latents end otherwise than their header has it.
    #[error("the latents cannot be finished with {reason}")]
    End { reason: String },
}
