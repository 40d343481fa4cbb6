//! A trained network on disk: its weights, the preset it was trained with, and its thresholds.

mod baseline_network;
pub mod components;
pub mod latents;
pub mod networks;
pub mod published;
pub mod text_encoder;

use std::fs;
use std::path::{Path, PathBuf};

use adadiff_model::kernels::Kernels;
use adadiff_storage::{sha256_file, sha256_hex};
use adadiff_train::weights::{load, metadata};
use adadiff_uem::AdaDiff;
use adadiff_weights::WeightFile;
use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::calibrations::Calibrations;
use crate::presets::Preset;
use published::{Published, predicts_noise};

pub use baseline_network::{Companion, CompanionNetwork, Companions};

/// The key of the preset in the header of a weights file.
pub const PRESET_KEY: &str = "preset";

/// The key of the training phase that the weights come from.
pub const PHASE_KEY: &str = "phase";

/// The key of the number of steps that the weights were trained for.
pub const STEPS_KEY: &str = "steps";

/// The phase after which only the backbone is trained, not yet its estimators.
pub const BACKBONE_PHASE: &str = "backbone";

/// The phase after which the estimators are trained too.
pub const JOINT_PHASE: &str = "joint";

/// The key of the SHA-256 of the autoencoder's weights that a network's latents were made with.
pub const AUTOENCODER_KEY: &str = "autoencoder_sha256";

/// Bytes of a parameter in half precision.
const LEAST_BYTES: u64 = 2;

/// A trained network, not yet on a device.
#[derive(Debug)]
pub struct Checkpoint {
    /// The preset that it was trained with.
    pub preset: Preset,
    /// Its thresholds, where some were calibrated.
    pub calibrations: Calibrations,
    /// Where it came from.
    pub path: PathBuf,
    /// Whether its estimators have been trained, so that samples can leave by them.
    pub trained_estimators: bool,
    /// The autoencoder that its latents were made with, where the file tells.
    pub autoencoder_sha256: Option<String>,
    /// Second networks that lie beside it, for methods that need one.
    pub companions: Vec<(Companion, Checkpoint)>,
    weights: Weights,
}

/// Where the weights are.
#[derive(Debug)]
enum Weights {
    /// In memory, as `train` and `import` write them.
    Own(Vec<u8>),
    /// In the published file.
    Published,
}

impl Checkpoint {
    /// The checkpoint that comes with this program.
    ///
    /// # Errors
    /// Never, unless a file in the repository was broken.
    pub fn bundled() -> Result<Self> {
        let bytes = include_bytes!("../../assets/fashion_mnist/weights.safetensors");
        let calibrations = include_str!("../../assets/fashion_mnist/calibration.json");
        let path = PathBuf::from("the bundled checkpoint");
        Self::own(
            bytes.to_vec(),
            Calibrations::parse(calibrations, &path)?,
            path,
        )
    }

    /// Reads a weights file and, where they lie beside it, its calibration and second networks. The
    /// file is one that `train` or `import` wrote, or a published one, for `preset` or, where there
    /// is none, the one of `known` with its network.
    ///
    /// # Errors
    /// Where a file cannot be read or is not what it should be.
    pub fn read(path: &Path, preset: Option<&Preset>, known: &[Preset]) -> Result<Self> {
        let calibrations = Calibrations::read(&Calibrations::path_beside(path))?;
        let bytes = fs::read(path)
            .with_context(|| format!("cannot read the checkpoint {}", path.display()))?;
        let is_own = metadata(&bytes, path).is_ok_and(|found| found.contains_key(PRESET_KEY));
        let published = match is_own {
            true => {
                ensure!(
                    preset.is_none(),
                    "{} says which preset it was trained with; --preset is for published weights",
                    path.display()
                );
                None
            }
            false => published_file(&bytes, path)?,
        };
        let mut checkpoint = match published {
            Some(file) => {
                let published = Published {
                    file: &file,
                    preset,
                    known,
                    heads: None,
                    text_tokens: None,
                };
                Self::published(published, calibrations, path)?
            }
            None => Self::own(bytes, calibrations, path.to_owned())?,
        };
        for companion in Companion::ALL {
            let beside = companion.path_beside(path);
            if beside != path && beside.exists() {
                let bytes = fs::read(&beside)
                    .with_context(|| format!("cannot read the checkpoint {}", beside.display()))?;
                let second = Self::own(bytes, Calibrations::default(), beside)?;
                checkpoint.companions.push((companion, second));
            }
        }
        Ok(checkpoint)
    }

