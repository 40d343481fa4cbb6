//! A fixture on disk.

use std::fs;
use std::path::{Path, PathBuf};

use adadiff_model::Condition;
use adadiff_weights::WeightFile;
use anyhow::{Context, Result, anyhow};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A folder with a `config.json` and the tensors that it describes.
#[derive(Debug)]
pub struct Fixture {
    folder: PathBuf,
    config: Value,
}

impl Fixture {
    /// All fixtures in a folder, by name.
    pub fn all(folder: &Path) -> Result<Vec<Self>> {
        let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        let paths: Result<Vec<_>, _> = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect();
        let mut folders: Vec<_> = paths?.into_iter().filter(|path| path.is_dir()).collect();
        folders.sort();
        folders.into_iter().map(Self::open).collect()
    }

    fn open(folder: PathBuf) -> Result<Self> {
        let path = folder.join("config.json");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let config = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        Ok(Self { folder, config })
    }

    pub fn name(&self) -> &str {
        self.text("name").unwrap_or("a fixture without a name")
    }

    pub fn kind(&self) -> &str {
        self.text("kind").unwrap_or_default()
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.config.get(key)?.as_str()
    }

    /// A part of the configuration.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        let value = self.config.get(key);
        let value = value.with_context(|| format!("config.json has no '{key}'"))?;
        serde_json::from_value(value.clone()).with_context(|| format!("'{key}' in config.json"))
    }

    /// A part of the configuration that not every fixture has.
    pub fn optional<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        match self.config.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.get(key).map(Some),
        }
    }

    /// The weight files: one, or several forms of the same weights.
    pub fn weights(&self) -> Result<Vec<PathBuf>> {
        let files: serde_json::Map<String, Value> = self.get("files")?;
        files
            .iter()
            .filter(|(use_, _)| use_.starts_with("weights"))
            .map(|(use_, name)| {
                let name = name.as_str();
                let name = name.ok_or_else(|| anyhow!("'{use_}' in config.json is no file"))?;
                Ok(self.folder.join(name))
            })
            .collect()
    }

    /// The file of inputs and expected outputs.
    pub fn tensors(&self) -> Result<WeightFile> {
        Ok(WeightFile::open(&self.file("tensors")?)?)
    }

    pub fn file(&self, use_: &str) -> Result<PathBuf> {
        let files: serde_json::Map<String, Value> = self.get("files")?;
        let name = files.get(use_).and_then(Value::as_str);
        let name = name.with_context(|| format!("config.json names no file of {use_}"))?;
        Ok(self.folder.join(name))
    }
}

/// An input tensor on a device.
pub fn input<B: Backend, const AXES: usize>(
    tensors: &WeightFile,
    name: &str,
    device: &B::Device,
) -> Result<Tensor<B, AXES>> {
    Ok(Tensor::from_data(
        tensors.read(name)?.convert::<f32>(),
        device,
    ))
}

pub fn values<T: burn::tensor::Element>(tensors: &WeightFile, name: &str) -> Result<Vec<T>> {
    let values = tensors.read(name)?.convert::<T>().into_vec::<T>();
    values.map_err(|error| anyhow!("{name}: {error:?}"))
}

/// The condition among the inputs, if there is one.
pub fn condition<B: Backend>(tensors: &WeightFile, device: &B::Device) -> Result<Condition<B>> {
    Ok(if tensors.shape("in.context").is_some() {
        Condition::Text(input(tensors, "in.context", device)?)
    } else if tensors.shape("in.y").is_some() {
        let labels = values::<i64>(tensors, "in.y")?;
        let count = labels.len();
        Condition::Class(Tensor::from_data(TensorData::new(labels, [count]), device))
    } else {
        Condition::None
    })
}
