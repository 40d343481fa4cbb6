//! The safetensors files that the two sides exchange.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use adadiff_model::Condition;
use adadiff_weights::WeightFile;
use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Element, Tensor, TensorData};
use safetensors::{Dtype, View, serialize_to_file};

use crate::work::Outputs;

/// A case's folder.
#[derive(Clone, Debug)]
pub struct Folder(pub PathBuf);

impl Folder {
    /// The network's weights under their published names.
    pub fn weights(&self) -> Result<WeightFile> {
        Ok(WeightFile::open(&self.0.join("weights.safetensors"))?)
    }

    /// The inputs of both sides.
    pub fn inputs(&self) -> Result<WorkerInputs> {
        Ok(WorkerInputs(WeightFile::open(
            &self.0.join("inputs.safetensors"),
        )?))
    }

    /// Writes what this side computed.
    pub fn write_outputs(&self, outputs: Outputs) -> Result<()> {
        write(&self.0.join("ours.safetensors"), outputs)
    }
}

#[derive(Debug)]
pub struct WorkerInputs(WeightFile);

impl WorkerInputs {
    pub fn tensor<B: Backend, const D: usize>(
        &self,
        name: &str,
        device: &B::Device,
    ) -> Result<Tensor<B, D>> {
        let data = self.0.read(name)?;
        let axes = data.shape.len();
        ensure!(axes == D, "the input {name} has {axes} axes, expected {D}");
        Ok(Tensor::from_data(data, device))
    }

    pub fn values<E: Element>(&self, name: &str) -> Result<Vec<E>> {
        let values = self.0.read(name)?.into_vec();
        values.map_err(|error| anyhow!("the input {name} has values of another type: {error:?}"))
    }

    /// The class labels, where the case has some.
    pub fn condition<B: Backend>(&self, device: &B::Device) -> Result<Condition<B>> {
        match self.0.shape("labels") {
            None => Ok(Condition::None),
            Some(_) => Ok(Condition::Class(Tensor::from_data(
                self.0.read("labels")?,
                device,
            ))),
        }
    }
}

/// An array of 32-bit or, where it is one already, of 64-bit floats.
struct FloatArray(TensorData);

impl View for &FloatArray {
    fn dtype(&self) -> Dtype {
        match self.0.dtype {
            DType::F64 => Dtype::F64,
            _ => Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.0.as_bytes())
    }

    fn data_len(&self) -> usize {
        self.0.as_bytes().len()
    }
}

fn write(path: &Path, outputs: Outputs) -> Result<()> {
    let arrays: Vec<(&str, FloatArray)> = outputs
        .into_iter()
        .map(|(name, data)| match data.dtype {
            DType::F64 => (name, FloatArray(data)),
            _ => (name, FloatArray(data.convert::<f32>())),
        })
        .collect();
    let views = arrays.iter().map(|(name, array)| (*name, array));
    serialize_to_file(views, None, path).with_context(|| format!("cannot write {}", path.display()))
}
