//! A weight file of any known format.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adadiff_storage::open_file;
use burn::tensor::TensorData;

use crate::error::Fault;
use crate::stored::read_at;
use crate::{StoredTensor, WeightError, pytorch, safetensors};

/// The first bytes of a zip archive with entries.
const ZIP: &[u8] = b"PK\x03\x04";

/// The mark of a tar archive, and where it stands.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// The number that PyTorch's files before 1.6 start with, 0x1950a86a20f9469cfc6c, as the pickles of
/// protocol 2 and of protocol 0 have it.
const LEGACY: [&[u8]; 2] = [
    b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19",
    b"119547037146038801333356",
];

/// Within how many bytes that number stands.
const LEGACY_WITHIN: usize = 64;

/// The formats that are recognised, by their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightFormat {
    /// PyTorch since 1.6: an archive with one entry for each storage.
    PyTorchZip,
    /// PyTorch before 1.6: pickles, then all storages.
    PyTorchLegacy,
    /// PyTorch before 0.1.10: a tar archive.
    PyTorchTar,
    /// Hugging Face's safetensors.
    Safetensors,
}

impl fmt::Display for WeightFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PyTorchZip => "PyTorch",
            Self::PyTorchLegacy => "PyTorch (legacy)",
            Self::PyTorchTar => "PyTorch (tar)",
            Self::Safetensors => "safetensors",
        })
    }
}

/// The tensors of a file, or of a part of it, by their published names. Only names, types and shapes
/// are in memory.
#[derive(Clone, Debug)]
pub struct WeightFile {
    pub(crate) path: PathBuf,
    pub(crate) format: WeightFormat,
    pub(crate) tensors: BTreeMap<String, StoredTensor>,
    /// The part of the file that these tensors are; empty for the whole file.
    pub(crate) part: String,
    /// The other parts that hold the same network.
    pub(crate) passed_over: Vec<String>,
}

impl WeightFile {
    /// Opens a PyTorch or safetensors file; its content, not its name, says which it is.
    ///
    /// Tensors in dictionaries have the names of all of them, joined by dots:
    /// [`network`](Self::network) finds a network among them. All tensors of a PyTorch file are read
    /// once, so that damage shows before anything is made of them.
    ///
    /// # Errors
    /// Where the file cannot be read, is damaged, is one piece of several, or holds anything but
    /// tensors in dictionaries.
    pub fn open(path: &Path) -> Result<Self, WeightError> {
        let system = |error| WeightError::File {
            path: path.to_owned(),
            error,
        };
        let fault = |fault| match fault {
            Fault::Io(source) => system(source),
            Fault::Damaged(reason) => WeightError::Unusable {
                path: path.to_owned(),
                reason,
            },
        };
        if let Some((piece, pieces)) = piece(path) {
            return Err(WeightError::Piece {
                path: path.to_owned(),
                piece,
                pieces,
            });
        }
        let file = Arc::new(open_file(path).map_err(system)?);
        let length = file.metadata().map_err(system)?.len();
        let (format, tensors) = tensors(path, &file, length).map_err(fault)?;
        Ok(Self {
            path: path.to_owned(),
            format,
            tensors,
            part: String::new(),
            passed_over: Vec::new(),
        })
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's format.
    pub fn format(&self) -> WeightFormat {
        self.format
    }

    /// All tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, StoredTensor> {
        &self.tensors
    }

    /// A tensor's shape, if the file has it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.tensors.get(name)?.shape)
    }

    /// A tensor's values in the type that they are stored in.
    ///
    /// # Errors
    /// Where the file has no such tensor, its type is none that can be read, or the file cannot be
    /// read any more.
    pub fn read(&self, name: &str) -> Result<TensorData, WeightError> {
        let Some(tensor) = self.tensors.get(name) else {
            return Err(WeightError::Unusable {
                path: self.path.clone(),
                reason: format!("it has no tensor {name}"),
            });
        };
        tensor.read().map_err(|error| WeightError::File {
            path: self.path.clone(),
            error,
        })
    }
}

fn tensors(
    path: &Path,
    file: &Arc<File>,
    length: u64,
) -> Result<(WeightFormat, BTreeMap<String, StoredTensor>), Fault> {
    let longest = (TAR.0 + TAR.1.len()) as u64;
    let head = read_at(file, 0, length.min(longest) as usize)?;
    let starts = &head[..head.len().min(LEGACY_WITHIN)];
    let is_legacy = |number: &&[u8]| starts.windows(number.len()).any(|found| found == *number);
    let format = if head.starts_with(ZIP) {
        WeightFormat::PyTorchZip
    } else if head.get(8) == Some(&b'{') {
        return Ok((WeightFormat::Safetensors, safetensors::tensors(file)?));
    } else if head.get(TAR.0..) == Some(TAR.1) {
        WeightFormat::PyTorchTar
    } else if LEGACY.iter().any(is_legacy) {
        WeightFormat::PyTorchLegacy
    } else {
        return Fault::damaged(
            "it starts neither as a PyTorch file (.pth, .pt, .bin) nor as a safetensors file does",
        );
    };
    Ok((format, pytorch::tensors(path, file, length, format)?))
}

/// Which piece of how many a file's name says that it is, as Hugging Face's libraries write large
/// networks: `model-00001-of-00002.safetensors`.
fn piece(path: &Path) -> Option<(u32, u32)> {
    let (rest, pieces) = path.file_stem()?.to_str()?.rsplit_once("-of-")?;
    let (_, piece) = rest.rsplit_once('-')?;
    let (piece, pieces) = (piece.parse().ok()?, pieces.parse().ok()?);
    (pieces > 1).then_some((piece, pieces))
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
