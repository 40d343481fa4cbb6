//! A file of weights of this project's own, whose header says which network it holds.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use adadiff_model::kernels::Kernels;
use adadiff_storage::{StorageError, read_file, sha256_hex};
use adadiff_uem::{AdaDiff, AdaDiffConfig};
use adadiff_weights::native::{load, metadata};

use crate::{PipelineConfig, PipelineError};

/// The key of the preset in the header of a weights file.
pub const PRESET_KEY: &str = "preset";

/// The key of the training phase that the weights come from.
pub const PHASE_KEY: &str = "phase";

/// The phase after which only the backbone is trained, not yet its estimators.
pub const BACKBONE_PHASE: &str = "backbone";

/// Bytes of a parameter in half precision.
const LEAST_BYTES: u64 = 2;

/// A file of weights as `train` and `import` write it, in memory.
#[derive(Debug)]
pub struct NetworkFile {
    path: PathBuf,
    bytes: Vec<u8>,
    header: HashMap<String, String>,
}

impl NetworkFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read or is none of this project's.
    pub fn read(path: &Path) -> Result<Self, PipelineError> {
        let bytes = read_file(path).map_err(StorageError::file("read", path))?;
        Self::new(bytes, path.to_owned())
    }

    /// A file that was read already; `path` is for messages.
    ///
    /// # Errors
    /// Where it is none of this project's.
    pub fn new(bytes: Vec<u8>, path: PathBuf) -> Result<Self, PipelineError> {
        let header = metadata(&bytes, &path)?;
        if !header.contains_key(PRESET_KEY) {
            return Err(PipelineError::NoPreset { path });
        }
        Ok(Self {
            path,
            bytes,
            header,
        })
    }

    /// What the header says of `key`.
    pub fn header(&self, key: &str) -> Option<&str> {
        self.header.get(key).map(String::as_str)
    }

    /// What `parse` makes of the preset in the header.
    ///
    /// # Errors
    /// Where it can make nothing of it.
    pub fn preset<T, E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, PipelineError> {
        let preset = self.header(PRESET_KEY).unwrap_or_default();
        parse(preset).map_err(|error| PipelineError::Preset {
            path: self.path.clone(),
            source: error.into(),
        })
    }

    /// What sampling takes of the preset.
    ///
    /// # Errors
    /// Where that makes no sense.
    pub fn config(&self) -> Result<PipelineConfig, PipelineError> {
        self.preset(|text| -> Result<_, Box<dyn Error + Send + Sync>> {
            let config: PipelineConfig = toml::from_str(text)?;
            config.model.backbone.validate()?;
            config.sampling.validate()?;
            Ok(config)
        })
    }

    /// Checks that the file can hold a network: a damaged preset must not exhaust the memory.
    ///
    /// # Errors
    /// Where it is too small.
    pub fn check_size(&self, model: &AdaDiffConfig) -> Result<(), PipelineError> {
        let parameters = model.backbone.parameters()?;
        if parameters.saturating_mul(LEAST_BYTES) <= self.bytes.len() as u64 {
            return Ok(());
        }
        Err(PipelineError::TooSmall {
            path: self.path.clone(),
            bytes: self.bytes.len(),
            parameters,
        })
    }

    /// Loads the network onto a device.
    ///
    /// # Errors
    /// Where the weights are damaged or are not those of `model`.
    pub fn model<B: Kernels>(
        &self,
        model: &AdaDiffConfig,
        device: &B::Device,
    ) -> Result<AdaDiff<B>, PipelineError> {
        self.check_size(model)?;
        let network = model.init(0, device)?;
        Ok(load(network, self.bytes.clone(), &self.path)?)
    }

    /// Whether the estimators have been trained, so that samples can leave by them.
    pub fn has_trained_estimators(&self) -> bool {
        self.header(PHASE_KEY) != Some(BACKBONE_PHASE)
    }

    /// The SHA-256 of the file.
    pub fn sha256(&self) -> String {
        sha256_hex(&self.bytes)
    }
}
