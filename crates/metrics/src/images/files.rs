//! A folder or a zip archive of image files.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use zip::ZipArchive;

use super::batch::{ImageBatch, LARGEST_IMAGE, too_large};
use super::decode::decode;
use super::error::ImageFilesError;
use crate::features::blocks;

/// Endings of the names of image files.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// What is said of a path at which there is no file.
const NO_FILE: &str = "it is a folder or a device";

/// PNG and JPEG files in a folder, those below it included, or in a zip archive, in the order of
/// their names.
///
/// Files with other endings, and those whose names start with a dot, are left out. A file that
/// cannot be decoded is passed over; there may be as many of them as are tolerated.
#[derive(Debug)]
pub struct ImageFiles {
    path: PathBuf,
    place: Place,
    /// Names within the folder or archive.
    names: Vec<String>,
    tolerated: usize,
    bad: Vec<BadImage>,
}

#[derive(Debug)]
enum Place {
    Folder,
    Zip(ZipArchive<BufReader<File>>),
}

/// A file that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadImage {
    /// Its name within the folder or archive.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

impl ImageFiles {
    /// Lists the images of a folder.
    ///
    /// # Errors
    /// Where the folder cannot be read, or holds no images.
    pub fn folder(path: &Path) -> Result<Self, ImageFilesError> {
        let names = names_below(path).map_err(|source| ImageFilesError::File {
            path: path.to_owned(),
            source,
        })?;
        Self::of(path, Place::Folder, names)
    }

    /// Lists the images of a zip archive.
    ///
    /// # Errors
    /// Where the file cannot be read, is no zip archive, or holds no images.
    pub fn zip(path: &Path) -> Result<Self, ImageFilesError> {
        let unusable = |reason: String| ImageFilesError::Archive {
            path: path.to_owned(),
            reason,
        };
        let system = |source| ImageFilesError::File {
            path: path.to_owned(),
            source,
        };
        // Asked before opening, which may wait forever on what is no file.
        if !fs::metadata(path).map_err(system)?.is_file() {
            return Err(unusable(NO_FILE.into()));
        }
        let file = BufReader::new(File::open(path).map_err(system)?);
        let zip = ZipArchive::new(file).map_err(|error| unusable(error.to_string()))?;
        let names = zip.file_names().map(str::to_owned).collect();
        Self::of(path, Place::Zip(zip), names)
    }

    fn of(path: &Path, place: Place, all: Vec<String>) -> Result<Self, ImageFilesError> {
        let files = all.len();
        let mut names: Vec<_> = all.into_iter().filter(|name| is_image(name)).collect();
        if names.is_empty() {
            return Err(ImageFilesError::None {
                path: path.to_owned(),
                files,
            });
        }
        names.sort_unstable();
        Ok(Self {
            path: path.to_owned(),
            place,
            names,
            tolerated: 0,
            bad: Vec::new(),
        })
    }

    /// Passes over as many files that cannot be decoded; at first, none.
    pub fn tolerate(&mut self, bad_images: usize) {
        self.tolerated = bad_images;
    }

    /// The files' names within the folder or archive, in their order, with `/` between folders.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The files that the last pass could not decode.
    pub fn bad(&self) -> &[BadImage] {
        &self.bad
    }

    /// Whether the files lie in a folder, not in an archive.
    pub fn is_folder(&self) -> bool {
        matches!(self.place, Place::Folder)
    }

    /// Decodes all images on all cores and gives them to `visit` in their order, in batches of
    /// `images` of one size; where the next image is of another size, or a batch becomes very
    /// large, it has fewer. Memory holds one batch, and one image for each core.
    ///
    /// # Errors
    /// Where more files than are tolerated cannot be decoded, or all of them, or `visit` fails.
    pub fn for_each_batch<E: From<ImageFilesError>>(
        &mut self,
        images: usize,
        mut visit: impl FnMut(ImageBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        self.bad.clear();
        let mut batch: Option<ImageBatch> = None;
        for group in blocks(self.names.len(), rayon::current_num_threads()) {
            let decoded = self.decoded(group.clone());
            for (index, image) in group.zip(decoded) {
                let image = match image {
                    Ok(image) => image,
                    Err(reason) => {
                        self.pass_over(index, reason)?;
                        continue;
                    }
                };
                batch = match batch.take() {
                    None => Some(image),
                    Some(mut full) => match full.append(image, images) {
                        Ok(()) => Some(full),
                        Err(image) => {
                            visit(full)?;
                            Some(image)
                        }
                    },
                };
            }
        }
        match batch {
            Some(batch) => visit(batch),
            None => Err(self.too_many_bad().into()),
        }
    }

    /// What the files of a range hold.
    fn decoded(&mut self, range: Range<usize>) -> Vec<Result<ImageBatch, String>> {
        let names = &self.names[range];
        match &mut self.place {
            Place::Folder => {
                let images = names.par_iter().map(|name| {
                    let path = self.path.join(name);
                    decode(&file_bytes(&path).map_err(|error| error.to_string())?)
                });
                images.collect()
            }
            Place::Zip(zip) => {
                // An archive gives one file at a time.
                let files: Vec<_> = names.iter().map(|name| zipped_bytes(zip, name)).collect();
                let images = files.into_par_iter().map(|bytes| decode(&bytes?));
                images.collect()
            }
        }
    }

    fn pass_over(&mut self, index: usize, reason: String) -> Result<(), ImageFilesError> {
        let name = self.names[index].clone();
        self.bad.push(BadImage { name, reason });
        match self.bad.len() > self.tolerated {
            true => Err(self.too_many_bad()),
            false => Ok(()),
        }
    }

    fn too_many_bad(&self) -> ImageFilesError {
        ImageFilesError::Bad {
            path: self.path.clone(),
            bad: self.bad.clone(),
        }
    }
}

/// Whether a name is that of an image file.
fn is_image(name: &str) -> bool {
    let path = Path::new(name);
    let is_hidden = path
        .file_name()
        .is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let ending = path.extension().unwrap_or_default();
    !is_hidden
        && ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
}

/// The names of all files below a folder. Folders that are only linked to are left out, so that
/// the search ends.
fn names_below(root: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if let Some(name) = path.to_str() {
                names.push(name.replace(std::path::MAIN_SEPARATOR, "/"));
            } else {
                let reason = format!("{} is no UTF-8", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidFilename, reason));
            }
        }
    }
    Ok(names)
}

/// The bytes of a file, which is not opened where it is none or too large.
fn file_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other(NO_FILE));
    }
    if metadata.len() > LARGEST_IMAGE as u64 {
        return Err(io::Error::other(too_large()));
    }
    fs::read(path)
}

/// The bytes of a file in an archive, which is not believed on how many they are.
fn zipped_bytes(zip: &mut ZipArchive<BufReader<File>>, name: &str) -> Result<Vec<u8>, String> {
    let file = zip.by_name(name).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = file.take(LARGEST_IMAGE as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    match bytes.len() > LARGEST_IMAGE {
        true => Err(too_large()),
        false => Ok(bytes),
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
