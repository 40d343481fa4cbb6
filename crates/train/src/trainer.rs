//! The training loop.

mod resume;

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use adadiff_data::{BadImage, BatchLoader, LoaderConfig, TrainingSet, data_sha256};
use adadiff_model::kernels::Kernels;
use adadiff_sampler::{NoiseSchedule, ScheduleConfig};
use adadiff_uem::{AdaDiff, AdaDiffConfig};
use burn::module::{AutodiffModule, Module, ModuleMapper, Param};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{GradientsAccumulator, GradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

use crate::batch::Batch;
use crate::clip::{clip, global_norm};
use crate::compute::{ComputeType, LossScale};
use crate::digest::weights_sha256;
use crate::ema::update_average;
use crate::events::{self, EVENTS_FILE};
use crate::exchange::sum_over_processes;
use crate::log::{self, LogLine, LossSums};
use crate::memory::peak_resident_mib;
use crate::objective::{self, Losses};
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
    fn validate(
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
pub enum TrainOutcome {
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
    data_sha256: String,
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
            data_sha256: data_sha256(&*set),
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

    /// Trains until all steps are done or the observer interrupts; logs and saves into `folder`.
    ///
    /// # Errors
    /// Where a file cannot be written, too many images are bad, or the loss is no longer finite.
    pub fn run(
        &mut self,
        folder: &Path,
        observer: &mut dyn TrainObserver<B>,
    ) -> Result<TrainOutcome, TrainError> {
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
    ) -> Result<TrainOutcome, TrainError> {
        self.ensure_same(processes)?;
        if processes.leads() {
            truncate_logs(folder, self.step)?;
        }
        let (mut start, first) = (Instant::now(), self.step);
        if first >= self.config.steps {
            self.save_among(processes, folder)?;
            return Ok(TrainOutcome::Finished);
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
                line.frechet_distance = self.validate(observer)?;
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
                return Ok(TrainOutcome::Interrupted);
            }
        }
        self.save_among(processes, folder)?;
        Ok(TrainOutcome::Finished)
    }

    /// The Fréchet distance of the averaged weights' samples, where they are judged after this step.
    fn validate(&self, observer: &mut dyn TrainObserver<B>) -> Result<Option<f64>, TrainError> {
        let step = self.step;
        match self.config.judge {
            Some(judge) if step.is_multiple_of(judge.every) => observer
                .validate(step, &self.average)
                .map_err(|source| TrainError::Judging { step, source }),
            _ => Ok(None),
        }
    }

    /// Writes a checkpoint if that is this process's task. All wait for it: a process that is asked to
    /// stop meanwhile, or ends, would end the one that writes.
    fn save_among(&self, processes: &dyn Communicator, folder: &Path) -> Result<(), TrainError> {
        if processes.leads() {
            self.save(folder)?;
        }
        // The weights, their average and two moments.
        processes.wait_for_writer(4 * size_of::<f32>() * self.model.num_params())
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
            let input = batch.part(part, self.schedule.as_ref(), &self.device);
            let compute = if self.config.recompute_blocks {
                recompute::gradients
            } else {
                objective::gradients
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
