//! The command `train`: both phases, resumable.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use adadiff_data::{BadImage, Pixels, TrainingSet};
use adadiff_model::kernels::Kernels;
use adadiff_train::weights::{Precision, save};
use adadiff_train::{
    LogLine, Outcome, TrainConfig, TrainObserver, Trainer, trainable, write_atomically,
};
use adadiff_uem::{AdaDiff, Never};
use adadiff_weights::WeightFile;
use anyhow::{Context, Result, bail, ensure};
use burn_autodiff::Autodiff;
use indicatif::ProgressBar;

use crate::checkpoint::{BACKBONE_PHASE, Checkpoint, PHASE_KEY, PRESET_KEY};
use crate::device::DeviceTask;
use crate::prepared::open_latents;
use crate::preset::{Place, Preset};
use crate::progress::steps_bar;
use crate::report::{GridStyle, ImageBatch, image_grid, write_png};
use crate::study::Study;
use crate::surroundings::Surroundings;

/// The file of a phase's averaged weights, in half precision.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// The file of the preset that a run used.
pub const PRESET_FILE: &str = "preset.toml";

/// Samples of a picture that is drawn during training.
const DRAWN_SAMPLES: usize = 40;

/// What to train, on what, and where to put it.
#[derive(Debug)]
pub struct Train<'a> {
    /// The hyperparameters.
    pub preset: Preset,
    /// Where the images lie.
    pub place: Place,
    /// The folder of latents, where training is on them.
    pub latents: Option<PathBuf>,
    /// The weights of the autoencoder, without which no pictures of latents are drawn.
    pub autoencoder: Option<PathBuf>,
    /// Weights that take the place of the first phase's.
    pub backbone: Option<PathBuf>,
    /// Whether the second phase is left out.
    pub backbone_only: bool,
    /// The folder that checkpoints, logs and weights go to.
    pub out: PathBuf,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
}

impl DeviceTask for Train<'_> {
    type Output = ();

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let set = self.training_set()?;
        let [channels, height, width] = set.shape();
        eprintln!(
            "data: {} images of {channels} x {height} x {width}",
            set.len()
        );
        fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot create the folder {}", self.out.display()))?;
        write_atomically(
            &self.out.join(PRESET_FILE),
            self.preset.to_toml()?.as_bytes(),
        )?;

        let start = match &self.backbone {
            Some(path) => self.given(path, &device)?,
            None => {
                let seed = self.preset.backbone_training.seed;
                let start: AdaDiff<Autodiff<B>> = self.preset.model.init(seed, &device)?;
                let phase = self.preset.backbone_training.clone();
                self.phase(BACKBONE_PHASE, phase, start, &set, &device)?
            }
        };
        if self.backbone_only {
            return Ok(());
        }
        // Heads of one's own start from the trained decoder.
        let backbone = start.backbone.clone();
        let start = trainable(start.with_backbone(backbone));
        let joint = self.preset.joint_training.clone();
        self.phase("joint", joint, start, &set, &device)?;
        Ok(())
    }
}

