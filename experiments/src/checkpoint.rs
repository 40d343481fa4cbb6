//! A trained network on disk: its weights, the preset it was trained with, and its thresholds.

use std::fs;
use std::path::{Path, PathBuf};

use adadiff_model::kernels::Kernels;
use adadiff_train::weights::{load, metadata};
use adadiff_uem::AdaDiff;
use anyhow::{Context, Result, anyhow, ensure};

use crate::calibrations::Calibrations;
use crate::methods::Companion;
use crate::metrics_tool::of_bytes;
use crate::preset::Preset;

/// The key of the preset in the header of a weights file.
pub const PRESET_KEY: &str = "preset";

/// The key of the training phase that the weights come from.
pub const PHASE_KEY: &str = "phase";

/// The phase after which only the backbone is trained, not yet its estimators.
pub const BACKBONE_PHASE: &str = "backbone";

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
    /// Second networks that lie beside it, for methods that need one.
    pub companions: Vec<(Companion, Checkpoint)>,
    bytes: Vec<u8>,
}

impl Checkpoint {
    /// The checkpoint that comes with this program.
    ///
    /// # Errors
    /// Never, unless a file in the repository was broken.
    pub fn bundled() -> Result<Self> {
        let bytes = include_bytes!("../assets/fashion_mnist/weights.safetensors");
        let calibrations = include_str!("../assets/fashion_mnist/calibration.json");
        let path = PathBuf::from("the bundled checkpoint");
        Self::new(
            bytes.to_vec(),
            Calibrations::parse(calibrations, &path)?,
            path,
        )
    }

    /// Reads a weights file and, where they lie beside it, its calibration and second networks.
    ///
    /// # Errors
    /// Where a file cannot be read or is not what it should be.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path)
            .with_context(|| format!("cannot read the checkpoint {}", path.display()))?;
        let calibrations = Calibrations::read(&Calibrations::path_beside(path))?;
        let mut checkpoint = Self::new(bytes, calibrations, path.to_owned())?;
        for companion in Companion::ALL {
            let beside = companion.path_beside(path);
            if beside != path && beside.exists() {
                let bytes = fs::read(&beside)
                    .with_context(|| format!("cannot read the checkpoint {}", beside.display()))?;
                let second = Self::new(bytes, Calibrations::default(), beside)?;
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

    fn new(bytes: Vec<u8>, calibrations: Calibrations, path: PathBuf) -> Result<Self> {
        let metadata = metadata(&bytes, &path)?;
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
            companions: Vec::new(),
            bytes,
        })
    }

    /// The SHA-256 of the weights' file.
    pub fn sha256(&self) -> String {
        of_bytes(&self.bytes)
    }

    /// Loads the network onto a device.
    ///
    /// # Errors
    /// Where the weights are damaged or do not fit the preset.
    pub fn model<B: Kernels>(&self, device: &B::Device) -> Result<AdaDiff<B>> {
        let model = self.preset.model.init(0, device)?;
        Ok(load(model, self.bytes.clone(), &self.path)?)
    }
}
