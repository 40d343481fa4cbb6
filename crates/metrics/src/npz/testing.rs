//! Archives made by hand, as NumPy writes them and as it does not.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// An array as NumPy stores it, version 1.0 of the format: its name in the archive and its bytes.
pub(super) fn entry(
    name: &str,
    element: &str,
    is_fortran: bool,
    shape: &str,
    values: &[u8],
) -> (String, Vec<u8>) {
    let order = if is_fortran { "True" } else { "False" };
    let mut text =
        format!("{{'descr': '{element}', 'fortran_order': {order}, 'shape': {shape}, }}");
    let padded = (10 + text.len() + 1).next_multiple_of(64);
    text.push_str(&" ".repeat(padded - 10 - text.len() - 1));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(values);
    (format!("{name}.npy"), bytes)
}

/// As `numpy.savez` writes them.
pub(super) fn npz(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    archive(entries, CompressionMethod::Stored)
}

/// As `numpy.savez_compressed` writes them.
pub(super) fn npz_compressed(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    archive(entries, CompressionMethod::Deflated)
}

fn archive(entries: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(name.as_str(), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Bytes in a file of their own.
#[derive(Debug)]
pub(super) struct TestFile {
    _folder: TempDir,
    path: PathBuf,
}

impl TestFile {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("arrays.npz");
        std::fs::write(&path, bytes).unwrap();
        Self {
            _folder: folder,
            path,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
