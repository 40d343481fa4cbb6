//! The safetensors format: a length, a JSON header, the values.

use std::collections::BTreeMap;
use std::fs::File;

use burn::tensor::DType;
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::StoredTensor;
use crate::error::Fault;
use crate::stored::read_at;

/// Bytes before the header, which hold its length.
const PREFIX: u64 = 8;

/// The longest header that is read: room for 100,000 tensors.
const LONGEST_HEADER: u64 = 16 << 20;

pub(crate) fn tensors(file: &File, length: u64) -> Result<BTreeMap<String, StoredTensor>, Fault> {
    let prefix = read_at(file, 0, PREFIX as usize)?;
    let header = prefix
        .iter()
        .rev()
        .fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    if header > length - PREFIX || header > LONGEST_HEADER {
        return Fault::damaged(format!(
            "its header claims to have {header} bytes in a file of {length}"
        ));
    }
    let text = read_at(file, PREFIX, header as usize)?;
    let metadata: Metadata = serde_json::from_slice(&text)
        .map_err(|error| format!("its header is not that of a safetensors file ({error})"))?;
    let values = length - PREFIX - header;
    if metadata.data_len() as u64 != values {
        return Fault::damaged(format!(
            "its header describes {} bytes of values, but {values} follow it",
            metadata.data_len()
        ));
    }
    let mut tensors = BTreeMap::new();
    for (name, info) in metadata.tensors() {
        let Some(dtype) = dtype(info.dtype) else {
            return Fault::damaged(format!(
                "the type {:?} of {name} is not supported",
                info.dtype
            ));
        };
        let stored = StoredTensor {
            dtype,
            shape: info.shape.clone(),
            start: PREFIX + header + info.data_offsets.0 as u64,
        };
        tensors.insert(name, stored);
    }
    Ok(tensors)
}

fn dtype(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U8 => DType::U8,
        _ => return None,
    })
}
