//! A trained network on disk: its weights, the preset it was trained with, and its thresholds.

mod baseline_network;
pub mod components;
pub mod latents;
mod load;
pub mod published;
pub mod text_encoder;

use std::path::{Path, PathBuf};

use adadiff_model::kernels::Kernels;
pub use adadiff_pipeline::{BACKBONE_PHASE, PHASE_KEY, PRESET_KEY};
use adadiff_pipeline::{CalibrationFile, NetworkFile, SamplingConfig};
use adadiff_sampler::SolverConfig;
use adadiff_storage::{read_file, sha256_file};
use adadiff_uem::AdaDiff;
use anyhow::{Context, Result, bail, ensure};

use adadiff_weights::native::metadata;
use adadiff_weights::{WeightError, WeightFile, WeightFormat};

use crate::networks::part_note;
use crate::presets::{Preset, Protocol};
use crate::terminal::note;

pub use baseline_network::{BaselineNetwork, BaselineNetworks, LoadedBaseline};
pub use load::LoadedCheckpoint;
use published::{PublishedCheckpoint, noise_predictor};

/// The key of the number of steps that the weights were trained for.
pub const STEPS_KEY: &str = "steps";

/// The phase after which the estimators are trained too.
pub const JOINT_PHASE: &str = "joint";

/// The key of the SHA-256 of the autoencoder's weights that a network's latents were made with.
pub const AUTOENCODER_KEY: &str = "autoencoder_sha256";

/// A trained network, not yet on a device.
#[derive(Debug)]
pub struct Checkpoint {
    /// The preset that it was trained with.
    pub preset: Preset,
    /// What lies in the file of calibrations beside it, of these weights and maybe of others.
    pub calibrations: CalibrationFile,
    /// The solver of calibrations that do not tell theirs: that of the weights' own preset.
    pub calibrated_solver: SolverConfig,
    /// Solver steps of the weights' own preset.
    pub own_steps: usize,
    /// The SHA-256 of the weights' file.
    pub sha256: String,
    pub path: PathBuf,
    /// Whether its estimators have been trained, so that samples can leave by them.
    pub trained_estimators: bool,
    /// The autoencoder that its latents were made with, where the file tells.
    pub autoencoder_sha256: Option<String>,
    /// Second networks that lie beside it, for methods that need one.
    pub baselines: Vec<(BaselineNetwork, Checkpoint)>,
    weights: Weights,
}

