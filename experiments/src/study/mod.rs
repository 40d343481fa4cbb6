//! Drawing samples from a trained network under an exit policy, timed and accounted for.

mod draw;
mod effort;
mod latents;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use adadiff_metrics::{ComputeCost, ComputeSummary};
use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser};
use adadiff_sampler::{Guided, NoiseSource, Progress, SampleError, SampleRequest, Sampler};
use adadiff_uem::{
    AdaDiff, AdaDiffConfig, AdaptiveUVit, DepthSchedule, ExitPolicy, ExitTrace, Never, calibrate,
    calibrate_excess, estimator_flops,
};
use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::{Tensor, TensorData};
use indicatif::ProgressBar;

pub use draw::{Conditions, Contexts, Draw};
pub use effort::Effort;
pub use latents::LatentDecoder;

use crate::calibrations::{Budget, Calibration, Calibrations, ExitRule};
use crate::checkpoint::Checkpoint;
use crate::preset::Preset;

/// Added to a run's seed for the samples that thresholds are calibrated on, so that no reported
/// figure is of samples that a threshold has seen.
const CALIBRATION_SEED: u64 = 0x6361_6c69_6272;

/// Samples that a threshold is calibrated on.
const CALIBRATION_SAMPLES: usize = 64;

/// Times the uncertainties are recorded again along the paths that the last threshold leads to.
const CALIBRATION_ROUNDS: usize = 3;

/// A trained network on a device, and how to sample from it.
pub struct Study<'a, B: Kernels> {
    /// The network.
    pub model: AdaDiff<B>,
    /// The preset, with the command line's changes.
    pub preset: Preset,
    calibrations: Calibrations,
    trained_estimators: bool,
    decoder: Option<LatentDecoder<B>>,
    contexts: Option<Arc<dyn Contexts>>,
    device: B::Device,
    stop: &'a AtomicBool,
}

/// Samples and what they cost.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Pixels of all samples, `[samples, channels, height, width]` in row-major order.
    pub pixels: Vec<f32>,
    /// Blocks run and uncertainties.
    pub trace: ExitTrace,
    /// Seconds of the sampling loop; decoding latents is not part of it.
    pub seconds: f64,
    /// Blocks run and estimates made.
    pub effort: Effort,
}

impl Drawn {
    /// Seconds of the sampling loop for each image.
    pub fn seconds_per_image(&self) -> f64 {
        self.seconds / self.effort.samples.max(1) as f64
    }
}

impl<'a, B: Kernels> Study<'a, B> {
    /// Loads a checkpoint onto a device.
    ///
    /// # Errors
    /// Where the checkpoint is damaged.
    pub fn new(checkpoint: Checkpoint, device: B::Device, stop: &'a AtomicBool) -> Result<Self> {
        Ok(Self {
            model: checkpoint
                .preset
                .sampling
                .precision
                .cast(checkpoint.model(&device)?, &device)?,
            preset: checkpoint.preset,
            calibrations: checkpoint.calibrations,
            trained_estimators: checkpoint.trained_estimators,
            decoder: None,
            contexts: None,
            device,
            stop,
        })
    }

    /// A network that is on the device already, for example one in training.
    pub fn of_model(
        model: AdaDiff<B>,
        preset: Preset,
        device: B::Device,
        stop: &'a AtomicBool,
    ) -> Self {
        let calibrations = Calibrations::default();
        Self {
            model,
            preset,
            calibrations,
            trained_estimators: true,
            decoder: None,
            contexts: None,
            device,
            stop,
        }
    }

    /// Turns latents into images.
    pub fn with_decoder(mut self, decoder: Option<LatentDecoder<B>>) -> Self {
        self.decoder = decoder;
        self
    }

    /// Draws samples for these prompts.
    pub fn with_contexts(mut self, contexts: Option<Arc<dyn Contexts>>) -> Self {
        self.contexts = contexts;
        self
    }

    /// Blocks of the network.
    pub fn blocks(&self) -> usize {
        self.model.backbone.depth()
    }

    /// Channels, height and width of the images: of the latents, where nothing decodes them.
    pub fn image_shape(&self) -> [usize; 3] {
        let shape = self.preset.model.backbone.image_shape();
        match &self.decoder {
            Some(decoder) => decoder.image_shape(shape),
            None => shape,
        }
    }

