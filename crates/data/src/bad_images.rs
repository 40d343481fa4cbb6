//! Images that cannot be used: named, skipped and counted, up to a limit.

use std::collections::HashSet;
use std::fmt;

use crate::{DataError, ImageError};

/// An image that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadImage {
    /// Its index in the data set.
    pub index: usize,
    /// What it is called where the data lie.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

impl BadImage {
    /// The image `index`, called `name`, which cannot be used because of `error`.
    pub fn new(index: usize, name: String, error: &ImageError) -> Self {
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

/// Counts the bad images of a data set, each once.
#[derive(Debug)]
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
            images: Vec::new(),
            indices: HashSet::new(),
        }
    }

    /// Counts an image; whether it is new.
    ///
    /// # Errors
    /// [`DataError::BadImages`] with all of them where this one is one too many.
    pub fn add(&mut self, image: BadImage) -> Result<bool, DataError> {
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

    pub(crate) fn most(&self) -> usize {
        self.most
    }

    pub(crate) fn error(&self) -> DataError {
        DataError::BadImages {
            most: self.most,
            images: self.images.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(index: usize) -> BadImage {
        BadImage {
            index,
            name: format!("{index}.jpg"),
            reason: ImageError::Truncated.to_string(),
        }
    }

    #[test]
    fn an_image_counts_once_and_the_limit_lists_all() {
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
