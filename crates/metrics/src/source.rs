//! Where samples, or what is known of them, come from.

use std::fs;
use std::path::{Path, PathBuf};

use adadiff_images::ImageFilesError;
use thiserror::Error;

use crate::images::{FileSet, FileSetError};
use crate::npz::{
    ArrayContents, ArrayKind, FeatureSet, NpzError, NpzImages, read_origin, read_statistics,
};
use crate::{FeatureOrigin, Gaussian};

/// One of two sets that are compared: images, their features or statistics of these.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    samples: Option<Samples>,
    has_statistics: bool,
}

/// A set of samples.
#[derive(Debug)]
pub enum Samples {
    /// Image files in a folder or a zip archive.
    Files(FileSet),
    /// An array of images.
    Images(NpzImages),
    /// An array of features.
    Features(FeatureSet),
}

/// Why a set could not be read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// An array of images, features or statistics.
    #[error(transparent)]
    Arrays(#[from] NpzError),
    /// Image files.
    #[error(transparent)]
    Files(#[from] FileSetError),
    /// Something of another kind.
    #[error(
        "{path} is no set of samples that is known here: neither a folder of images nor a .zip of \
         them, nor an .npz of images (arr_0), features (arr_0) or statistics (mu, sigma), nor an \
         .npy of features"
    )]
    Kind {
        /// The file.
        path: PathBuf,
    },
}

impl Source {
    /// Opens a folder, a `.zip`, an `.npz` or an `.npy`.
    ///
    /// # Errors
    /// Where it cannot be read, is damaged, or holds neither samples nor statistics.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let unreadable = |source| ImageFilesError::File {
            path: path.to_owned(),
            source,
        };
        let metadata = fs::metadata(path).map_err(|error| FileSetError::from(unreadable(error)))?;
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        let (samples, has_statistics) = match ending.to_str() {
            _ if metadata.is_dir() => (Some(Samples::Files(FileSet::folder(path)?)), false),
            Some("zip") => (Some(Samples::Files(FileSet::zip(path)?)), false),
            Some("npz" | "npy") => {
                let contents = ArrayContents::read(path)?;
                let samples = match contents.samples {
                    Some(ArrayKind::Images) => Some(Samples::Images(NpzImages::open(path)?)),
                    Some(ArrayKind::Features) => Some(Samples::Features(FeatureSet::open(path)?)),
                    None => None,
                };
                (samples, contents.has_statistics)
            }
            _ => {
                let path = path.to_owned();
                return Err(SourceError::Kind { path });
            }
        };
        Ok(Self {
            path: path.to_owned(),
            samples,
            has_statistics,
        })
    }

    /// The folder or file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The samples, which a file of statistics alone does not have.
    pub fn samples(&self) -> Option<&Samples> {
        self.samples.as_ref()
    }

    /// The samples, to be read.
    pub fn samples_mut(&mut self) -> Option<&mut Samples> {
        self.samples.as_mut()
    }

    /// Whether there are statistics. They may stand beside samples and be those of other ones: guided
    /// diffusion's reference batches hold those of the whole data set beside some of its images.
    pub fn has_statistics(&self) -> bool {
        self.has_statistics
    }

    /// Reads the statistics.
    ///
    /// # Errors
    /// Where there are none, or they are damaged.
    pub fn statistics(&self) -> Result<Gaussian, SourceError> {
        Ok(read_statistics(&self.path)?)
    }

    /// Reads how the features of the statistics were made, as far as the file tells.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn origin(&self) -> Result<FeatureOrigin, SourceError> {
        Ok(read_origin(&self.path)?)
    }
}

impl Samples {
    /// The most samples there can be; files may turn out to be no images.
    pub fn at_most(&self) -> usize {
        match self {
            Self::Files(files) => files.files().len(),
            Self::Images(images) => images.shape()[0],
            Self::Features(features) => features.samples(),
        }
    }

    /// Whether a network is needed for their features.
    pub fn are_images(&self) -> bool {
        !matches!(self, Self::Features(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_source_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let opened = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            Source::open(&path).unwrap_err().to_string()
        };
        assert!(opened("samples.tar", b"").contains("is no set of samples that is known here"));
        assert!(opened("samples.ZIP", b"").contains("is no usable zip archive"));
        assert!(opened("samples.npz", b"").contains("is not usable"));
        let error = Source::open(&folder.path().join("none.npz")).unwrap_err();
        assert!(error.to_string().starts_with("cannot read "), "{error}");
    }
}