    /// Samples of all classes or prompts in turn, as the preset says.
    ///
    /// # Errors
    /// Where the network is conditioned on text and there are no prompts.
    pub fn plan(&self, samples: usize) -> Result<Draw> {
        let Preset {
            model, sampling, ..
        } = &self.preset;
        let conditions = match (model.backbone.classes, model.backbone.text) {
            (Some(labels), _) => {
                // A network without a label for "no class" has no data set with fewer classes.
                Conditions::Classes((0..labels.saturating_sub(1).max(1)).collect())
            }
            (None, Some(_)) => {
                let contexts = self.contexts.clone();
                Conditions::Texts(contexts.context(
                    "the network is conditioned on text: name prompts, or prepared latents with \
                     their contexts",
                )?)
            }
            (None, None) => Conditions::None,
        };
        Ok(Draw {
            first_sample: 0,
            samples,
            batch: sampling.batch,
            seed: sampling.seed,
            conditions,
            guidance: sampling.guidance,
        })
    }

    /// Draws samples, leaving the network as `policy` says.
    ///
    /// # Errors
    /// Where the user interrupts or the device fails.
    pub fn draw(&self, policy: impl ExitPolicy, draw: &Draw, bar: &ProgressBar) -> Result<Drawn> {
        self.draw_from(
            AdaptiveUVit::new(&self.model, policy),
            draw,
            bar,
            &mut |_| (),
        )
    }

