//! What tells a data set from others.

use std::path::is_separator;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{Conditioning, ImageError, ImageSet, Label, TrainingSet, Visit};

/// The most bytes of images that are read: a second or two.
const MOST_BYTES: usize = 1 << 30;

/// The images that are read of a larger set.
const SAMPLED: usize = 256;

/// The SHA-256 of a data set: its size and shape, the names of all examples, and what is stored of
/// them with their labels. Of a set of more than a gibibyte 256 examples are read, spread evenly. The folders in
/// a name do not count: the same data may lie elsewhere, or be named by another path.
pub fn data_sha256(set: &dyn TrainingSet) -> String {
    let mut hash = Sha256::new();
    let mut number = |number: usize| hash.update((number as u64).to_le_bytes());
    number(set.len());
    set.shape().into_iter().for_each(&mut number);
    match set.conditioning() {
        Conditioning::None => number(0),
        Conditioning::Class { classes } => number(classes),
        Conditioning::Text { tokens, width } => [tokens, width].into_iter().for_each(&mut number),
    }
    for index in 0..set.len() {
        hash.update(file_name(&set.name(index)));
        hash.update([0]);
    }
    if let Some(context) = set.empty_context() {
        hash.update(little_endian(context));
    }
    add_stored(&mut hash, set.len(), |index| set.stored(index));
    format!("{:x}", hash.finalize())
}

/// The SHA-256 of images before they are prepared: their names, labels and captions, and what is
/// stored of them, as for [`data_sha256`].
pub fn images_sha256(set: &dyn ImageSet) -> String {
    let mut hash = Sha256::new();
    for index in 0..set.len() {
        hash.update(file_name(&set.name(index)));
        hash.update([0]);
        hash.update(set.label(index).unwrap_or(usize::MAX).to_le_bytes());
        for caption in set.captions(index) {
            hash.update(caption);
            hash.update([0]);
        }
    }
    add_stored(&mut hash, set.len(), |index| set.stored(index));
    format!("{:x}", hash.finalize())
}

/// The values and the label of an example, as bytes.
pub(crate) fn values_of<S: TrainingSet + ?Sized>(
    set: &S,
    index: usize,
) -> Result<Vec<u8>, ImageError> {
    let mut values = vec![0.0; set.shape().iter().product()];
    let visit = Visit {
        flip: false,
        seed: 0,
        position: 0,
    };
    let label = set.read(index, visit, &mut values)?;
    let mut bytes = little_endian(&values);
    match label {
        Label::None => {}
        Label::Class(class) => bytes.extend((class as u64).to_le_bytes()),
        Label::Context(context) => bytes.extend(little_endian(&context)),
    }
    Ok(bytes)
}

fn file_name(name: &str) -> &str {
    name.rsplit(is_separator).next().unwrap_or_default()
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Adds what is stored of all images, or of some where it is much.
fn add_stored(
    hash: &mut Sha256,
    length: usize,
    stored: impl Fn(usize) -> Result<Vec<u8>, ImageError> + Sync,
) {
    let sampled = length.min(SAMPLED);
    let some: Vec<usize> = (0..sampled).map(|place| place * length / sampled).collect();
    let size = |&index: &usize| stored(index).map_or(0, |bytes| bytes.len());
    let bytes = some.par_iter().map(size).sum::<usize>() / sampled.max(1) * length;
    let read = if bytes <= MOST_BYTES {
        (0..length).collect()
    } else {
        some
    };
    // A training may leave bad images out.
    let digest = |index| match stored(index) {
        Ok(bytes) => Sha256::digest(bytes),
        Err(_) => Sha256::digest(b"bad"),
    };
    let digests: Vec<_> = read.into_par_iter().map(digest).collect();
    for digest in digests {
        hash.update(digest);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use image::{Rgb, RgbImage};

    use super::*;
    use crate::{Framing, ImageFolder, Pixels};

    /// More than are sampled of a large set.
    const IMAGES: usize = 300;

    fn digests(folder: &Path) -> [String; 2] {
        let set = Arc::new(ImageFolder::unlabelled(folder, Framing::Exact, 4).unwrap());
        [data_sha256(&Pixels(set.clone())), images_sha256(&*set)]
    }

    #[test]
    fn a_set_is_the_same_wherever_it_lies_and_another_where_one_image_differs() {
        let root = tempfile::tempdir().unwrap();
        let [here, there] = ["here", "there"].map(|name| root.path().join(name));
        fs::create_dir(&here).unwrap();
        let write = |folder: &Path, number: usize, grey: u8| {
            let image = RgbImage::from_pixel(4, 4, Rgb([grey; 3]));
            image.save(folder.join(format!("{number:03}.png"))).unwrap();
        };
        for number in 0..IMAGES {
            write(&here, number, (number % 256) as u8);
        }
        let before = digests(&here);
        fs::rename(&here, &there).unwrap();
        assert_eq!(digests(&there), before);
        for number in [0, 1, 2, IMAGES - 1] {
            write(&there, number, 99);
            let changed = digests(&there);
            assert!(changed.iter().zip(&before).all(|(now, then)| now != then));
            write(&there, number, (number % 256) as u8);
            assert_eq!(digests(&there), before);
        }
        fs::rename(there.join("000.png"), there.join("0000.png")).unwrap();
        assert_ne!(digests(&there), before);
    }
}
