//! The two versions of a batch.

use std::path::Path;

use super::{BATCH_LENGTH, BYTES, CLASS_NAMES, EXPECTED};
use crate::DataError;
use crate::pickle::{Content, Element, Pickle};

/// Images, each as planes of red, green and blue, and their labels; equally many.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    pub images: Vec<[u8; BYTES]>,
    pub labels: Vec<u8>,
}

impl Records {
    pub fn append(&mut self, mut other: Self) {
        self.images.append(&mut other.images);
        self.labels.append(&mut other.labels);
    }
}

/// The official versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Records of a label and an image.
    Binary,
    /// A pickled dictionary of an array of images and a list of labels.
    Python,
}

impl Version {
    /// Reads a batch; `file` names it in errors.
    pub fn read(self, bytes: &[u8], file: &Path) -> Result<Records, DataError> {
        let records = match self {
            Self::Binary => read_binary(bytes),
            Self::Python => read_pickle(bytes),
        };
        let records = records.map_err(|found| {
            let expected = match self {
                Self::Binary => format!("records of a label and {BYTES} bytes of an image"),
                Self::Python => format!("a pickled batch with {BYTES} bytes for each image"),
            };
            EXPECTED.content(file, found, expected)
        })?;
        let length = records.labels.len();
        if length == 0 || length > BATCH_LENGTH || length != records.images.len() {
            return Err(EXPECTED.content(
                file,
                format!("{length} labels and {} images", records.images.len()),
                format!("equally many, between 1 and {BATCH_LENGTH}"),
            ));
        }
        let classes = CLASS_NAMES.len();
        let wrong = |&label: &u8| usize::from(label) >= classes;
        if let Some(index) = records.labels.iter().position(wrong) {
            return Err(EXPECTED.content(
                file,
                format!("label {} at index {index}", records.labels[index]),
                format!("labels from 0 to {}", classes - 1),
            ));
        }
        Ok(records)
    }
}

fn read_binary(bytes: &[u8]) -> Result<Records, String> {
    let (records, rest) = bytes.as_chunks::<{ BYTES + 1 }>();
    if !rest.is_empty() {
        return Err(format!("{} bytes", bytes.len()));
    }
    Ok(Records {
        labels: records.iter().map(|record| record[0]).collect(),
        images: records
            .iter()
            .filter_map(|record| record[1..].try_into().ok())
            .collect(),
    })
}