impl Train<'_> {
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
        let config = &self.preset.model;
        let model = || config.init(self.preset.joint_training.seed, device);
        if Checkpoint::is_at(path) {
            let checkpoint = Checkpoint::read(path)?;
            ensure!(
                checkpoint.preset.model.backbone == config.backbone
                    && checkpoint.preset.schedule == self.preset.schedule,
                "{} holds another backbone than the preset '{}' describes, or one that was trained \
                 with another noise schedule",
                path.display(),
                self.preset.name
            );
            return Ok(model()?.with_backbone(checkpoint.model(device)?.backbone));
        }
        let file = WeightFile::open(path)?;
        let mut names = file.tensors().keys();
        if names.any(|name| name.starts_with("lte_classifer.")) {
            return Ok(config.import(&file, device)?);
        }
        let backbone = config.backbone.import(&file, device)?;
        Ok(model()?.with_backbone(backbone))
    }

    /// Trains a phase to its end and gives back its averaged weights.
    fn phase<B: Kernels>(
        &self,
        name: &str,
        config: TrainConfig,
        start: AdaDiff<Autodiff<B>>,
        set: &Arc<dyn TrainingSet>,
        device: &B::Device,
    ) -> Result<AdaDiff<B>> {
        let folder = self.out.join(name);
        let steps = config.steps;
        let model = self.preset.model.clone();
        let schedule = self.preset.schedule.clone();
        let mut trainer =
            Trainer::<Autodiff<B>>::new(config, model, schedule, start, set.clone(), device)?
                .resume(&folder)?;
        let mut progress = Progress::<B>::new(self, name, device, trainer.steps_done(), steps);
        let outcome = trainer.run(&folder, &mut progress)?;
        progress.bar.finish_and_clear();
        if outcome == Outcome::Interrupted {
            bail!(
                "interrupted in phase '{name}' after step {} of {steps}; the same command continues \
                 there",
                trainer.steps_done()
            );
        }
        let metadata = [
            (PHASE_KEY, name.to_owned()),
            ("steps", steps.to_string()),
            (PRESET_KEY, self.preset.to_toml()?),
        ];
        let weights = folder.join(WEIGHTS_FILE);
        save(trainer.average(), Precision::Half, &metadata, &weights)?;
        eprintln!("{name}: done, weights in {}", weights.display());
        Ok(trainer.average().clone())
    }
}

/// The progress of a phase in the terminal, and pictures of it in its folder.
struct Progress<'a, B: Kernels> {
    bar: ProgressBar,
    preset: &'a Preset,
    surroundings: Surroundings,
    folder: PathBuf,
    device: B::Device,
    stop: &'a AtomicBool,
}

impl<'a, B: Kernels> Progress<'a, B> {
    fn new(train: &'a Train<'_>, name: &str, device: &B::Device, done: u64, steps: u64) -> Self {
        let bar = steps_bar(steps).with_prefix(format!("{name} "));
        bar.set_position(done);
        bar.reset_eta();
        let surroundings = Surroundings {
            autoencoder: train.autoencoder.clone(),
            latents: train.latents.clone(),
            ..Surroundings::default()
        };
        Self {
            bar,
            preset: &train.preset,
            surroundings,
            folder: train.out.join(name).join("samples"),
            device: device.clone(),
            stop: train.stop,
        }
    }

    /// Draws samples of all classes with the full network into a picture.
    fn draw(&self, step: u64, model: &AdaDiff<B>) -> Result<()> {
        let study = Study::of_model(
            model.clone(),
            self.preset.clone(),
            self.device.clone(),
            self.stop,
        );
        let study = self.surroundings.place(study, &self.device)?;
        let draw = study.plan(DRAWN_SAMPLES)?;
        let drawn = study.draw(Never, &draw, &ProgressBar::hidden())?;
        let [channels, height, width] = study.image_shape();
        let shape = [DRAWN_SAMPLES, channels, height, width];
        let style = GridStyle {
            columns: 10,
            ..GridStyle::default()
        };
        let grid = image_grid(&ImageBatch::new(&drawn.pixels, shape)?, style)?;
        fs::create_dir_all(&self.folder)?;
        write_png(&self.folder.join(format!("step-{step:010}.png")), &grid)?;
        Ok(())
    }
}

impl<B: Kernels> TrainObserver<Autodiff<B>> for Progress<'_, B> {
    fn step(&mut self, step: u64, _steps: u64) -> ControlFlow<()> {
        self.bar.set_position(step);
        match self.stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn line(&mut self, line: &LogLine) {
        self.bar.set_message(format!(
            "loss {:.4}, {:.0} images/s",
            line.total, line.images_per_second
        ));
    }

    fn skipped(&mut self, image: &BadImage) {
        self.bar.suspend(|| eprintln!("left out: {image}"));
    }

    fn sample(&mut self, step: u64, average: &AdaDiff<B>) {
        // A picture that cannot be drawn is no reason to lose a training.
        if let Err(error) = self.draw(step, average) {
            self.bar
                .suspend(|| eprintln!("no samples of step {step}: {error:#}"));
        }
    }
}
