//! A phase of a training.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adadiff_data::TrainingSet;
use adadiff_model::kernels::Kernels;
use adadiff_train::{TrainConfig, TrainError, TrainOutcome, Trainer, has_checkpoint};
use adadiff_uem::AdaDiff;
use adadiff_weights::native::{WeightPrecision, save};
use anyhow::{Result, anyhow, bail};
use burn_autodiff::Autodiff;

use super::progress::Progress;
use super::validation::{BestCheckpoint, Validator};
use super::{Train, WEIGHTS_FILE};
use crate::checkpoint::{BACKBONE_PHASE, STEPS_KEY};
use crate::terminal::note_line;

/// A phase at the step that it goes on from. Until it runs, nothing in its folder is changed.
pub(super) struct Phase<'a, B: Kernels> {
    train: &'a Train<'a>,
    name: &'static str,
    config: &'a TrainConfig,
    folder: PathBuf,
    trainer: Trainer<Autodiff<B>>,
}

impl<'a, B: Kernels> Phase<'a, B> {
    /// The phase `name` from the weights of `start`, or from its latest checkpoint.
    ///
    /// # Errors
    /// Where the checkpoint is one of another run, or other processes train something else.
    pub fn open(
        train: &'a Train<'a>,
        name: &'static str,
        start: AdaDiff<Autodiff<B>>,
        set: &Arc<dyn TrainingSet>,
        device: &B::Device,
    ) -> Result<Self> {
        let preset = &train.preset;
        let config = match name {
            BACKBONE_PHASE => &preset.backbone_training,
            _ => &preset.joint_training,
        };
        let folder = train.out.join(name);
        let (model, schedule) = (preset.model.clone(), preset.schedule.clone());
        let trainer = Trainer::new(config.clone(), model, schedule, start, set.clone(), device)?;
        let trainer = if train.change_optimizer {
            trainer.resume_changed(&folder)?
        } else {
            trainer.resume(&folder)?
        };
        trainer.ensure_same(train.processes)?;
        Ok(Self {
            train,
            name,
            config,
            folder,
            trainer,
        })
    }

    /// Its averaged weights, where all its steps are done.
    pub fn finished(&self) -> Option<AdaDiff<B>> {
        let is_done = self.trainer.steps_done() == self.config.steps;
        is_done.then(|| self.trainer.average().clone())
    }

    /// The best weights so far, where samples are judged.
    ///
    /// # Errors
    /// As [`BestCheckpoint::find`].
    pub fn best<'v>(&self, validator: &'v Validator<B>) -> Result<Option<BestCheckpoint<'v, B>>> {
        let done = self.trainer.steps_done();
        let find = |judge| BestCheckpoint::find(validator, self.train, self.name, judge, done);
        self.config.judge.map(find).transpose()
    }

    /// Trains it to its end and gives back its averaged weights.
    pub fn run(self, validator: Option<&Validator<B>>, device: &B::Device) -> Result<AdaDiff<B>> {
        let best = match validator {
            Some(validator) => self.best(validator)?,
            None => None,
        };
        let Self {
            train,
            name,
            config,
            folder,
            mut trainer,
        } = self;
        let steps = config.steps;
        let done = trainer.steps_done();
        if let Some(best) = best.as_ref().filter(|_| done == 0) {
            best.remove()?;
        }
        let mut progress = Progress::new(train, name, device, best, done, steps);
        let outcome = trainer
            .run_as(train.processes, &folder, &mut progress)
            .map_err(|error| advise(error, name, config, &folder))?;
        let (done, average) = (trainer.steps_done(), trainer.average().clone());
        progress.finish();
        if outcome == TrainOutcome::Interrupted {
            bail!(
                "interrupted in phase '{name}' after step {done} of {steps}; the same command \
                 continues there"
            );
        }
        if !train.processes.leads() {
            return Ok(average);
        }
        let mut metadata = train.metadata(name)?;
        metadata.push((STEPS_KEY, steps.to_string()));
        let weights = folder.join(WEIGHTS_FILE);
        save(&average, WeightPrecision::Half, &metadata, &weights)?;
        note_line(format_args!(
            "{name}: done, weights in {}",
            weights.display()
        ));
        Ok(average)
    }
}

/// What to do about a training that has diverged.
fn advise(error: TrainError, name: &str, config: &TrainConfig, folder: &Path) -> anyhow::Error {
    if !matches!(error, TrainError::Diverged { .. }) {
        return error.into();
    }
    let lower = format!(
        "--set {name}_training.learning_rate={}",
        config.learning_rate / 10.0
    );
    match has_checkpoint(folder) {
        Ok(true) => anyhow!(
            "{error}. The checkpoints in {} are of steps before: the same command with \
             --change-optimizer {lower} continues from the last one; where that one is too far gone \
             already, remove it to continue from the one before",
            folder.display()
        ),
        _ => anyhow!("{error}, before the first checkpoint: start again with {lower}"),
    }
}
