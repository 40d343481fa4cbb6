//! The training loop.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use adadiff_data::{BadImage, BatchLoader, LoaderConfig, TrainingSet};
use adadiff_model::kernels::Kernels;
use adadiff_sampler::{NoiseSchedule, ScheduleConfig, diffuse};
use adadiff_uem::{AdaDiff, AdaDiffConfig};
use burn::module::{AutodiffModule, Module, ModuleMapper, Param};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{GradientsAccumulator, GradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

use crate::batch::{Batch, Part};
use crate::checkpoint::{self, TrainState};
use crate::clip::{clip, global_norm};
use crate::compute::{ComputeType, LossScale};
use crate::digest::{data_sha256, weights_sha256};
use crate::ema::update_average;
use crate::events::{self, EVENTS_FILE};
use crate::exchange::sum_over_processes;
use crate::log::{self, LogLine, LossSums};
use crate::memory::peak_resident_mib;
use crate::objective::{self, Input, Losses};
use crate::optimizer::AdamW;
use crate::recompute;
use crate::suits::check_suits;
use crate::{Communicator, Objective, SingleProcess, TrainConfig, TrainError};

/// The file of the loss log inside a training's folder.
pub const LOG_FILE: &str = "training.jsonl";

/// The folder of the checkpoints inside a training's folder.
pub const CHECKPOINTS: &str = "checkpoints";

/// Batches that are loaded while one is trained on.
const BATCHES_AHEAD: usize = 2;

/// Watches a training and may interrupt it.
pub trait TrainObserver<B: AutodiffBackend> {
    /// Called after every step; `Break` saves a checkpoint and ends the training early.
    fn step(&mut self, step: u64, steps: u64) -> ControlFlow<()>;

    /// Called with every line of the loss log.
    fn line(&mut self, line: &LogLine);

    /// Called with every image that cannot be used and was left out, once each.
    fn skipped(&mut self, image: &BadImage) {
        let _ = image;
    }

    /// Called where [`TrainConfig::judge`] says so, with the averaged weights; gives back the
    /// Fréchet distance of their samples, if it can be told.
    ///
    /// # Errors
    /// Where the training should end without this step, which is done again when it is resumed.
    fn judge(
        &mut self,
        step: u64,
        average: &AdaDiff<B::InnerBackend>,
    ) -> Result<Option<f64>, Box<dyn Error + Send + Sync>> {
        let _ = (step, average);
        Ok(None)
    }

    /// Called every [`TrainConfig::sample_every`] steps with the averaged weights.
    fn sample(&mut self, step: u64, average: &AdaDiff<B::InnerBackend>);
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Finished,
    /// The observer asked to stop; a checkpoint was written.
    Interrupted,
}

/// A training phase in progress: network, moving average, optimizer and position.
///
/// Every draw is a function of the seed and the step, so that a training that was interrupted and
/// resumed gives what an uninterrupted one gives, bit for bit where the backend's operations are
/// deterministic (Flex).
pub struct Trainer<B: AutodiffBackend>
where
    B::InnerBackend: Kernels,
{
    config: TrainConfig,
    model_config: AdaDiffConfig,
    set: Arc<dyn TrainingSet>,
    schedule_config: ScheduleConfig,
    schedule: Box<dyn NoiseSchedule>,
    model: AdaDiff<B>,
    average: AdaDiff<B::InnerBackend>,
    optimizer: OptimizerAdaptor<AdamW, AdaDiff<B>, B>,
    step: u64,
    losses: LossSums,
    dataset_sha256: String,
    /// The SHA-256 of the weights that the phase began with.
    start_sha256: String,
    /// Present where the network computes in half precision.
    loss_scale: Option<LossScale>,
    device: B::Device,
}

impl<B> Trainer<B>
where
    B: AutodiffBackend + Kernels,
    B::InnerBackend: Kernels,
{
    /// Starts a phase at step 0 with the weights of `model`.
    ///
    /// # Errors
    /// Where the configuration makes no sense, the data set does not suit the network, or a weight
    /// is no number.
    pub fn new(
        config: TrainConfig,
        model_config: AdaDiffConfig,
        schedule: ScheduleConfig,
        model: AdaDiff<B>,
        set: Arc<dyn TrainingSet>,
        device: &B::Device,
    ) -> Result<Self, TrainError> {
        config.validate()?;
        model_config.backbone.validate()?;
        config.compute.check::<B>(device)?;
        check_suits(&model_config.backbone, config.label_dropout, &*set)?;
        Ok(Self {
            dataset_sha256: data_sha256(&*set),
            start_sha256: weights_sha256(&model)?,
            schedule: schedule.build()?,
            schedule_config: schedule,
            optimizer: OptimizerAdaptor::from(AdamW::new(&config)),
            loss_scale: (config.compute == ComputeType::F16).then_some(LossScale::START),
            average: model.valid(),
            model: config.trained.freeze(model),
            config,
            model_config,
            set,
            step: 0,
            losses: LossSums::default(),
            device: device.clone(),
        })
    }

    /// The hyperparameters.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Steps done.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// The moving average of the weights: what is sampled from.
    pub fn average(&self) -> &AdaDiff<B::InnerBackend> {
        &self.average
    }

    /// Continues from the latest checkpoint in `folder`, if there is one.
    ///
    /// # Errors
    /// Where the checkpoint is damaged or belongs to a run with other settings, data or start
    /// weights, or holds more steps than are asked for; nothing in `folder` is then changed. The
    /// numbers of steps and of images that may be bad, and how often something is logged, saved or
    /// judged, may change.
    pub fn resume(self, folder: &Path) -> Result<Self, TrainError> {
        self.resume_where(folder, |config| config)
    }

    /// [`Self::resume`] where learning rate, its warm-up and cool-down, betas, epsilon, weight decay
    /// and clipping may have changed, too: for a training that has diverged.
    ///
    /// # Errors
    /// As [`Self::resume`].
    pub fn resume_changed(self, folder: &Path) -> Result<Self, TrainError> {
        let TrainConfig {
            learning_rate,
            betas,
            epsilon,
            weight_decay,
            warmup_steps,
            cooldown_steps,
            clip_norm,
            ..
        } = self.config;
        self.resume_where(folder, |config| TrainConfig {
            learning_rate,
            betas,
            epsilon,
            weight_decay,
            warmup_steps,
            cooldown_steps,
            clip_norm,
            ..config
        })
    }

    /// Resumes where the settings of the checkpoint, after `forgiven`, are those of this run.
    fn resume_where(
        mut self,
        folder: &Path,
        forgiven: impl FnOnce(TrainConfig) -> TrainConfig,
    ) -> Result<Self, TrainError> {
        let checkpoints = folder.join(CHECKPOINTS);
        let Some((state, files)) = checkpoint::latest(&checkpoints)? else {
            return Ok(self);
        };
        let state = TrainState {
            config: forgiven(state.config),
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

    /// What keeps this run from continuing another one.
    fn difference(&self, state: &TrainState) -> Option<String> {
        let comparable = |config: &TrainConfig| TrainConfig {
            steps: 0,
            log_every: 0,
            sample_every: 0,
            checkpoint_every: 0,
            judge: None,
            most_bad_images: 0,
            ..config.clone()
        };
        let (now, then) = (comparable(&self.config), comparable(&state.config));
        if now != then {
            return Some(format!(
                "its training settings were {then:?}, now they are {now:?}"
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
            &state.dataset_sha256,
            &self.dataset_sha256,
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

    /// Checks that weights and their average are numbers.
    fn check_weights(&self) -> Result<(), TrainError> {
        let step = self.step;
        let diverged = |error| match error {
            TrainError::NotFinite { .. } => TrainError::Diverged {
                step,
                what: "the weights",
            },
            error => error,
        };
        weights_sha256(&self.model).map_err(diverged)?;
        weights_sha256(&self.average).map_err(diverged)?;
        Ok(())
    }

    /// What a checkpoint says of the training.
    fn state(&self) -> TrainState {
        TrainState {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            step: self.step,
            images: self.step * self.config.batch_size as u64,
            dataset_length: self.set.len(),
            dataset_sha256: Some(self.dataset_sha256.clone()),
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

    /// Trains until all steps are done or the observer interrupts; logs and saves into `folder`.
    ///
    /// # Errors
    /// Where a file cannot be written, too many images are bad, or the loss is no longer finite.
    pub fn run(
        &mut self,
        folder: &Path,
        observer: &mut dyn TrainObserver<B>,
    ) -> Result<Outcome, TrainError> {
        self.run_as(&SingleProcess, folder, observer)
    }

    /// [`Self::run`] as one of several processes that share the training, on one machine or several.
    /// The process of rank 0 writes into `folder`, which all must be able to read; an interruption
    /// of one ends all after the same step. Each process counts the bad images among its own rows.
    ///
    /// It takes the steps that one process takes with the whole batch, up to rounding. Only UAL in the
    /// published form, whose weights couple the images that are computed together, is that of each
    /// process's rows.
    ///
    /// # Errors
    /// As [`Self::run`], or where the processes are more than a batch has images, have other settings,
    /// weights or data than each other, or lose each other.
    pub fn run_as(
        &mut self,
        processes: &dyn Communicator,
        folder: &Path,
        observer: &mut dyn TrainObserver<B>,
    ) -> Result<Outcome, TrainError> {
        self.ensure_same(processes)?;
        if processes.leads() {
            truncate_logs(folder, self.step)?;
        }
        let (mut start, first) = (Instant::now(), self.step);
        if first >= self.config.steps {
            self.save_among(processes, folder)?;
            return Ok(Outcome::Finished);
        }
        let mut batches = self.loader(processes)?;
        while self.step < self.config.steps {
            let Some(batch) = batches.next().transpose()? else {
                return Err(TrainError::Config(
                    "the data set has no more batches".to_owned(),
                ));
            };
            for image in &batch.skipped {
                observer.skipped(image);
            }
            self.train_step(processes, batch)?;
            if self.step.is_multiple_of(self.config.log_every) {
                let images = (self.step - first) * self.config.batch_size as u64;
                let mut line = self.take_line(images as f64 / start.elapsed().as_secs_f64());
                let before = Instant::now();
                line.frechet_distance = self.judge(observer)?;
                start += before.elapsed();
                if processes.leads() {
                    log::append(&folder.join(LOG_FILE), &line)?;
                    events::append(&folder.join(EVENTS_FILE), &line)?;
                }
                observer.line(&line);
            }
            let sample = self.config.sample_every;
            if sample > 0 && self.step.is_multiple_of(sample) {
                observer.sample(self.step, &self.average);
            }
            if self.step.is_multiple_of(self.config.checkpoint_every) {
                self.save_among(processes, folder)?;
            }
            let stop = observer.step(self.step, self.config.steps).is_break();
            if processes.any(stop)? {
                self.save_among(processes, folder)?;
                // A process that ends now would end the one that still writes.
                processes.any(false)?;
                return Ok(Outcome::Interrupted);
            }
        }
        self.save_among(processes, folder)?;
        Ok(Outcome::Finished)
    }

    /// The Fréchet distance of the averaged weights' samples, where they are judged after this step.
    fn judge(&self, observer: &mut dyn TrainObserver<B>) -> Result<Option<f64>, TrainError> {
        let step = self.step;
        match self.config.judge {
            Some(judge) if step.is_multiple_of(judge.every) => observer
                .judge(step, &self.average)
                .map_err(|source| TrainError::Judging { step, source }),
            _ => Ok(None),
        }
    }

    /// Checks that all processes train the same network on the same data.
    fn ensure_same(&self, processes: &dyn Communicator) -> Result<(), TrainError> {
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
        processes.ensure_same("data", &self.dataset_sha256)?;
        processes.ensure_same("start weights", &self.start_sha256)?;
        let state = serde_json::to_string(&self.state());
        let state = state.map_err(|error| TrainError::Config(error.to_string()))?;
        processes.ensure_same("settings, or checkpoints to continue from,", &state)?;
        processes.ensure_same("weights", &weights_sha256(&self.model)?)
    }

    /// Writes a checkpoint if that is this process's task.
    fn save_among(&self, processes: &dyn Communicator, folder: &Path) -> Result<(), TrainError> {
        match processes.leads() {
            true => self.save(folder),
            false => Ok(()),
        }
    }

    /// The batches from the next step on.
    fn loader(&self, processes: &dyn Communicator) -> Result<BatchLoader, TrainError> {
        let config = LoaderConfig {
            seed: self.config.seed,
            batch_size: self.config.batch_size,
            rows: processes.rows(self.config.batch_size),
            flip: self.config.flip,
            ahead: BATCHES_AHEAD,
            workers: 0,
            most_bad_images: self.config.most_bad_images,
        };
        Ok(BatchLoader::new(self.set.clone(), config, self.step)?)
    }

    fn train_step(
        &mut self,
        processes: &dyn Communicator,
        loaded: adadiff_data::Batch,
    ) -> Result<(), TrainError> {
        let batch = Batch::draw(
            &self.config,
            self.schedule.as_ref(),
            self.set.as_ref(),
            self.model_config.backbone.classes,
            loaded,
            processes.rows(self.config.batch_size),
        );
        let (losses, gradients) = self.gradients(&batch)?;
        if gradients.is_empty() {
            return Err(TrainError::NothingToTrain);
        }
        let (losses, gradients) = sum_over_processes(processes, &self.model, losses, gradients)?;
        let diverged = |what| TrainError::Diverged {
            step: self.step + 1,
            what,
        };
        if !losses.are_finite() {
            return Err(diverged("the losses"));
        }
        let norm = global_norm(&self.model, &gradients);
        let scale = self.loss_scale.map(|scale| scale.after(norm.is_finite()));
        // In half precision a step whose gradients are too large is left out.
        if !norm.is_finite() && scale.is_none_or(LossScale::is_exhausted) {
            return Err(diverged("the gradients"));
        }
        self.losses.add(losses);
        self.loss_scale = scale;
        if norm.is_finite() {
            self.update(gradients, norm);
        }
        let decay = self.config.ema_decay_at(self.step);
        self.average = update_average(self.average.clone(), &self.model.valid(), decay);
        self.losses.steps += 1;
        self.step += 1;
        Ok(())
    }

    /// Moves the weights against the gradients, whose norm is given.
    fn update(&mut self, gradients: GradientsParams, norm: f64) {
        let gradients = match self.config.clip_norm {
            Some(limit) => {
                self.losses.gradient_norm += norm;
                clip(&self.model, gradients, norm, limit)
            }
            None => gradients,
        };
        let rate = self.config.learning_rate_at(self.step);
        self.model = self.optimizer.step(rate, self.model.clone(), gradients);
    }

    /// What these rows give to the losses of the step's batch and to the gradients of its mean
    /// objective, part after part.
    fn gradients(&self, batch: &Batch) -> Result<(Losses, GradientsParams), TrainError> {
        let rows = batch.rows();
        let size = rows.div_ceil(self.config.accumulation.get());
        let working_copy = self.config.compute.working_copy(&self.model);
        let working_copy = self.config.trained.freeze(working_copy);
        let scale = self.loss_scale.map_or(1.0, |scale| scale.factor);
        let mut losses = Losses::default();
        let mut sum = GradientsAccumulator::new();
        for start in (0..rows).step_by(size) {
            let part = start..rows.min(start + size);
            let share = part.len() as f64 / self.config.batch_size as f64;
            let input = self.input(batch.part(part, &self.device));
            let compute = match self.config.recompute_blocks {
                false => objective::gradients,
                true => recompute::gradients,
            };
            let (of_part, gradients) =
                compute(&working_copy, self.config.objective, input, share * scale)?;
            losses += of_part.scaled(share);
            let gradients = self
                .config
                .compute
                .in_single(&self.model, gradients, scale.recip());
            sum.accumulate(&self.model, gradients);
        }
        Ok((losses, sum.grads()))
    }

    /// Adds the noise to the images of a part.
    fn input(&self, part: Part<B>) -> Input<B> {
        let schedule = self.schedule.as_ref();
        let timesteps = part.times.iter();
        Input {
            noisy: diffuse(schedule, part.images, part.noise.clone(), &part.times),
            noise: part.noise,
            timesteps: timesteps
                .map(|&time| schedule.network_timestep(time) as f32)
                .collect(),
            condition: part.condition,
        }
    }

    /// The next line of the log; its sums start again.
    fn take_line(&mut self, images_per_second: f64) -> LogLine {
        let sums = std::mem::take(&mut self.losses);
        let mean = |sum: f64| sum / sums.steps.max(1) as f64;
        let joint = matches!(self.config.objective, Objective::Joint { .. });
        LogLine {
            step: self.step,
            images: self.step * self.config.batch_size as u64,
            total: mean(sums.total),
            simple: mean(sums.simple),
            uncertainty: joint.then(|| mean(sums.uncertainty)),
            layer_wise: joint.then(|| mean(sums.layer_wise)),
            gradient_norm: self.config.clip_norm.map(|_| mean(sums.gradient_norm)),
            frechet_distance: None,
            learning_rate: self.config.learning_rate_at(self.step.saturating_sub(1)),
            images_per_second,
            peak_memory_mib: peak_resident_mib(),
        }
    }
}

/// Drops what the logs of `folder` tell of steps after `step`, which are done again.
fn truncate_logs(folder: &Path, step: u64) -> Result<(), TrainError> {
    log::truncate(&folder.join(LOG_FILE), step)?;
    events::truncate(&folder.join(EVENTS_FILE), step)
}

/// The network that trains on from `weights`, for example the averaged weights of an earlier phase.
///
/// Weights outside of automatic differentiation have forgotten that they are to be trained; all
/// float parameters are marked so again.
pub fn trainable<B: AutodiffBackend, M: AutodiffModule<B>>(weights: M::InnerModule) -> M {
    M::from_inner(weights).map(&mut RequireGradients)
}

struct RequireGradients;

impl<B: AutodiffBackend> ModuleMapper<B> for RequireGradients {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(Tensor::require_grad)
    }
}

#[cfg(test)]
#[path = "trainer_tests.rs"]
mod tests;
