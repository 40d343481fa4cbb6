//! The names of the files in a folder of the U-ViT repository's scripts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::DataError;
use crate::expected::Expected;

/// How many files `I_K.npy` there are for each `I.npy` of a folder.
pub(super) fn count_captions(folder: &Path, expected: &Expected) -> Result<Vec<usize>, DataError> {
    let unopened = |source| expected.unopened(folder, source);
    let mut images = BTreeSet::new();
    let mut captions = BTreeMap::<usize, BTreeSet<usize>>::new();
    for entry in fs::read_dir(folder).map_err(unopened)? {
        let name = entry.map_err(unopened)?.file_name();
        match name.to_str().and_then(Name::read) {
            Some(Name::Image(image)) => {
                images.insert(image);
            }
            Some(Name::Caption(image, caption)) => {
                captions.entry(image).or_default().insert(caption);
            }
            None => {}
        }
    }
    let missing = |name: String| expected.content(folder, format!("no {name}"), "numbers in a row");
    if images.is_empty() {
        return Err(missing("0.npy".to_owned()));
    }
    if let Some(image) = first_gap(&images) {
        return Err(missing(format!("{image}.npy")));
    }
    for (image, captions) in &captions {
        if let Some(caption) = first_gap(captions) {
            return Err(missing(format!("{image}_{caption}.npy")));
        }
        if !images.contains(image) {
            return Err(missing(format!("{image}.npy")));
        }
    }
    let count = |image| captions.get(image).map_or(0, BTreeSet::len);
    Ok(images.iter().map(count).collect())
}

/// The first number that is not there, though a higher one is.
fn first_gap(numbers: &BTreeSet<usize>) -> Option<usize> {
    let mut pairs = numbers.iter().enumerate();
    pairs.find_map(|(at, &number)| (number != at).then_some(at))
}

/// What a file's name says that it holds.
enum Name {
    Image(usize),
    Caption(usize, usize),
}

impl Name {
    fn read(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".npy")?;
        // What the scripts would have written otherwise, as 007, is not theirs.
        let number = |text: &str| {
            let number = text.parse::<usize>().ok()?;
            (number.to_string() == text).then_some(number)
        };
        match stem.split_once('_') {
            None => Some(Self::Image(number(stem)?)),
            Some((image, caption)) => Some(Self::Caption(number(image)?, number(caption)?)),
        }
    }
}