    /// Whether `path` is a file of this project's own with a preset in its header.
    pub fn is_at(path: &Path) -> bool {
        let header = fs::read(path)
            .ok()
            .and_then(|bytes| metadata(&bytes, path).ok());
        header.is_some_and(|header| header.contains_key(PRESET_KEY))
    }

    fn published(
        published: Published<'_>,
        calibrations: Calibrations,
        path: &Path,
    ) -> Result<Self> {
        let found = published.recognise()?;
        for note in &found.notes {
            eprintln!("{note}");
        }
        Ok(Self {
            preset: found.preset,
            calibrations,
            path: path.to_owned(),
            trained_estimators: found.has_estimators,
            autoencoder_sha256: None,
            companions: Vec::new(),
            weights: Weights::Published,
        })
    }

    fn own(bytes: Vec<u8>, calibrations: Calibrations, path: PathBuf) -> Result<Self> {
        let mut metadata = metadata(&bytes, &path)?;
        let preset = metadata.get(PRESET_KEY).ok_or_else(|| {
            anyhow!(
                "{} does not say which network it holds: it was not written by this program's \
                 `train`",
                path.display()
            )
        })?;
        let preset = Preset::parse(preset)
            .with_context(|| format!("the preset inside {} is not usable", path.display()))?;
        // Asked before the network is built: a damaged preset must not exhaust the memory.
        let parameters = preset.model.backbone.parameters()?;
        ensure!(
            parameters.saturating_mul(LEAST_BYTES) <= bytes.len() as u64,
            "{} has {} bytes, too few for the {parameters} parameters of the network that its \
             preset describes",
            path.display(),
            bytes.len()
        );
        Ok(Self {
            preset,
            calibrations,
            path,
            trained_estimators: metadata
                .get(PHASE_KEY)
                .is_none_or(|phase| phase != BACKBONE_PHASE),
            autoencoder_sha256: metadata.remove(AUTOENCODER_KEY),
            companions: Vec::new(),
            weights: Weights::Own(bytes),
        })
    }

    /// The SHA-256 of the weights' file.
    ///
    /// # Errors
    /// Where a published file can no longer be read.
    pub fn sha256(&self) -> Result<String> {
        match &self.weights {
            Weights::Own(bytes) => Ok(sha256_hex(bytes)),
            Weights::Published => Ok(sha256_file(&self.path)?),
        }
    }

    /// Loads the network onto a device.
    ///
    /// # Errors
    /// Where the weights are damaged or do not fit the preset.
    pub fn model<B: Kernels>(&self, device: &B::Device) -> Result<AdaDiff<B>> {
        match &self.weights {
            Weights::Own(bytes) => {
                let model = self.preset.model.init(0, device)?;
                Ok(load(model, bytes.clone(), &self.path)?)
            }
            Weights::Published => {
                published::load(&WeightFile::open(&self.path)?, &self.preset, device)
            }
        }
    }
}

/// The published weights of a network that predicts noise, where the file holds such.
fn published_file(bytes: &[u8], path: &Path) -> Result<Option<WeightFile>> {
    match WeightFile::open(path) {
        Ok(file) if predicts_noise(&file) => Ok(Some(file)),
        // An archive or a pickle is PyTorch's, and what is wrong with it is told as such.
        Ok(_) if metadata(bytes, path).is_err() => {
            bail!("{} holds no U-ViT and no AdaDiff", path.display())
        }
        Err(error) if bytes.starts_with(b"PK") || bytes.starts_with(&[0x80]) => Err(error.into()),
        // Other files are complained of as this project's own.
        Ok(_) | Err(_) => Ok(None),
    }
}
