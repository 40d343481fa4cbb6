use std::io;
use std::path::PathBuf;

use image::ImageFormat;
use thiserror::Error;
use zip::result::ZipError;

use crate::LeftOut;
use crate::decode::MOST_MEMORY;
use crate::names::endings;

/// Why one picture cannot be used. It continues a sentence that begins with the picture's name.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum PictureError {
    /// The file cannot be read.
    #[error("cannot be read ({0})")]
    Read(#[from] io::Error),
    /// There is something else under the name.
    #[error("is a folder, a pipe or a device")]
    NoFile,
    /// The archive has no such file.
    #[error("is not in the archive")]
    Missing,
    /// The archive has several files of that name, in different folders.
    #[error("is in several folders of the archive")]
    Ambiguous,
    /// The file cannot be taken out of its archive.
    #[error("cannot be taken out of the archive ({0})")]
    Archive(#[from] ZipError),
    /// The file is larger than any picture's.
    #[error("has more than {most} bytes")]
    Bytes { most: u64 },
    /// The picture would take more memory than any photograph.
    #[error("has {width} x {height} pixels, for which more than {} MiB are needed", MOST_MEMORY >> 20)]
    Large { width: u64, height: u64 },
    /// The file ends before the picture does.
    #[error("is cut off")]
    Truncated,
    /// The file is a JPEG that cannot be decoded.
    #[error("is no intact JPEG ({0})")]
    Jpeg(String),
    /// The file is none of the formats that are read.
    #[error("cannot be decoded (it is {}, where JPEG, PNG, WebP, BMP, PGM and PPM are read)", described(*.0))]
    Format(Option<ImageFormat>),
    /// Values of a size for which there is no one way to eight bits.
    #[error("cannot be decoded (its largest value is {0} instead of 255)")]
    LargestValue(u32),
    /// The decoder says so.
    #[error("cannot be decoded ({0})")]
    Decode(#[from] image::ImageError),
}

fn described(format: Option<ImageFormat>) -> String {
    match format {
        Some(format) => format!("of the format {format:?}"),
        None => "no picture that is known".to_owned(),
    }
}

/// Why a folder or an archive of images could not be read.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ImageFilesError {
    /// The folder or file could not be read.
    #[error("cannot read {path}")]
    File { path: PathBuf, source: io::Error },
    /// The file is no zip archive, or damaged.
    #[error("{path} is no usable zip archive: {reason}")]
    Archive { path: PathBuf, reason: String },
    /// There are no images.
    #[error(
        "{path} holds no images: none of its {} files ends in {}{}",
        left_out.with_other_endings(),
        endings(),
        if left_out.total() > left_out.with_other_endings() {
            format!("; left out: {left_out}")
        } else {
            String::new()
        }
    )]
    None { path: PathBuf, left_out: LeftOut },
}
