//! Files of pictures, one by one and as the set that a folder or an archive holds.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{MAIN_SEPARATOR_STR, Path, PathBuf};

use adadiff_storage::open_file;
use image::RgbImage;

use crate::names::{has_picture_ending, hidden_part};
use crate::{Archive, ArchiveError, ImageFilesError, LeftOut, PictureError, decode, list_folder};

/// The most bytes of a picture's file.
pub const MOST_BYTES: u64 = 256 << 20;

/// Reads a picture's file whole.
///
/// # Errors
/// Where there is none, it is too large or cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<u8>, PictureError> {
    match open_file(path) {
        Ok(file) => read_at_most(MOST_BYTES, file),
        // Of what is no file.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(PictureError::NoFile),
        Err(error) => Err(error.into()),
    }
}

/// Reads what has at most so many bytes.
///
/// # Errors
/// Where it has more, or cannot be read.
pub fn read_at_most(most: u64, file: impl Read) -> Result<Vec<u8>, PictureError> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(PictureError::Bytes { most });
    }
    Ok(bytes)
}

/// The pictures in a folder, those below it included, or in a zip archive, in the order of their names;
/// never empty.
///
/// Which files are pictures is told by their names alone, and by one rule for all: they end in one of
/// [`ENDINGS`](crate::ENDINGS), and neither they nor a folder that they lie in is
/// [hidden](crate::is_hidden).
#[derive(Debug)]
pub struct ImageFiles {
    path: PathBuf,
    files: Files,
    left_out: LeftOut,
}

#[derive(Debug)]
enum Files {
    /// Paths within the folder.
    Folder(Vec<PathBuf>),
    /// Names and numbers within the archive.
    Zip(Archive, Vec<(String, usize)>),
}

impl ImageFiles {
    /// Lists the images of a folder.
    ///
    /// # Errors
    /// Where the folder cannot be read, or holds no images.
    pub fn folder(path: &Path) -> Result<Self, ImageFilesError> {
        let listing = list_folder(path).map_err(|source| unreadable(path, source))?;
        let mut files = listing.files;
        // Names are compared as they are printed, across the borders of folders.
        files.sort_by_cached_key(|file| with_slashes(file));
        Self::new(path, Files::Folder(files), listing.left_out)
    }

    /// Lists the images of a zip archive.
    ///
    /// # Errors
    /// Where the file cannot be read, is no zip archive, or holds no images.
    pub fn zip(path: &Path) -> Result<Self, ImageFilesError> {
        let archive = Archive::open(path).map_err(|error| match error {
            ArchiveError::Open(source) => unreadable(path, source),
            ArchiveError::Damaged(error) => ImageFilesError::Archive {
                path: path.to_owned(),
                reason: error.to_string(),
            },
        })?;
        let (mut files, mut left_out) = (Vec::new(), LeftOut::default());
        let mut hidden = HashSet::new();
        for (name, number) in archive.files() {
            let path = Path::new(&name);
            if let Some(part) = hidden_part(path) {
                hidden.insert(part.to_owned());
            } else if has_picture_ending(path) {
                files.push((name, number));
            } else {
                left_out.add_ending(path);
            }
        }
        left_out.hidden = hidden.len();
        files.sort_unstable();
        Self::new(path, Files::Zip(archive, files), left_out)
    }

    fn new(path: &Path, files: Files, left_out: LeftOut) -> Result<Self, ImageFilesError> {
        let path = path.to_owned();
        let files = Self {
            path,
            files,
            left_out,
        };
        if files.len() == 0 {
            return Err(ImageFilesError::None {
                path: files.path,
                left_out: files.left_out,
            });
        }
        Ok(files)
    }

    /// The folder or archive.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the files lie in a folder, not in an archive.
    pub fn is_folder(&self) -> bool {
        matches!(self.files, Files::Folder(_))
    }

    /// Number of pictures, never 0.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a set without pictures is refused"
    )]
    pub fn len(&self) -> usize {
        match &self.files {
            Files::Folder(files) => files.len(),
            Files::Zip(_, files) => files.len(),
        }
    }

    /// What lies beside the pictures.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// The name of a picture within the folder or archive, with `/` between folders; for messages, as
    /// what is no UTF-8 is replaced.
    ///
    /// # Panics
    /// Where `index` is not below [`ImageFiles::len`], as all methods with an index do.
    pub fn name(&self, index: usize) -> String {
        match &self.files {
            Files::Folder(files) => {
                String::from_utf8_lossy(&with_slashes(&files[index])).into_owned()
            }
            Files::Zip(_, files) => files[index].0.clone(),
        }
    }

    /// The bytes of a picture's file.
    ///
    /// # Errors
    /// Where it cannot be read or is too large.
    pub fn read(&self, index: usize) -> Result<Vec<u8>, PictureError> {
        match &self.files {
            Files::Folder(files) => read_file(&self.path.join(&files[index])),
            Files::Zip(archive, files) => archive.read(files[index].1),
        }
    }

    /// A picture.
    ///
    /// # Errors
    /// Where its file cannot be read or decoded.
    pub fn decode(&self, index: usize) -> Result<RgbImage, PictureError> {
        decode(&self.read(index)?)
    }
}

fn unreadable(path: &Path, source: io::Error) -> ImageFilesError {
    ImageFilesError::File {
        path: path.to_owned(),
        source,
    }
}

/// The bytes of a path with `/` between its parts.
fn with_slashes(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_encoded_bytes().to_vec();
    match MAIN_SEPARATOR_STR {
        "/" => bytes,
        separator => bytes
            .into_iter()
            .map(|byte| {
                if separator.as_bytes() == [byte] {
                    b'/'
                } else {
                    byte
                }
            })
            .collect(),
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
