//! A folder or a zip archive of image files, to be judged.

use std::path::{Path, PathBuf};

use adadiff_images::{BadImage, BadImages, ImageFiles, ImageFilesError};
use rayon::prelude::*;
use thiserror::Error;

use super::batch::ImageBatch;
use crate::features::blocks;

/// Files that an error names at most.
const NAMED: usize = 3;

/// Image files in the order of their names, see [`ImageFiles`]. A file that cannot be decoded is passed
/// over; there may be as many of them as are tolerated.
#[derive(Debug)]
pub struct FileSet {
    files: ImageFiles,
    tolerated: usize,
    bad: BadImages,
}

/// Why a set of image files cannot be judged.
#[derive(Debug, Error)]
pub enum FileSetError {
    /// There are no files.
    #[error(transparent)]
    Files(#[from] ImageFilesError),
    /// More files than are tolerated cannot be decoded, or all of them.
    #[error("{} of the images in {path} cannot be used: {}", bad.len(), list(bad))]
    Bad {
        /// The folder or archive.
        path: PathBuf,
        /// Those that were met.
        bad: Vec<BadImage>,
    },
}

fn list(bad: &[BadImage]) -> String {
    let named = bad.iter().take(NAMED).map(ToString::to_string);
    let more = (bad.len() > NAMED).then(|| "…".to_owned());
    named.chain(more).collect::<Vec<_>>().join("; ")
}

impl FileSet {
    /// Lists the images of a folder.
    ///
    /// # Errors
    /// Where the folder cannot be read, or holds no images.
    pub fn folder(path: &Path) -> Result<Self, FileSetError> {
        Ok(Self::new(ImageFiles::folder(path)?))
    }

    /// Lists the images of a zip archive.
    ///
    /// # Errors
    /// Where the file cannot be read, is no zip archive, or holds no images.
    pub fn zip(path: &Path) -> Result<Self, FileSetError> {
        Ok(Self::new(ImageFiles::zip(path)?))
    }

    fn new(files: ImageFiles) -> Self {
        Self {
            files,
            tolerated: 0,
            bad: BadImages::default(),
        }
    }

    /// Passes over as many files that cannot be decoded; at first, none.
    pub fn tolerate(&mut self, bad_images: usize) {
        self.tolerated = bad_images;
    }

    /// The files, those that turn out to be no images included.
    pub fn files(&self) -> &ImageFiles {
        &self.files
    }

    /// The files that the last pass met and could not decode.
    pub fn bad(&self) -> &[BadImage] {
        self.bad.images()
    }

    /// Decodes the first `most` images on all cores and gives them to `visit` in their order, in batches
    /// of `images` of one size; where the next image is of another size, or a batch becomes very large,
    /// it has fewer. Memory holds one batch, and one image for each core. Files behind the last image
    /// that is taken count neither as images nor as bad ones.
    ///
    /// # Errors
    /// Where more files than are tolerated cannot be decoded, or all of them, or `visit` fails.
    pub fn for_each_batch<E: From<FileSetError>>(
        &mut self,
        images: usize,
        most: usize,
        mut visit: impl FnMut(ImageBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        self.bad = BadImages::new(self.tolerated);
        let mut batch: Option<ImageBatch> = None;
        let mut taken = 0;
        for group in blocks(self.files.len(), rayon::current_num_threads()) {
            if taken == most {
                break;
            }
            let files = &self.files;
            let decoded: Vec<_> = group
                .clone()
                .into_par_iter()
                .map(|index| files.decode(index))
                .collect();
            for (index, image) in group.zip(decoded) {
                if taken == most {
                    break;
                }
                let image = match image {
                    Ok(image) => ImageBatch::from(image),
                    Err(error) => {
                        let image = BadImage::new(index, self.files.name(index), &error);
                        self.bad.add(image).map_err(|_| self.too_many_bad())?;
                        continue;
                    }
                };
                taken += 1;
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

    fn too_many_bad(&self) -> FileSetError {
        FileSetError::Bad {
            path: self.files.path().to_owned(),
            bad: self.bad().to_vec(),
        }
    }
}

#[cfg(test)]
#[path = "file_set_tests.rs"]
mod tests;
