//! PyTorch's files, through `pytorch-reader`, which runs nothing that is in them, and with the checks
//! that it leaves to its caller.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Seek};
use std::path::Path;

use burn::tensor::{BoolStore, DType};
use pytorch_reader::{PickleError, PytorchError, PytorchReader, Tensor};
use tar::Archive;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::WeightFormat;
use crate::error::Fault;
use crate::stored::{Source, StoredTensor, StoredType};

/// The most axes of a tensor. Networks have convolutions in space and time with five.
const MOST_AXES: usize = 8;

/// How often the bytes of a file may be used. Tensors can share values, and one tensor can repeat
/// them, so that a small file could ask for any amount of memory.
const MOST_USES: u64 = 8;

/// Bytes that every file may ask for.
const ALLOWANCE: u64 = 64 << 20;

pub(crate) fn tensors(
    path: &Path,
    file: &File,
    length: u64,
    format: WeightFormat,
) -> Result<BTreeMap<String, StoredTensor>, Fault> {
    match format {
        WeightFormat::PyTorchZip => check_archive(file)?,
        WeightFormat::PyTorchTar => check_tar(file, length)?,
        WeightFormat::PyTorchLegacy | WeightFormat::Safetensors => {}
    }
    let tensors = PytorchReader::new(path).map_err(fault)?.into_tensors();
    let tensors: BTreeMap<_, _> = tensors.into_iter().collect();
    if tensors.is_empty() {
        return Fault::damaged("it holds no tensors");
    }
    let sizes = tensors.values().map(|tensor| tensor.byte_len() as u64);
    let bytes = sizes.fold(0, u64::saturating_add);
    if bytes > ALLOWANCE.max(MOST_USES.saturating_mul(length)) {
        return Fault::damaged(format!(
            "its tensors would fill {bytes} bytes of memory, its own {length} many times over"
        ));
    }
    for (name, tensor) in &tensors {
        if tensor.shape().len() > MOST_AXES {
            let axes = tensor.shape().len();
            return Fault::damaged(format!("its tensor {name} has {axes} axes"));
        }
        // What is missing or damaged shows when it is read, a checksum that does not fit included.
        tensor.read().map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Damaged(error.to_string()),
            _ => Fault::from(error),
        })?;
    }
    if format == WeightFormat::PyTorchZip {
        check_storages(file)?;
    }
    let stored = |tensor: Tensor| StoredTensor {
        dtype: StoredType::Known(dtype(tensor.dtype())),
        shape: tensor.shape().to_vec(),
        source: Source::PyTorch(tensor),
    };
    let tensors = tensors.into_iter();
    Ok(tensors
        .map(|(name, tensor)| (name, stored(tensor)))
        .collect())
}

fn fault(error: PytorchError) -> Fault {
    match error {
        PytorchError::Io(error) => Fault::from(error),
        PytorchError::Pickle(PickleError::UnsupportedType(what)) => Fault::Damaged(format!(
            "it asks for {what}, and nothing in a weight file is run here; save the network's \
             `state_dict()`, of real numbers in dense tensors"
        )),
        error => Fault::Damaged(format!("PyTorch's reader refuses it: {error}")),
    }
}

/// Refuses what no archive of PyTorch has: such a file may not mean what it seems to.
fn check_archive(file: &File) -> Result<(), Fault> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(archive_fault)?;
    if archive.has_duplicate_names() {
        return Fault::damaged("it has two entries of one name");
    }
    let mut pickles = 0;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(archive_fault)?;
        let name = entry.name().map_err(archive_fault)?;
        if entry.encrypted() || entry.compression() != CompressionMethod::Stored {
            return Fault::damaged(format!(
                "its entry {name} is compressed or encrypted, which PyTorch does not do"
            ));
        }
        pickles += usize::from(name == "data.pkl" || name.ends_with("/data.pkl"));
    }
    if pickles != 1 {
        return Fault::damaged(format!(
            "a PyTorch archive has one entry data.pkl, this one has {pickles}"
        ));
    }
    Ok(())
}

/// Holds every entry that has a checksum against it: the reader does so only where one tensor fills
/// a storage.
fn check_storages(file: &File) -> Result<(), Fault> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(archive_fault)?;
    for index in 0..archive.len() {
        // PyTorch writes 0 where it was told to compute none.
        if archive.by_index_raw(index).map_err(archive_fault)?.crc32() == 0 {
            continue;
        }
        let mut entry = archive.by_index(index).map_err(archive_fault)?;
        let name = entry.name().map_err(archive_fault)?.into_owned();
        io::copy(&mut entry, &mut io::sink())
            .map_err(|error| Fault::Damaged(format!("its entry {name} is damaged: {error}")))?;
    }
    Ok(())
}

fn archive_fault(error: ZipError) -> Fault {
    match error {
        ZipError::Io(error) => Fault::from(error),
        error => Fault::Damaged(format!(
            "it is a PyTorch archive that is cut off or damaged ({error})"
        )),
    }
}

/// Refuses entries that claim to be longer than the file, which are all read into memory.
fn check_tar(mut file: &File, length: u64) -> Result<(), Fault> {
    file.rewind()?;
    let mut archive = Archive::new(BufReader::new(file));
    for entry in archive.entries()? {
        if entry?.size() > length {
            return Fault::damaged("it has an entry that is longer than the file");
        }
    }
    Ok(())
}

fn dtype(dtype: pytorch_reader::DType) -> DType {
    match dtype {
        pytorch_reader::DType::F64 => DType::F64,
        pytorch_reader::DType::F32 => DType::F32,
        pytorch_reader::DType::F16 => DType::F16,
        pytorch_reader::DType::BF16 => DType::BF16,
        pytorch_reader::DType::I64 => DType::I64,
        pytorch_reader::DType::I32 => DType::I32,
        pytorch_reader::DType::I16 => DType::I16,
        pytorch_reader::DType::I8 => DType::I8,
        pytorch_reader::DType::U64 => DType::U64,
        pytorch_reader::DType::U32 => DType::U32,
        pytorch_reader::DType::U16 => DType::U16,
        pytorch_reader::DType::U8 => DType::U8,
        pytorch_reader::DType::Bool => DType::Bool(BoolStore::Native),
    }
}
