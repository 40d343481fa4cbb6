//! Weight files made by hand, sound ones and such as nobody should write.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::{WeightError, WeightFile};

/// A tensor in a file made by hand.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    /// Values in its storage, as the pickle claims.
    pub(crate) values: i32,
    pub(crate) offset: i32,
    pub(crate) shape: Vec<i32>,
    pub(crate) strides: Vec<i32>,
}

/// A tensor of one axis that fills its storage.
pub(crate) fn row(name: &'static str, key: &'static str, values: i32) -> Entry {
    Entry {
        name,
        key,
        values,
        offset: 0,
        shape: vec![values],
        strides: vec![1],
    }
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = vec![b'X'];
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

fn int(value: i32) -> Vec<u8> {
    let mut bytes = vec![b'J'];
    bytes.extend(value.to_le_bytes());
    bytes
}

fn tuple(items: &[i32]) -> Vec<u8> {
    let items = items.iter().flat_map(|&item| int(item));
    [b'('].into_iter().chain(items).chain([b't']).collect()
}

/// The pickle of a state dictionary of 32-bit floats, as PyTorch writes it.
pub(crate) fn state_dict(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = b"\x80\x02ccollections\nOrderedDict\n)Rq\x00(".to_vec();
    for entry in entries {
        bytes.extend(text(entry.name));
        bytes.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        bytes.extend(text("storage"));
        bytes.extend(b"ctorch\nFloatStorage\n");
        bytes.extend(text(entry.key));
        bytes.extend(text("cpu"));
        bytes.extend(int(entry.values));
        bytes.extend(b"tQ");
        bytes.extend(int(entry.offset));
        bytes.extend(tuple(&entry.shape));
        bytes.extend(tuple(&entry.strides));
        bytes.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    // The version that PyTorch sets as an attribute.
    bytes.extend(b"u}q\x01");
    bytes.extend(text("_metadata"));
    bytes.extend(b"}sb.");
    bytes
}

/// Puts state dictionaries and other values under names, beside a number of steps, as checkpoints do.
pub(crate) fn dictionary(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"\x80\x02}(".to_vec();
    bytes.extend(text("step"));
    bytes.extend(b"K\x05");
    for (name, part) in parts {
        bytes.extend(text(name));
        bytes.extend(&part[..part.len() - 1]);
    }
    bytes.extend(b"u.");
    bytes
}

/// Bytes of 32-bit floats.
pub(crate) fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// An archive of stored entries; `compression` is what the directory claims.
pub(crate) fn archive(entries: &[(&str, &[u8])], compression: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for (name, content) in entries {
        let header = bytes.len() as u32;
        let length = content.len() as u32;
        let sizes = [crc32fast::hash(content), length, length];
        let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
        let common = |bytes: &mut Vec<u8>| {
            bytes.extend([0, 0, 0, 0]); // version, flags
            bytes.extend(compression.to_le_bytes());
            bytes.extend([0; 4]); // time
            bytes.extend(&sizes);
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend([0, 0]);
        };
        bytes.extend(b"PK\x03\x04");
        common(&mut bytes);
        bytes.extend(name.as_bytes());
        bytes.extend(*content);
        directory.extend(b"PK\x01\x02\0\0");
        common(&mut directory);
        directory.extend([0; 10]);
        directory.extend(header.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = bytes.len() as u32;
    let (count, size) = (entries.len() as u16, directory.len() as u32);
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    bytes.extend([size.to_le_bytes(), start.to_le_bytes()].concat());
    bytes.extend([0, 0]);
    bytes
}

/// Bytes in a file of their own.
#[derive(Debug)]
pub(crate) struct TestFile {
    _folder: TempDir,
    path: PathBuf,
}

impl TestFile {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("weights");
        std::fs::write(&path, bytes).unwrap();
        Self {
            _folder: folder,
            path,
        }
    }

    pub(crate) fn open(&self) -> Result<WeightFile, WeightError> {
        WeightFile::open(&self.path)
    }
}

/// What is said of a file of these bytes.
pub(crate) fn refusal(bytes: &[u8]) -> String {
    let error = TestFile::new(bytes).open().unwrap_err();
    assert!(matches!(error, WeightError::Unusable { .. }), "{error}");
    error.to_string()
}
