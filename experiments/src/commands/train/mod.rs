//! The command `train`: both phases, resumable.

mod judging;
mod progress;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use adadiff_backends::DevicesTask;
use adadiff_data::{Pixels, TrainingSet};
use adadiff_model::kernels::Kernels;
use adadiff_storage::write_atomically;
use adadiff_train::weights::{Precision, save};
use adadiff_train::{Node, Outcome, TrainConfig, Trainer, Workers, trainable};
use adadiff_uem::AdaDiff;
use adadiff_weights::WeightFile;
use anyhow::{Context, Result, bail, ensure};
use burn_autodiff::Autodiff;

use crate::checkpoint::components::Surroundings;
use crate::checkpoint::latents::{autoencoder_of, open_latents};
use crate::checkpoint::{
    AUTOENCODER_KEY, BACKBONE_PHASE, Checkpoint, JOINT_PHASE, PHASE_KEY, PRESET_KEY, STEPS_KEY,
    published,
};
use crate::judge::JudgeOptions;
use crate::presets::{Place, Preset};
use judging::{Best, Jury};
use progress::Progress;

/// The file of a phase's averaged weights, in half precision.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// The file of the preset that a run used.
pub const PRESET_FILE: &str = "preset.toml";

/// What to train, on what, and where to put it.
#[derive(Debug)]
pub struct Train<'a> {
    /// The hyperparameters.
    pub preset: Preset,
    /// Where the images lie.
    pub place: Place,
    /// The folder of latents, where training is on them.
    pub latents: Option<PathBuf>,
    /// The weights of the autoencoder, without which no pictures of latents are drawn or judged.
    pub autoencoder: Option<PathBuf>,
    /// What samples are judged by during training, where the preset asks for it.
    pub judge: JudgeOptions,
    /// Whether they must be judged: the command line asks for it, not the preset alone.
    pub must_judge: bool,
    /// Weights that take the place of the first phase's.
    pub backbone: Option<PathBuf>,
    /// Whether the second phase is left out.
    pub backbone_only: bool,
    /// Which of several processes this is, where they share the training.
    pub node: Option<Node>,
    /// The folder that checkpoints, logs and weights go to.
    pub out: PathBuf,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
}

impl DevicesTask for Train<'_> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, devices: &[B::Device]) -> Result<()> {
        let Some(device) = devices.first() else {
            bail!("name a device to train on");
        };
        let set = self.training_set()?;
        let jury = match self.leads() {
            true => Jury::<B>::of(&self, device)?,
            false => None,
        };
        let [channels, height, width] = set.shape();
        eprintln!(
            "data: {} images of {channels} x {height} x {width}",
            set.len()
        );
        if self.leads() {
            fs::create_dir_all(&self.out)
                .with_context(|| format!("cannot create the folder {}", self.out.display()))?;
            write_atomically(
                &self.out.join(PRESET_FILE),
                self.preset.to_toml()?.as_bytes(),
            )?;
        }

        let start = match &self.backbone {
            Some(path) => self.given(path, device)?,
            None => {
                let seed = self.preset.backbone_training.seed;
                let start: AdaDiff<Autodiff<B>> = self.preset.model.init(seed, device)?;
                let phase = &self.preset.backbone_training;
                self.phase(BACKBONE_PHASE, phase, start, &set, jury.as_ref(), devices)?
            }
        };
        if self.backbone_only {
            return Ok(());
        }
        let joint = &self.preset.joint_training;
        // Heads of one's own start from the trained decoder.
        let backbone = start.backbone.clone();
        let start = trainable(start.with_backbone(backbone));
        self.phase(JOINT_PHASE, joint, start, &set, jury.as_ref(), devices)?;
        Ok(())
    }
}

