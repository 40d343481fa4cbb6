//! A weight file of any known format.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use burn::tensor::TensorData;

use crate::error::Fault;
use crate::stored::read_at;
use crate::{StoredTensor, WeightError, legacy, safetensors, zip};

/// The formats that are recognised, by their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightFormat {
    /// PyTorch since 1.6: an archive with one entry for each storage.
    PyTorchZip,
    /// PyTorch before 1.6: pickles, then all storages.
    PyTorchLegacy,
    /// Hugging Face's safetensors.
    Safetensors,
}

impl fmt::Display for WeightFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PyTorchZip => "PyTorch",
            Self::PyTorchLegacy => "PyTorch (legacy)",
            Self::Safetensors => "safetensors",
        })
    }
}

/// The tensors of a file by their published names. Only names, types and shapes are in memory.
#[derive(Debug)]
pub struct WeightFile {
    path: PathBuf,
    file: Rc<File>,
    format: WeightFormat,
    tensors: BTreeMap<String, StoredTensor>,
}

impl WeightFile {
    /// Opens a PyTorch or safetensors file; its content, not its name, says which it is.
    ///
    /// Of a PyTorch checkpoint that wraps state dictionaries, the one named `model_state_dict`,
    /// `state_dict` or `model` is taken, or else the only one there is.
    ///
    /// # Errors
    /// Where the file cannot be read, is damaged, or holds anything but tensors in dictionaries.
    pub fn open(path: &Path) -> Result<Self, WeightError> {
        let system = |source| WeightError::File {
            path: path.to_owned(),
            source,
        };
        let fault = |fault| match fault {
            Fault::Io(source) => system(source),
            Fault::Damaged(reason) => WeightError::Unusable {
                path: path.to_owned(),
                reason,
            },
        };
        // Asked before opening, which may wait forever on what is no file.
        let metadata = fs::metadata(path).map_err(system)?;
        if !metadata.is_file() {
            return Err(fault(Fault::Damaged("it is a folder or a device".into())));
        }
        let file = File::open(path).map_err(system)?;
        let (format, tensors) = tensors(&file, metadata.len()).map_err(fault)?;
        Ok(Self {
            path: path.to_owned(),
            file: Rc::new(file),
            format,
            tensors,
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
    /// Where the file has no such tensor or cannot be read any more.
    pub fn read(&self, name: &str) -> Result<TensorData, WeightError> {
        let Some(tensor) = self.tensors.get(name) else {
            return Err(WeightError::Unusable {
                path: self.path.clone(),
                reason: format!("it has no tensor {name}"),
            });
        };
        tensor.read(&self.file).map_err(|source| WeightError::File {
            path: self.path.clone(),
            source,
        })
    }

    pub(crate) fn handle(&self) -> Rc<File> {
        Rc::clone(&self.file)
    }
}

fn tensors(
    file: &File,
    length: u64,
) -> Result<(WeightFormat, BTreeMap<String, StoredTensor>), Fault> {
    let head = read_at(file, 0, length.min(16) as usize)?;
    if head.starts_with(zip::MAGIC) {
        Ok((WeightFormat::PyTorchZip, zip::tensors(file, length)?))
    } else if head.starts_with(legacy::MAGIC) {
        Ok((WeightFormat::PyTorchLegacy, legacy::tensors(file, length)?))
    } else if head.get(8) == Some(&b'{') {
        Ok((
            WeightFormat::Safetensors,
            safetensors::tensors(file, length)?,
        ))
    } else {
        Fault::damaged(
            "it starts neither as a PyTorch file (.pth, .pt) nor as a safetensors file does",
        )
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
