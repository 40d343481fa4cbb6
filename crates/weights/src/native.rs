//! This project's own weight files: safetensors, checked whole.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::rc::Rc;

use adadiff_storage::write_atomically;
use burn::module::Module;
use burn::tensor::DType;
use burn::tensor::backend::Backend;
use burn_store::{ModuleAdapter, ModuleSnapshot, SafetensorsStore, TensorSnapshot};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata};
use serde_json::Value;

use crate::{WeightError, bad_tensors};

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
pub enum WeightPrecision {
    /// 16 bits, for weights that are handed on.
    Half,
    /// 32 bits, for weights that must stay what they are.
    Single,
}

/// Writes the weights of `model`, with `metadata` in the file's header.
///
/// # Errors
/// Where the weights cannot be read from the device, are not finite in this precision, or the file
/// cannot be written; a file that was there before is then untouched.
pub fn save<B: Backend, M: Module<B> + ModuleSnapshot<B>>(
    model: &M,
    precision: WeightPrecision,
    metadata: &[(&str, String)],
    path: &Path,
) -> Result<(), WeightError> {
    let unusable = |reason: String| WeightError::Unusable {
        path: path.to_owned(),
        reason,
    };
    let dtype = match precision {
        WeightPrecision::Half => DType::F16,
        WeightPrecision::Single => DType::F32,
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
    let tensors = bad_tensors(&bytes).map_err(|error| unusable(error.to_string()))?;
    if !tensors.is_empty() {
        return Err(WeightError::Unwritten {
            path: path.to_owned(),
            tensors,
        });
    }
    let bytes = with_ordered_header(&bytes)
        .ok_or_else(|| unusable("its header could not be written".to_owned()))?;
    Ok(write_atomically(path, &bytes)?)
}

/// The same safetensors file with the names of its header in their order, which is another one each
/// time otherwise: equal weights are to be equal files, of one checksum.
fn with_ordered_header(bytes: &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (header, data) =
        rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let header: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_slice(header).ok()?;
    let mut header = serde_json::to_vec(&header).ok()?;
    // As the library does, so that the data stay aligned.
    header.resize(header.len().next_multiple_of(8), b' ');
    Some([&(header.len() as u64).to_le_bytes(), &header[..], data].concat())
}

/// Loads weights into `model` from the bytes of a safetensors file; `path` is for messages.
///
/// # Errors
/// Where the file is damaged, has tensors missing, left over or of another shape, or values that are
/// not finite: all of them are named. Nothing is loaded partially.
pub fn load<B: Backend, M: Module<B> + ModuleSnapshot<B>>(
    mut model: M,
    bytes: Vec<u8>,
    path: &Path,
) -> Result<M, WeightError> {
    let unusable = |reason: String| WeightError::Unusable {
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
    let tensors = bad_tensors(&bytes).map_err(|error| unusable(error.to_string()))?;
    if !tensors.is_empty() {
        return Err(WeightError::Values {
            path: path.to_owned(),
            tensors,
        });
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
    if faults.is_empty() {
        Ok(model)
    } else {
        Err(unusable(format!(
            "it does not fit the network that the preset describes: {}",
            faults.join("; ")
        )))
    }
}

/// The metadata in the header of a safetensors file.
///
/// # Errors
/// Where the file is damaged.
pub fn metadata(bytes: &[u8], path: &Path) -> Result<HashMap<String, String>, WeightError> {
    Ok(header(bytes, path)?.metadata().clone().unwrap_or_default())
}

/// The header of a safetensors file, which says what the file holds.
fn header(bytes: &[u8], path: &Path) -> Result<Metadata, WeightError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| WeightError::Unusable {
        path: path.to_owned(),
        reason: format!("it is not a safetensors file, or it is damaged ({error})"),
    })?;
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Tensor;
    use burn_flex::Flex;

    #[test]
    fn equal_weights_are_equal_files_that_can_be_read() {
        println!("device: flex");
        let folder = tempfile::tempdir().unwrap();
        let device = Default::default();
        let model: Linear<Flex> = LinearConfig::new(3, 2).init(&device);
        let metadata = ["steps", "phase", "preset", "network"].map(|key| (key, key.repeat(3)));
        let write = |name: &str| {
            let path = folder.path().join(name);
            save::<Flex, _>(&model, WeightPrecision::Single, &metadata, &path).unwrap();
            std::fs::read(path).unwrap()
        };
        let first = write("first");
        // Each writing draws another order of the names.
        for _ in 0..5 {
            assert!(write("second") == first);
        }
        let path = Path::new("first");
        let found = self::metadata(&first, path).unwrap();
        for (key, value) in &metadata {
            assert_eq!(&found[*key], value);
        }
        let other: Linear<Flex> = LinearConfig::new(3, 2).init(&device);
        let read = load::<Flex, _>(other, first, path).unwrap();
        let values = |model: &Linear<Flex>| -> Tensor<Flex, 2> { model.weight.val() };
        values(&read)
            .into_data()
            .assert_eq(&values(&model).into_data(), true);
    }
    #[test]
    fn weights_that_are_not_finite_are_neither_written_nor_read() {
        println!("device: flex");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        let device = Default::default();
        let model = |weight: f32| -> Linear<Flex> {
            let mut model = LinearConfig::new(1, 1).init(&device);
            model.weight = model.weight.map(|_| Tensor::full([1, 1], weight, &device));
            model
        };
        let write = |weight: f32, precision: WeightPrecision| {
            save::<Flex, _>(&model(weight), precision, &[], &path)
                .map_err(|error| error.to_string())
        };
        write(1.5, WeightPrecision::Single).unwrap();
        let sound = std::fs::read(&path).unwrap();
        for (weight, precision, words) in [
            (f32::NAN, WeightPrecision::Single, "not numbers"),
            (f32::INFINITY, WeightPrecision::Half, "infinite"),
            // Finite, but not in half precision.
            (1e6, WeightPrecision::Half, "infinite"),
        ] {
            let error = write(weight, precision).unwrap_err();
            assert!(error.contains("not written"), "{error}");
            assert!(error.contains("weight") && error.contains(words), "{error}");
            assert!(std::fs::read(&path).unwrap() == sound);
        }
        write(1e6, WeightPrecision::Single).unwrap();
        let at = sound.len() - 4;
        let weights = [1.5f32.to_le_bytes(), f32::NAN.to_le_bytes()];
        let at = (0..=at)
            .rev()
            .find(|at| sound[*at..].starts_with(&weights[0]))
            .unwrap();
        let mut broken = sound;
        broken[at..at + 4].copy_from_slice(&weights[1]);
        let error = load::<Flex, _>(model(0.0), broken, &path)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("weight has 1 of 1 values that are not numbers"),
            "{error}"
        );
    }
}
