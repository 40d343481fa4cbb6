//! Images that cannot be used: named, skipped and counted, up to a limit.

use std::collections::HashSet;
use std::fmt;

use thiserror::Error;

/// An image that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadImage {
    /// Its index in the set.
    pub index: usize,
    /// What it is called where the data lie.
    pub name: String,
    /// What is wrong with it; continues a sentence that begins with its name.
    pub reason: String,
}

impl BadImage {
    /// The image `index`, called `name`, which cannot be used because of `error`.
    pub fn new(index: usize, name: String, error: &dyn fmt::Display) -> Self {
        Self {
            index,
            name,
            reason: error.to_string(),
        }
    }
}

impl fmt::Display for BadImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.name, self.reason)
    }
}

/// More images are bad than may be skipped.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{} images cannot be used, where {most} may be skipped:{}", images.len(), list(images))]
pub struct TooManyBadImages {
    /// The most images that may be skipped.
    pub most: usize,
    /// All that were found bad, in the order in which they were met.
    pub images: Vec<BadImage>,
}

fn list(images: &[BadImage]) -> String {
    images.iter().map(|image| format!("\n  {image}")).collect()
}

/// Counts the bad images of a set, each once.
#[derive(Debug, Default)]
pub struct BadImages {
    most: usize,
    images: Vec<BadImage>,
    indices: HashSet<usize>,
}

impl BadImages {
    /// Allows for `most` bad images.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            ..Self::default()
        }
    }

    /// Counts an image; whether it is new.
    ///
    /// # Errors
    /// With all of them where this one is one too many.
    pub fn add(&mut self, image: BadImage) -> Result<bool, TooManyBadImages> {
        if !self.indices.insert(image.index) {
            return Ok(false);
        }
        self.images.push(image);
        if self.images.len() > self.most {
            return Err(self.error());
        }
        Ok(true)
    }

    /// The images so far, in the order in which they were met.
    pub fn images(&self) -> &[BadImage] {
        &self.images
    }

    /// The most images that may be skipped.
    pub fn most(&self) -> usize {
        self.most
    }

    /// The error that lists them all, such as where no other image is left.
    pub fn error(&self) -> TooManyBadImages {
        TooManyBadImages {
            most: self.most,
            images: self.images.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PictureError;

    #[test]
    fn an_image_counts_once_and_the_limit_lists_all() {
        let bad = |index| BadImage::new(index, format!("{index}.jpg"), &PictureError::Truncated);
        let mut images = BadImages::new(2);
        assert!(images.add(bad(7)).unwrap());
        assert!(!images.add(bad(7)).unwrap());
        assert!(images.add(bad(3)).unwrap());
        assert_eq!(images.images(), [bad(7), bad(3)]);
        let error = images.add(bad(1)).unwrap_err().to_string();
        assert_eq!(
            error,
            "3 images cannot be used, where 2 may be skipped:\n  7.jpg is cut off\n  \
             3.jpg is cut off\n  1.jpg is cut off"
        );
    }
}