#[derive(Debug)]
enum Weights {
    /// In memory, as `train` and `import` write them.
    Own(NetworkFile),
    PublishedCheckpoint,
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
        let calibrations = CalibrationFile::parse(calibrations, &path)?;
        let mut checkpoint = Self::own(bytes.to_vec(), calibrations, path)?;
        // The header tells how the weights were trained; the preset, how one best draws from them now.
        checkpoint.preset.sampling = Preset::fashion_mnist()?.sampling;
        Ok(checkpoint)
    }

    /// All checkpoints that come with this program.
    ///
    /// # Errors
    /// As [`Self::bundled`].
    pub fn all_bundled() -> Result<Vec<Self>> {
        Ok(vec![Self::bundled()?])
    }

    /// Reads a weights file and, where they lie beside it, its calibration and second networks. The
    /// file is one that `train` or `import` wrote, or a published one, for `preset` or, where there
    /// is none, the one of `known` with its network.
    ///
    /// # Errors
    /// Where a file cannot be read or is not what it should be.
    pub fn read(path: &Path, preset: Option<&Preset>, known: &[Preset]) -> Result<Self> {
        let calibrations = CalibrationFile::read(&CalibrationFile::path_beside(path))?;
        let bytes = read_file(path)
            .with_context(|| format!("cannot read the checkpoint {}", path.display()))?;
        let is_own = metadata(&bytes, path).is_ok_and(|found| found.contains_key(PRESET_KEY));
        let published = if is_own {
            ensure!(
                preset.is_none(),
                "{} says which preset it was trained with; --preset is for published weights",
                path.display()
            );
            None
        } else {
            published_file(&bytes, path)?
        };
        let mut checkpoint = match published {
            Some(file) => {
                let published = PublishedCheckpoint {
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
        for baseline in BaselineNetwork::ALL {
            let beside = baseline.path_beside(path);
            if beside != path && beside.exists() {
                let bytes = read_file(&beside)
                    .with_context(|| format!("cannot read the checkpoint {}", beside.display()))?;
                let second = Self::own(bytes, CalibrationFile::default(), beside)?;
                checkpoint.baselines.push((baseline, second));
            }
        }
        Ok(checkpoint)
    }

    /// Whether `path` is a file of this project's own with a preset in its header.
    pub fn is_at(path: &Path) -> bool {
        let header = read_file(path)
            .ok()
            .and_then(|bytes| metadata(&bytes, path).ok());
        header.is_some_and(|header| header.contains_key(PRESET_KEY))
    }

    fn published(
        published: PublishedCheckpoint<'_>,
        calibrations: CalibrationFile,
        path: &Path,
    ) -> Result<Self> {
        let found = published.recognise()?;
        for note in part_note(published.file).iter().chain(&found.notes) {
            note!("{note}");
        }
        Ok(Self {
            calibrated_solver: found.preset.sampling.solver,
            own_steps: found.preset.sampling.steps,
            preset: found.preset,
            calibrations,
            sha256: sha256_file(path)?,
            path: path.to_owned(),
            trained_estimators: found.has_estimators,
            autoencoder_sha256: None,
            baselines: Vec::new(),
            weights: Weights::PublishedCheckpoint,
        })
    }

    fn own(bytes: Vec<u8>, calibrations: CalibrationFile, path: PathBuf) -> Result<Self> {
        let file = NetworkFile::new(bytes, path.clone())?;
        let preset = file.preset(Preset::parse)?;
        // Asked before the network is built.
        file.check_size(&preset.model)?;
        Ok(Self {
            calibrated_solver: preset.sampling.solver,
            own_steps: preset.sampling.steps,
            preset,
            calibrations,
            sha256: file.sha256(),
            path,
            trained_estimators: file.has_trained_estimators(),
            autoencoder_sha256: file.header(AUTOENCODER_KEY).map(str::to_owned),
            baselines: Vec::new(),
            weights: Weights::Own(file),
        })
    }

    /// The solver and its steps, where they are not those of the weights' own preset.
    pub fn protocol(&self) -> Option<Protocol> {
        let SamplingConfig { solver, steps, .. } = self.preset.sampling;
        let own = (solver, steps) == (self.calibrated_solver, self.own_steps);
        (!own).then(|| Protocol {
            solver: solver.name().to_owned(),
            steps,
        })
    }

    /// The preset with the solver and the steps of the weights' own.
    pub fn preset_of_own_protocol(&self) -> Preset {
        let mut preset = self.preset.clone();
        preset.sampling.solver = self.calibrated_solver;
        preset.sampling.steps = self.own_steps;
        preset
    }

    /// Loads the network onto a device.
    ///
    /// # Errors
    /// Where the weights are damaged or do not fit the preset.
    pub fn model<B: Kernels>(&self, device: &B::Device) -> Result<AdaDiff<B>> {
        match &self.weights {
            Weights::Own(file) => Ok(file.model(&self.preset.model, device)?),
            Weights::PublishedCheckpoint => {
                published::load(&WeightFile::open(&self.path)?, &self.preset, device)
            }
        }
    }
}

/// The published weights of a network that predicts noise, where the file holds such.
fn published_file(bytes: &[u8], path: &Path) -> Result<Option<WeightFile>> {
    let file = match WeightFile::open(path) {
        Ok(file) => file,
        Err(error @ WeightError::Piece { .. }) => return Err(error.into()),
        // An archive or a pickle is PyTorch's, and what is wrong with it is told as such.
        Err(error) if bytes.starts_with(b"PK") || bytes.starts_with(&[0x80]) => {
            return Err(error.into());
        }
        // Other files are complained of as this project's own.
        Err(_) => return Ok(None),
    };
    match noise_predictor(&file)? {
        None if file.format() != WeightFormat::Safetensors => {
            bail!("{} holds no U-ViT and no AdaDiff", path.display())
        }
        found => Ok(found),
    }
}
