//! What a training saves, and what it takes to go on from there.

use std::path::Path;

use adadiff_model::kernels::Kernels;
use burn::module::Module;
use burn::optim::Optimizer;
use burn::tensor::backend::AutodiffBackend;

use super::{CHECKPOINTS, Trainer};
use crate::checkpoint::{self, TrainState};
use crate::digest::{check_half, weights_sha256};
use crate::{Communicator, TrainError};

impl<B> Trainer<B>
where
    B: AutodiffBackend + Kernels,
    B::InnerBackend: Kernels,
{
    /// Continues from the latest checkpoint in `folder`, if there is one.
    ///
    /// # Errors
    /// Where the checkpoint is damaged or belongs to a run with other settings, data or start
    /// weights, or holds more steps than are asked for; nothing in `folder` is then changed. The
    /// numbers of steps and of images that may be bad, and how often something is logged, saved or
    /// judged, may change.
    pub fn resume(self, folder: &Path) -> Result<Self, TrainError> {
        self.resume_with(folder, false)
    }

    /// [`Self::resume`] where learning rate, its warm-up and cool-down, betas, epsilon, weight decay
    /// and clipping may have changed, too: for a training that has diverged.
    ///
    /// # Errors
    /// As [`Self::resume`].
    pub fn resume_changed(self, folder: &Path) -> Result<Self, TrainError> {
        self.resume_with(folder, true)
    }

    fn resume_with(mut self, folder: &Path, optimizer: bool) -> Result<Self, TrainError> {
        let checkpoints = folder.join(CHECKPOINTS);
        let Some((state, files)) = checkpoint::latest::<TrainState>(&checkpoints)? else {
            return Ok(self);
        };
        let state = TrainState {
            config: state.config.changed_to(&self.config, optimizer),
            ..state
        };
        if let Some(difference) = self.difference(&state) {
            return Err(TrainError::OtherRun {
                path: checkpoints,
                difference,
            });
        }
        if state.step > self.config.steps {
            return Err(TrainError::MoreStepsDone {
                path: checkpoints,
                done: state.step,
                steps: self.config.steps,
            });
        }
        let model = self
            .model
            .load_record(files.read("model.bin", &self.device)?);
        self.model = self.config.trained.freeze(model);
        self.average = self
            .average
            .load_record(files.read("average.bin", &self.device)?);
        self.optimizer = self
            .optimizer
            .load_record(files.read("optimizer.bin", &self.device)?);
        self.step = state.step;
        self.losses = state.losses;
        self.loss_scale = state.loss_scale;
        self.check_weights().map_err(|error| {
            checkpoint::unusable(
                &files.folder,
                format!("{error}. Remove it to continue from the checkpoint before it"),
            )
        })?;
        Ok(self)
    }

    /// What keeps this run from continuing another one, whose settings are [`TrainConfig::changed_to`] its own.
    fn difference(&self, state: &TrainState) -> Option<String> {
        if self.config != state.config {
            return Some(format!(
                "its training settings were {:?}, now they are {:?}",
                state.config, self.config
            ));
        }
        let model = serde_json::to_value(&self.model_config).unwrap_or_default();
        if model != state.model {
            return Some(format!(
                "its network was {}, now it is {model}",
                state.model
            ));
        }
        if self.schedule_config != state.schedule {
            return Some(format!(
                "its noise schedule was {:?}, now it is {:?}",
                state.schedule, self.schedule_config
            ));
        }
        let length = self.set.len();
        if state.dataset_length != length {
            return Some(format!(
                "its data set had {} images, now it has {length}",
                state.dataset_length
            ));
        }
        let differs = |then: &Option<String>, now: &str, what: &str| {
            let then = then.as_deref().filter(|&then| then != now)?;
            Some(format!("{what} had the SHA-256 {then}, now it is {now}"))
        };
        differs(
            &state.data_sha256,
            &self.data_sha256,
            "its data set, of as many images with other names or contents,",
        )
        .or_else(|| {
            differs(
                &state.start_sha256,
                &self.start_sha256,
                "the weights that it began with",
            )
        })
    }

    /// Checks that weights are numbers, and their average in half precision, too.
    fn check_weights(&self) -> Result<(), TrainError> {
        let diverged = |what| {
            move |error| match error {
                TrainError::NotFinite { .. } => TrainError::Diverged {
                    step: self.step,
                    what,
                },
                error => error,
            }
        };
        weights_sha256(&self.model).map_err(diverged("the weights"))?;
        check_half(&self.average).map_err(diverged(
            "the averaged weights, which are written in half precision,",
        ))
    }

    /// What a checkpoint says of the training.
    fn state(&self) -> TrainState {
        TrainState {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            step: self.step,
            images: self.step * self.config.batch_size as u64,
            dataset_length: self.set.len(),
            data_sha256: Some(self.data_sha256.clone()),
            start_sha256: Some(self.start_sha256.clone()),
            schedule: self.schedule_config.clone(),
            config: self.config.clone(),
            model: serde_json::to_value(&self.model_config).unwrap_or_default(),
            losses: self.losses,
            loss_scale: self.loss_scale,
            checksums: Default::default(),
        }
    }

    /// Writes a checkpoint into `folder`.
    ///
    /// # Errors
    /// Where it cannot be written or a weight is no number; earlier checkpoints are then untouched.
    pub fn save(&self, folder: &Path) -> Result<(), TrainError> {
        checkpoint::save(&folder.join(CHECKPOINTS), self.state(), |files| {
            self.check_weights()?;
            files.write::<B, _>("model.bin", self.model.clone().into_record())?;
            files.write::<B::InnerBackend, _>("average.bin", self.average.clone().into_record())?;
            files.write::<B, _>("optimizer.bin", self.optimizer.to_record())
        })
    }

    /// Checks that all processes train the same network on the same data, before any of them changes
    /// something; each process calls it.
    ///
    /// # Errors
    /// Where they do not, or are more than a batch has images, or lose each other.
    pub fn ensure_same(&self, processes: &dyn Communicator) -> Result<(), TrainError> {
        if processes.size() == 1 {
            return Ok(());
        }
        if processes.size() > self.config.batch_size {
            return Err(TrainError::Config(format!(
                "{} processes cannot share batches of {} images",
                processes.size(),
                self.config.batch_size
            )));
        }
        processes.ensure_same("data", &self.data_sha256)?;
        processes.ensure_same("start weights", &self.start_sha256)?;
        let state = serde_json::to_string(&self.state());
        let state = state.map_err(|error| TrainError::Config(error.to_string()))?;
        processes.ensure_same("settings, or checkpoints to continue from,", &state)?;
        processes.ensure_same("weights", &weights_sha256(&self.model)?)
    }
}