impl Train<'_> {
    /// Whether this process writes what the training gives.
    fn leads(&self) -> bool {
        self.node.as_ref().is_none_or(|node| node.rank == 0)
    }

    fn training_set(&self) -> Result<Arc<dyn TrainingSet>> {
        match (&self.latents, self.preset.latents) {
            (Some(folder), _) => open_latents(folder, &self.preset),
            (None, None) => Ok(Arc::new(Pixels(self.preset.data.open(&self.place)?))),
            (None, Some(_)) => bail!(
                "the preset '{}' trains on latents: name a folder that `prepare` wrote, or one of \
                 U-ViT's .npy files, with --latents",
                self.preset.name
            ),
        }
    }

    /// The backbone of weights that this program or others wrote, with untrained estimators, or a
    /// published AdaDiff whole.
    fn given<B: Kernels>(&self, path: &Path, device: &B::Device) -> Result<AdaDiff<B>> {
        if !Checkpoint::is_at(path) {
            return published::load(&WeightFile::open(path)?, &self.preset, device);
        }
        let config = &self.preset.model;
        let checkpoint = Checkpoint::read(path, None, &[])?;
        ensure!(
            checkpoint.preset.model.backbone == config.backbone
                && checkpoint.preset.schedule == self.preset.schedule,
            "{} holds another backbone than the preset '{}' describes, or one that was trained \
             with another noise schedule",
            path.display(),
            self.preset.name
        );
        let model: AdaDiff<B> = config.init(self.preset.joint_training.seed, device)?;
        Ok(model.with_backbone(checkpoint.model(device)?.backbone))
    }

    /// Trains a phase to its end and gives back its averaged weights.
    fn phase<B: Kernels>(
        &self,
        name: &str,
        config: &TrainConfig,
        start: AdaDiff<Autodiff<B>>,
        set: &Arc<dyn TrainingSet>,
        jury: Option<&Jury<B>>,
        devices: &[B::Device],
    ) -> Result<AdaDiff<B>> {
        let folder = self.out.join(name);
        let steps = config.steps;
        let model = self.preset.model.clone();
        let schedule = self.preset.schedule.clone();
        let device = &devices[0];
        let trainer = Trainer::new(config.clone(), model, schedule, start, set.clone(), device)?
            .resume(&folder)?;
        let done = trainer.steps_done();
        let best = match (jury, config.judge) {
            (Some(jury), Some(judge)) => Some(Best::find(jury, self, name, judge, done)?),
            _ => None,
        };
        let mut progress = Progress::new(self, name, device, best, done, steps);
        let (outcome, done, average) = match devices {
            [_] => {
                let mut trainer = trainer;
                let outcome = match &self.node {
                    Some(node) => trainer.run_as(node, &folder, &mut progress)?,
                    None => trainer.run(&folder, &mut progress)?,
                };
                (outcome, trainer.steps_done(), trainer.average().clone())
            }
            _ => {
                let mut workers = Workers::new(trainer, devices)?;
                let outcome = workers.run(&folder, &mut progress)?;
                (outcome, workers.steps_done(), workers.average().clone())
            }
        };
        progress.finish();
        if outcome == Outcome::Interrupted {
            bail!(
                "interrupted in phase '{name}' after step {done} of {steps}; the same command \
                 continues there"
            );
        }
        if !self.leads() {
            return Ok(average);
        }
        let mut metadata = self.metadata(name)?;
        metadata.push((STEPS_KEY, steps.to_string()));
        let weights = folder.join(WEIGHTS_FILE);
        save(&average, Precision::Half, &metadata, &weights)?;
        eprintln!("{name}: done, weights in {}", weights.display());
        Ok(average)
    }

    /// What the header of a phase's weights tells.
    fn metadata(&self, phase: &str) -> Result<Vec<(&'static str, String)>> {
        let mut metadata = vec![
            (PHASE_KEY, phase.to_owned()),
            (PRESET_KEY, self.preset.to_toml()?),
        ];
        if let Some(folder) = &self.latents {
            metadata.extend(autoencoder_of(folder)?.map(|sha256| (AUTOENCODER_KEY, sha256)));
        }
        Ok(metadata)
    }

    /// What stands before and behind the network.
    fn surroundings(&self) -> Surroundings {
        Surroundings {
            autoencoder: self.autoencoder.clone(),
            latents: self.latents.clone(),
            ..Surroundings::default()
        }
    }
}
