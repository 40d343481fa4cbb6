//! Weight files made by hand, and values for them.

use adadiff_weights::{Placements, WeightFile};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

/// A tensor of a file: its name, its shape, and whether it holds whole numbers.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) whole: bool,
}

impl Entry {
    pub(crate) fn new(name: &str, shape: &[usize]) -> Self {
        Self {
            name: name.to_owned(),
            shape: shape.to_vec(),
            whole: false,
        }
    }
}

/// The tensors that a file must have for a network.
pub(crate) fn needed(placements: &Placements) -> Vec<Entry> {
    placements
        .iter()
        .filter(|placement| placement.path.is_some())
        .map(|placement| Entry::new(&placement.published, &placement.shape))
        .collect()
}

/// A safetensors file in a folder of its own, with random values.
pub(crate) fn file(entries: &[Entry]) -> (TempDir, WeightFile) {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    file_of(entries, |_, _| random.random_range(-0.3f32..0.3))
}

/// A safetensors file in a folder of its own, with the value of each entry's every index.
pub(crate) fn file_of(
    entries: &[Entry],
    mut value: impl FnMut(&Entry, usize) -> f32,
) -> (TempDir, WeightFile) {
    let mut header = Vec::new();
    let mut bytes: Vec<u8> = Vec::new();
    for entry in entries {
        let Entry { name, shape, whole } = entry;
        let start = bytes.len();
        for index in 0..shape.iter().product::<usize>() {
            if *whole {
                bytes.extend((index as i64).to_le_bytes())
            } else {
                bytes.extend(value(entry, index).to_le_bytes())
            }
        }
        let dtype = if *whole { "I64" } else { "F32" };
        let end = bytes.len();
        header.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
        ));
    }
    let header = format!("{{{}}}", header.join(","));
    let length = (header.len() as u64).to_le_bytes();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, [&length, header.as_bytes(), &bytes].concat()).unwrap();
    let file = WeightFile::open(&path).unwrap();
    (folder, file)
}

/// A tensor of values in `[-1, 1]`, the same on every call.
pub(crate) fn uniform<B: Backend, const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| random.random_range(-1.0..1.0))
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

/// A tensor's values.
pub(crate) fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().into_vec().unwrap()
}