fn read_pickle(bytes: &[u8]) -> Result<Records, String> {
    let pickle = Pickle::read(bytes)?;
    let entry = |key: &str| {
        let found = pickle.entry(key.as_bytes());
        found.ok_or_else(|| format!("a pickle without an entry `{key}`"))
    };
    let array = pickle.array(entry("data")?);
    let array = array.ok_or("a pickle whose `data` is no array")?;
    let Content::Numbers(Element::U1, bytes) = array.content else {
        return Err("a pickle whose `data` are no bytes".to_owned());
    };
    if array.shape.len() != 2 || array.shape[1] != BYTES {
        return Err(format!("images in an array of shape {:?}", array.shape));
    }
    let labels = pickle.integers(entry("labels")?);
    let labels = labels.ok_or("a pickle whose `labels` are no list of integers")?;
    Ok(Records {
        images: bytes.as_chunks::<BYTES>().0.to_vec(),
        // What is no byte is no label either, and is refused as such.
        labels: labels
            .iter()
            .map(|&label| u8::try_from(label).unwrap_or(u8::MAX))
            .collect(),
    })
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// An image whose red is the label, green the column and blue the row.
    pub(in crate::cifar10) fn planes(label: u8) -> [u8; BYTES] {
        let value = |at: usize| match at / 1024 {
            0 => label,
            1 => (at % 32) as u8,
            _ => (at / 32 % 32) as u8,
        };
        std::array::from_fn(value)
    }

    /// A batch of the binary version.
    pub(in crate::cifar10) fn binary(labels: &[u8]) -> Vec<u8> {
        let records = labels.iter().map(|&label| {
            let mut record = vec![label];
            record.extend(planes(label));
            record
        });
        records.flatten().collect()
    }

    /// A batch of the version for Python, instruction by instruction as Python 2 wrote the official
    /// ones.
    pub(in crate::cifar10) fn pickled(labels: &[u8]) -> Vec<u8> {
        let images: Vec<u8> = labels.iter().flat_map(|&label| planes(label)).collect();
        let names = labels.iter().map(|label| format!("thing_s_{label:06}.png"));
        pickle(labels.len() as u16, b"u1", &images, labels, names)
    }

    /// As [`pickled`], of any content.
    pub(in crate::cifar10) fn pickle(
        count: u16,
        kind: &[u8; 2],
        images: &[u8],
        labels: &[u8],
        names: impl Iterator<Item = String>,
    ) -> Vec<u8> {
        let mut bytes = b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x0ca small testq\x03".to_vec();
        bytes.extend(b"U\x06labelsq\x04]q\x05(");
        bytes.extend(labels.iter().flat_map(|&label| [b'K', label]));
        bytes.extend(b"eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07");
        bytes.extend(b"cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09(K\x01");
        bytes.push(b'M');
        bytes.extend(count.to_le_bytes());
        bytes.extend(b"M\x00\x0c\x86cnumpy\ndtype\nq\x0aU\x02");
        bytes.extend(kind);
        bytes.extend(b"K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff");
        bytes.extend(b"K\x00tb\x89T");
        bytes.extend((images.len() as u32).to_le_bytes());
        bytes.extend(images);
        bytes.extend(b"tbU\tfilenamesq\x0c]q\x0d(");
        for name in names {
            bytes.extend([b'U', name.len() as u8]);
            bytes.extend(name.as_bytes());
            bytes.extend(b"r\x00\x01\x00\x00");
        }
        bytes.extend(b"eu.");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::testing::{binary, pickle, pickled, planes};
    use super::*;

    fn message(version: Version, bytes: &[u8]) -> String {
        let error = version.read(bytes, Path::new("batch")).unwrap_err();
        error.to_string()
    }

    #[test]
    fn both_versions_hold_the_same() {
        for (version, bytes) in [
            (Version::Binary, binary(&[3, 9])),
            (Version::Python, pickled(&[3, 9])),
        ] {
            let records = version.read(&bytes, Path::new("batch")).unwrap();
            assert_eq!(records.labels, [3, 9]);
            assert_eq!(records.images, [planes(3), planes(9)]);
        }
    }

    #[test]
    fn a_batch_of_another_size_is_an_error() {
        let bytes = binary(&[3, 9]);
        let cut = &bytes[..bytes.len() - 1];
        assert!(message(Version::Binary, cut).contains("6145 bytes"));
        assert!(message(Version::Binary, &[]).contains("0 labels"));
        let many = vec![0; (BATCH_LENGTH + 1) * (BYTES + 1)];
        assert!(message(Version::Binary, &many).contains("10001 labels"));
        // CIFAR-100's records begin with two labels.
        let hundred = [&bytes[..1], &bytes, &[0]].concat();
        assert!(message(Version::Binary, &hundred).contains("6148 bytes"));
    }

    #[test]
    fn labels_are_checked() {
        for (version, bytes) in [
            (Version::Binary, binary(&[3, 10])),
            (Version::Python, pickled(&[3, 10])),
        ] {
            let found = message(version, &bytes);
            assert!(found.contains("label 10 at index 1"), "{found}");
        }
        let images = [planes(1), planes(2)].concat();
        let short = pickle(2, b"u1", &images, &[1], iter::empty());
        let found = message(Version::Python, &short);
        assert!(found.contains("1 labels and 2 images"), "{found}");
    }

    #[test]
    fn an_array_of_anything_else_is_an_error() {
        let images = planes(1);
        let found = |bytes: &[u8]| message(Version::Python, bytes);
        let floats = found(&pickle(1, b"f4", &images, &[1], iter::empty()));
        assert!(floats.contains("3072 bytes for"), "{floats}");
        let text = found(&pickle(1, b"S1", &images, &[1], iter::empty()));
        assert!(text.contains("type S1"), "{text}");
        let floats = images.repeat(4);
        let floats = found(&pickle(1, b"f4", &floats, &[1], iter::empty()));
        assert!(floats.contains("`data` are no bytes"), "{floats}");
        let few = found(&pickle(2, b"u1", &images, &[1, 1], iter::empty()));
        assert!(few.contains("3072 bytes for an array of 2 x 3072"), "{few}");
        let other = found(b"\x80\x02}q\x01U\x0bfine_labels]s.");
        assert!(other.contains("without an entry `data`"), "{other}");
        assert!(found(b"\x80\x02].").contains("without an entry"));
        // What numpy writes of an array in Fortran's order.
        let mut turned = pickle(1, b"u1", &images, &[1], iter::empty());
        let order = turned.windows(2).position(|pair| pair == b"\x89T");
        turned[order.unwrap()] = 0x88;
        assert!(found(&turned).contains("an array of another kind"));
    }
}