    /// Draws samples with any form of the adaptive network, and shows `observe` every step.
    ///
    /// # Errors
    /// As [`Self::draw`].
    pub fn draw_from(
        &self,
        denoiser: AdaptiveUVit<'_, B, impl ExitPolicy>,
        draw: &Draw,
        bar: &ProgressBar,
        observe: &mut dyn FnMut(&Progress<'_, B>),
    ) -> Result<Drawn> {
        if draw.guidance == 0.0 {
            return self.run(&denoiser, draw, bar, observe);
        }
        let none = match (&draw.conditions, self.preset.model.backbone.classes) {
            (Conditions::Texts(contexts), _) => {
                let [tokens, width] = contexts.size();
                let empty = TensorData::new(contexts.empty(), [1, tokens, width]);
                Condition::Text(Tensor::from_data(empty, &self.device))
            }
            (_, Some(classes)) => {
                let none = TensorData::from([classes as i64 - 1]);
                Condition::Class(Tensor::from_data(none, &self.device))
            }
            (_, None) => bail!("guidance needs a network that is conditioned on classes or text"),
        };
        self.run(
            &Guided::new(denoiser, none, draw.guidance)?,
            draw,
            bar,
            observe,
        )
    }

    fn run(
        &self,
        denoiser: &dyn Denoiser<B>,
        draw: &Draw,
        bar: &ProgressBar,
        observe: &mut dyn FnMut(&Progress<'_, B>),
    ) -> Result<Drawn> {
        let shape = self.preset.model.backbone.image_shape();
        let request = SampleRequest {
            shape,
            noise: NoiseSource::seeded(draw.seed),
            first_sample: draw.first_sample,
            count: draw.samples,
            batch: draw.batch,
            condition: draw.condition(&self.device),
            device: self.device.clone(),
        };
        let sampler = Sampler {
            schedule: self.preset.schedule.build()?,
            solver: self.preset.sampling.solver.build(),
            steps: self.preset.sampling.steps,
        };
        let start = Instant::now();
        let samples = sampler.sample(denoiser, &request, &mut |progress| {
            bar.inc(progress.samples.len() as u64);
            observe(progress);
            match self.stop.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        let samples = samples.map_err(|error| match error {
            SampleError::Cancelled { .. } => anyhow!("interrupted"),
            error => error.into(),
        })?;
        // Reading the images back waits for the device, so it belongs to the time.
        let images: Vec<f32> = samples.images.into_data().iter::<f32>().collect();
        let seconds = start.elapsed().as_secs_f64();
        // Guidance evaluates the network twice and reports the sum of both evaluations' blocks.
        let branches = if draw.guidance == 0.0 { 1 } else { 2 };
        Ok(Drawn {
            pixels: match &self.decoder {
                Some(decoder) => decoder.decode(&images, shape)?,
                None => images,
            },
            effort: Effort::of_trace(&samples.trace, draw.samples, branches),
            trace: samples.trace,
            seconds,
        })
    }

    /// Blocks and operations of samples.
    ///
    /// # Errors
    /// Where there are no samples.
    pub fn cost(&self, effort: &Effort) -> Result<ComputeSummary> {
        effort.summary(&network_cost(&self.preset.model))
    }

    /// The threshold for a share of blocks to skip: the stored one where there is one for this
    /// number of steps, else one that is calibrated now.
    ///
    /// # Errors
    /// Where the share cannot be reached or the user interrupts.
    pub fn threshold(&self, reduction: f64, bar: &ProgressBar) -> Result<Calibration> {
        match self.stored_threshold(reduction) {
            Some(calibration) => Ok(calibration),
            None => self.calibrate(reduction, bar),
        }
    }

    /// The stored threshold for a share of blocks to skip, where there is one for this number of
    /// steps.
    pub fn stored_threshold(&self, reduction: f64) -> Option<Calibration> {
        let budget = Budget {
            reduction,
            ..self.preset.sampling.budget()
        };
        self.calibrations.find(budget).cloned()
    }

    /// The thresholds that came with the weights.
    pub fn calibrations(&self) -> &Calibrations {
        &self.calibrations
    }

    /// Calibrates a threshold on samples of their own seed.
    ///
    /// Where samples leave early the paths change, and with them the uncertainties; so they are
    /// recorded again under the threshold that was found, until it settles.
    ///
    /// # Errors
    /// As [`Self::threshold`].
    pub fn calibrate(&self, reduction: f64, bar: &ProgressBar) -> Result<Calibration> {
        if !self.trained_estimators {
            bail!(
                "the checkpoint holds a backbone alone: nothing tells how uncertain its blocks are. \
                 Sample with --full or --depth, or train the joint objective first"
            );
        }
        let draw = Draw {
            seed: self.preset.sampling.seed.wrapping_add(CALIBRATION_SEED),
            ..self.plan(CALIBRATION_SAMPLES)?
        };
        let mut policy: Box<dyn ExitPolicy> = Box::new(Never);
        let mut calibration = None;
        for _ in 0..CALIBRATION_ROUNDS {
            let recording = AdaptiveUVit::new(&self.model, policy).recording_all();
            let mut trace = self.draw_from(recording, &draw, bar, &mut |_| ())?.trace;
            // With guidance the uncertainties are those of one of the two evaluations.
            trace.blocks_per_prediction = self.blocks() as u32;
            let found = self.calibration_of(&trace, reduction, &draw)?;
            policy = found.policy();
            calibration = Some(found);
        }
        calibration.ok_or_else(|| anyhow!("no uncertainties were recorded"))
    }

    /// The threshold that recorded uncertainties ask for.
    fn calibration_of(
        &self,
        trace: &ExitTrace,
        reduction: f64,
        draw: &Draw,
    ) -> Result<Calibration> {
        let sampling = &self.preset.sampling;
        let every = sampling.check_every;
        let (found, floors, depths) = match sampling.exit_rule {
            ExitRule::Threshold => (calibrate(trace, reduction, every)?, Vec::new(), Vec::new()),
            ExitRule::Excess => {
                let (policy, found) = calibrate_excess(trace, reduction, every)?;
                (found, policy.floors, Vec::new())
            }
            ExitRule::Schedule => {
                let (policy, mut found) = calibrate_excess(trace, reduction, every)?;
                let Some(exits) = trace.replay(&policy) else {
                    bail!("the recorded trace lacks uncertainties")
                };
                let schedule = DepthSchedule::from_exits(&exits);
                if let Some(scheduled) = trace.replay(&schedule) {
                    found.reduction = scheduled.block_reduction();
                }
                (found, policy.floors, schedule.depths().to_vec())
            }
        };
        Ok(Calibration {
            exit_rule: sampling.exit_rule,
            check_every: every,
            reduction,
            reached: found.reduction,
            threshold: found.threshold,
            floors,
            depths,
            steps: sampling.steps,
            samples: draw.samples,
            seed: draw.seed,
        })
    }

    /// Evaluations of single samples that one calibration takes.
    pub fn calibration_evaluations(&self) -> u64 {
        (CALIBRATION_ROUNDS * CALIBRATION_SAMPLES * self.preset.sampling.steps) as u64
    }
}

/// The operations of a network's parts.
pub fn network_cost(model: &AdaDiffConfig) -> ComputeCost {
    let flops = model.backbone.flops();
    ComputeCost {
        embed_flops: flops.embed,
        block_flops: flops.blocks,
        estimator_flops: estimator_flops(model.estimator, &model.backbone),
        decode_flops: flops.decode,
    }
}
