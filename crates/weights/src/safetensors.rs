//! The safetensors format.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use burn::tensor::{DType, TensorData};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::error::Fault;
use crate::stored::{Source, StoredTensor, StoredType};
use crate::values::{BadTensor, checked};

pub(crate) fn tensors(file: &Arc<File>) -> Result<BTreeMap<String, StoredTensor>, Fault> {
    // SAFETY: the map lives as long as the header is read. Who shortens the file within that time
    // stops this process with a signal.
    let map = unsafe { Mmap::map(&**file) }?;
    let (header, metadata) = SafeTensors::read_metadata(&map).map_err(complaint)?;
    let start = size_of::<u64>() + header;
    let tensors = metadata.tensors().into_iter().map(|(name, info)| {
        let stored = StoredTensor {
            dtype: stored_type(info.dtype),
            shape: info.shape.clone(),
            source: Source::At(file.clone(), (start + info.data_offsets.0) as u64),
        };
        (name, stored)
    });
    Ok(tensors.collect())
}

/// The tensors of real numbers in the bytes of a safetensors file that cannot be weights, in the
/// order of their names.
///
/// # Errors
/// Where the bytes are no such file.
pub fn bad_tensors(bytes: &[u8]) -> Result<Vec<BadTensor>, SafeTensorError> {
    let mut bad = Vec::new();
    for (name, view) in SafeTensors::deserialize(bytes)?.tensors() {
        if let StoredType::Known(dtype) = stored_type(view.dtype())
            && dtype.is_float()
        {
            let data =
                TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype);
            bad.extend(checked(&name, data).err());
        }
    }
    bad.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(bad)
}

fn complaint(error: SafeTensorError) -> String {
    match error {
        SafeTensorError::MetadataIncompleteBuffer => {
            "its values are cut off, or more follow them than its header describes".to_owned()
        }
        SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength => {
            "its header claims to be longer than it can be".to_owned()
        }
        error => format!("its header is not that of a safetensors file ({error})"),
    }
}

fn stored_type(dtype: Dtype) -> StoredType {
    StoredType::Known(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        other => return StoredType::Other(format!("{other:?}")),
    })
}
