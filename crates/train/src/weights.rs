//! Weight files: safetensors, checked whole.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use burn::module::Module;
use burn::tensor::DType;
use burn::tensor::backend::Backend;
use burn_store::{ModuleAdapter, ModuleSnapshot, SafetensorsStore, TensorSnapshot};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata};

use crate::TrainError;
use crate::files::write_atomically;

/// Stores or loads every float tensor with one element type.
#[derive(Clone, Debug)]
struct Convert(DType);

impl ModuleAdapter for Convert {
    fn adapt(&self, snapshot: &TensorSnapshot) -> TensorSnapshot {
        if !snapshot.dtype.is_float() || snapshot.dtype == self.0 {
            return snapshot.clone();
        }
        let (read, dtype) = (snapshot.clone_data_fn(), self.0);
        TensorSnapshot::from_closure(
            Rc::new(move || Ok(read()?.convert_dtype(dtype))),
            dtype,
            snapshot.shape.clone(),
            snapshot.path_stack.clone().unwrap_or_default(),
            snapshot.container_stack.clone().unwrap_or_default(),
            snapshot.tensor_id.unwrap_or_default(),
        )
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(self.clone())
    }
}

/// The types of the weights that can be loaded.
const FLOATS: [Dtype; 4] = [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16];

/// How the weights of a file are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 16 bits, for weights that are handed on.
    Half,
    /// 32 bits, for weights that must stay what they are.
    Single,
}

/// Writes the weights of `model`, with `metadata` in the file's header.
///
/// # Errors
/// Where the weights cannot be read from the device or the file cannot be written; a file that was
/// there before is then untouched.
pub fn save<B: Backend, M: Module<B> + ModuleSnapshot<B>>(
    model: &M,
    precision: Precision,
    metadata: &[(&str, String)],
    path: &Path,
) -> Result<(), TrainError> {
    let unusable = |reason: String| TrainError::Checkpoint {
        path: path.to_owned(),
        reason,
    };
    let dtype = match precision {
        Precision::Half => DType::F16,
        Precision::Single => DType::F32,
    };
    let mut store = SafetensorsStore::from_bytes(None).with_to_adapter(Convert(dtype));
    for (key, value) in metadata {
        store = store.metadata(*key, value.clone());
    }
    model
        .save_into(&mut store)
        .map_err(|error| unusable(error.to_string()))?;
    let bytes = store
        .get_bytes()
        .map_err(|error| unusable(error.to_string()))?;
    write_atomically(path, &bytes)
}

/// Loads weights into `model` from the bytes of a safetensors file; `path` is for messages.
///
/// # Errors
/// Where the file is damaged, or has tensors missing, left over or of another shape: all of them are
/// named. Nothing is loaded partially.
pub fn load<B: Backend, M: Module<B> + ModuleSnapshot<B>>(
    mut model: M,
    bytes: Vec<u8>,
    path: &Path,
) -> Result<M, TrainError> {
    let unusable = |reason: String| TrainError::Checkpoint {
        path: path.to_owned(),
        reason,
    };
    // Burn takes whole numbers for a float tensor's and panics where it computes with them.
    let other_types: Vec<_> = header(&bytes, path)?
        .tensors()
        .into_iter()
        .filter(|(_, tensor)| !FLOATS.contains(&tensor.dtype))
        .map(|(name, tensor)| format!("{name} holds values of type {:?}", tensor.dtype))
        .collect();
    if !other_types.is_empty() {
        return Err(unusable(format!(
            "it holds other values than floating-point numbers: {}",
            other_types.join("; ")
        )));
    }
    let mut store = SafetensorsStore::from_bytes(Some(bytes))
        .with_from_adapter(Convert(DType::F32))
        .allow_partial(true)
        .validate(false);
    let result = model
        .load_from(&mut store)
        .map_err(|error| unusable(error.to_string()))?;

    let mut faults = Vec::new();
    faults.extend(result.errors.iter().map(|error| error.to_string()));
    faults.extend(
        result
            .missing
            .iter()
            .map(|(name, _)| format!("{name} is missing")),
    );
    faults.extend(
        result
            .unused
            .iter()
            .map(|name| format!("{name} is not part of the network")),
    );
    match faults.is_empty() {
        true => Ok(model),
        false => Err(unusable(format!(
            "it does not fit the network that the preset describes: {}",
            faults.join("; ")
        ))),
    }
}

/// The metadata in the header of a safetensors file.
///
/// # Errors
/// Where the file is damaged.
pub fn metadata(bytes: &[u8], path: &Path) -> Result<HashMap<String, String>, TrainError> {
    Ok(header(bytes, path)?.metadata().clone().unwrap_or_default())
}

/// The header of a safetensors file, which says what the file holds.
fn header(bytes: &[u8], path: &Path) -> Result<Metadata, TrainError> {
    let (_, header) =
        SafeTensors::read_metadata(bytes).map_err(|error| TrainError::Checkpoint {
            path: path.to_owned(),
            reason: format!("it is not a safetensors file, or it is damaged ({error})"),
        })?;
    Ok(header)
}
