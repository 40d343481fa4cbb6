//! Drawing samples from a trained network under an exit policy, timed and accounted for.

mod allocate;
mod damage;
mod draw;
mod effort;
mod judged;
mod latents;
mod parts;
mod sensitivity;
mod timesteps;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use adadiff_metrics::{ComputeCost, ComputeSummary};
use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser};
use adadiff_sampler::{
    Guided, NoiseSource, Progress, SampleError, SampleRequest, Sampler, SolverConfig,
};
use adadiff_uem::{
    AdaDiff, AdaDiffConfig, AdaptiveUVit, DepthSchedule, ExitPolicy, ExitTrace, Never, calibrate,
    calibrate_excess,
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use burn::tensor::{Tensor, TensorData};
use indicatif::ProgressBar;

pub use draw::{Conditions, Contexts, Draw};
pub use effort::Effort;
pub use latents::LatentDecoder;

use damage::Damages;

use crate::calibrations::{Budget, Calibration, Calibrations, ExitRule};
use crate::checkpoint::{Checkpoint, Companion, CompanionNetwork, Companions};
use crate::judge::Yardstick;
use crate::presets::Preset;

/// Added to a run's seed for the samples that thresholds are calibrated on, so that no reported
/// figure is of samples that a threshold has seen.
const CALIBRATION_SEED: u64 = 0x6361_6c69_6272;

/// Samples that a threshold is calibrated on.
const CALIBRATION_SAMPLES: usize = 64;

/// Times the uncertainties are recorded again along the paths that the last threshold leads to.
pub(crate) const CALIBRATION_ROUNDS: usize = 3;

/// A trained network on a device, and how to sample from it.
pub struct Study<'a, B: Kernels> {
    /// The network.
    pub model: AdaDiff<B>,
    /// The preset, with the command line's changes.
    pub preset: Preset,
    calibrations: Calibrations,
    /// The solver that the stored thresholds are of.
    calibrated_solver: SolverConfig,
    trained_estimators: bool,
    companions: Companions<B>,
    decoder: Option<Arc<LatentDecoder<B>>>,
    /// Whether latents are left as they are though there is a decoder.
    keeps_latents: bool,
    contexts: Option<Arc<dyn Contexts>>,
    yardstick: Yardstick,
    /// What was measured for rule [`ExitRule::Distance`], of this network with any solver.
    damages: Arc<Damages<B>>,
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
        let mut companions = Companions::default();
        for (companion, second) in &checkpoint.companions {
            companions.insert(*companion, second, &checkpoint.preset, &device)?;
        }
        Ok(Self {
            companions,
            model: checkpoint
                .preset
                .sampling
                .precision
                .cast(checkpoint.model(&device)?, &device)?,
            calibrated_solver: checkpoint.preset.sampling.solver,
            preset: checkpoint.preset,
            calibrations: checkpoint.calibrations,
            trained_estimators: checkpoint.trained_estimators,
            decoder: None,
            keeps_latents: false,
            contexts: None,
            yardstick: Yardstick::default(),
            damages: Arc::default(),
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
            calibrated_solver: preset.sampling.solver,
            preset,
            calibrations,
            trained_estimators: true,
            companions: Companions::default(),
            decoder: None,
            keeps_latents: false,
            contexts: None,
            yardstick: Yardstick::default(),
            damages: Arc::default(),
            device,
            stop,
        }
    }

    /// Turns latents into images.
    pub fn with_decoder(mut self, decoder: Option<LatentDecoder<B>>) -> Self {
        self.decoder = decoder.map(Arc::new);
        self.damages = Arc::default();
        self
    }

    /// Draws samples for these prompts.
    pub fn with_contexts(mut self, contexts: Option<Arc<dyn Contexts>>) -> Self {
        self.contexts = contexts;
        self.damages = Arc::default();
        self
    }

    /// Calibrates the exit rule [`ExitRule::Distance`] by this.
    pub fn with_yardstick(mut self, yardstick: Yardstick) -> Self {
        self.yardstick = yardstick;
        self.damages = Arc::default();
        self
    }

    /// Adds a second network for methods that need one.
    ///
    /// # Errors
    /// Where it does not suit the network, or its weights are damaged.
    pub fn with_companion(mut self, companion: Companion, second: &Checkpoint) -> Result<Self> {
        self.companions
            .insert(companion, second, &self.preset, &self.device)?;
        Ok(self)
    }

    /// A second network.
    ///
    /// # Errors
    /// Says how to make it where it is missing.
    pub fn companion(&self, companion: Companion) -> Result<&CompanionNetwork<B>> {
        self.companions.get(companion, &self.preset)
    }

    /// The same network, sampled from with another solver or another number of steps.
    pub fn with_solver(&self, solver: SolverConfig, steps: usize) -> Self {
        let mut preset = self.preset.clone();
        preset.sampling.solver = solver;
        preset.sampling.steps = steps;
        Self {
            model: self.model.clone(),
            preset,
            calibrations: self.calibrations.clone(),
            calibrated_solver: self.calibrated_solver,
            trained_estimators: self.trained_estimators,
            companions: self.companions.clone(),
            decoder: self.decoder.clone(),
            keeps_latents: self.keeps_latents,
            contexts: self.contexts.clone(),
            yardstick: self.yardstick.clone(),
            damages: self.damages.clone(),
            device: self.device.clone(),
            stop: self.stop,
        }
    }

    /// The same network, whose latents are left as they are: for thresholds and times, which need no
    /// images.
    pub fn without_decoder(&self) -> Self {
        let sampling = &self.preset.sampling;
        Self {
            keeps_latents: true,
            ..self.with_solver(sampling.solver, sampling.steps)
        }
    }

    /// The same network, whose latents are decoded where there is a decoder.
    fn decoding(&self) -> Self {
        Self {
            keeps_latents: false,
            ..self.without_decoder()
        }
    }

    /// What turns latents into images, where they are to be.
    fn used_decoder(&self) -> Option<&LatentDecoder<B>> {
        self.decoder.as_deref().filter(|_| !self.keeps_latents)
    }

    /// Whether the user asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Blocks of the network.
    pub fn blocks(&self) -> usize {
        self.model.backbone.depth()
    }

    /// Channels, height and width of the images: of the latents, where nothing decodes them.
    pub fn image_shape(&self) -> [usize; 3] {
        let shape = self.preset.model.backbone.image_shape();
        match self.used_decoder() {
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
            steps: sampling.steps,
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
            &AdaptiveUVit::new(&self.model, policy),
            draw,
            bar,
            &mut |_| (),
        )
    }

    /// Draws samples with anything that predicts noise, and shows `observe` every step.
    ///
    /// # Errors
    /// As [`Self::draw`].
    pub fn draw_from(
        &self,
        denoiser: &dyn Denoiser<B>,
        draw: &Draw,
        bar: &ProgressBar,
        observe: &mut dyn FnMut(&Progress<'_, B>),
    ) -> Result<Drawn> {
        if draw.guidance == 0.0 {
            return self.run(denoiser, draw, bar, observe);
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
        let guided = Guided::new(denoiser, none, draw.guidance)?;
        self.run(&guided, draw, bar, observe)
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
        let sampler = self.sampler(draw.steps)?;
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
            pixels: match self.used_decoder() {
                Some(decoder) => decoder.decode(&images, shape)?,
                None => images,
            },
            effort: Effort::of_trace(&samples.trace, draw.samples, branches),
            trace: samples.trace,
            seconds,
        })
    }

    /// The preset's schedule and solver in so many steps.
    fn sampler(&self, steps: usize) -> Result<Sampler<B>> {
        Ok(Sampler {
            schedule: self.preset.schedule.build()?,
            solver: self.preset.sampling.solver.build(),
            steps,
        })
    }

    /// Blocks and operations of samples.
    ///
    /// # Errors
    /// Where there are no samples.
    pub fn cost(&self, effort: &Effort) -> Result<ComputeSummary> {
        effort.summary(&network_cost(&self.preset.model).into())
    }

    /// The threshold for a share of blocks to skip under the preset's exit rule.
    ///
    /// # Errors
    /// As [`Self::calibration`].
    pub fn threshold(&self, reduction: f64, bar: &ProgressBar) -> Result<Calibration> {
        self.calibration(self.budget(reduction), bar)
    }

    /// The stored one of [`Self::threshold`], where there is one.
    ///
    /// # Errors
    /// As [`Self::stored`].
    pub fn stored_threshold(&self, reduction: f64) -> Result<Option<Calibration>> {
        let budget = self.budget(reduction);
        Ok(self.stored(|entry| entry.budget() == budget)?.cloned())
    }

    /// A share of blocks to skip as the preset samples otherwise.
    pub fn budget(&self, reduction: f64) -> Budget {
        Budget {
            reduction,
            ..self.preset.sampling.budget()
        }
    }

    /// The threshold for a budget: the stored one where there is one for this solver and number of
    /// steps, else one that is calibrated now.
    ///
    /// # Errors
    /// As [`Self::calibrate`].
    pub fn calibration(&self, budget: Budget, bar: &ProgressBar) -> Result<Calibration> {
        match self.stored(|entry| entry.budget() == budget)? {
            Some(calibration) => Ok(calibration.clone()),
            None => self.calibrate(budget, bar),
        }
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
    /// Where the share cannot be reached, the estimators are not trained, or the user interrupts.
    pub fn calibrate(&self, budget: Budget, bar: &ProgressBar) -> Result<Calibration> {
        self.check_estimators()?;
        if matches!(budget.exit_rule, ExitRule::Allocated | ExitRule::Distance) {
            return self.allocate(budget, bar);
        }
        let draw = self.calibration_draw(budget)?;
        let mut policy: Box<dyn ExitPolicy> = Box::new(Never);
        let mut calibration = None;
        for _ in 0..CALIBRATION_ROUNDS {
            let recording = AdaptiveUVit::new(&self.model, policy).recording_all();
            let mut trace = self.draw_from(&recording, &draw, bar, &mut |_| ())?.trace;
            // With guidance the uncertainties are those of one of the two evaluations.
            trace.blocks_per_prediction = self.blocks() as u32;
            let found = calibration_of(&trace, budget, &draw)?;
            policy = found.policy();
            calibration = Some(found);
        }
        calibration.ok_or_else(|| anyhow!("no uncertainties were recorded"))
    }

    /// # Errors
    /// Where nothing tells how uncertain blocks are.
    pub(crate) fn check_estimators(&self) -> Result<()> {
        ensure!(
            self.trained_estimators,
            "the checkpoint holds a backbone alone: nothing tells how uncertain its blocks are. \
             Sample with --full or --depth, or train the joint objective first"
        );
        Ok(())
    }

    /// The samples that methods are calibrated on, drawn as a budget has it.
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub fn calibration_draw(&self, budget: Budget) -> Result<Draw> {
        Ok(Draw {
            seed: self.preset.sampling.seed.wrapping_add(CALIBRATION_SEED),
            steps: budget.steps,
            guidance: budget.guidance,
            ..self.plan(CALIBRATION_SAMPLES)?
        })
    }

    /// Evaluations of single samples that one calibration takes.
    pub fn calibration_evaluations(&self) -> u64 {
        let sampling = &self.preset.sampling;
        let samples = match sampling.exit_rule {
            rule @ (ExitRule::Allocated | ExitRule::Distance) => {
                allocate::samples(rule, sampling.steps)
            }
            _ => CALIBRATION_ROUNDS * CALIBRATION_SAMPLES,
        };
        (samples * sampling.steps) as u64
    }
}

/// The threshold that recorded uncertainties ask for.
fn calibration_of(trace: &ExitTrace, budget: Budget, draw: &Draw) -> Result<Calibration> {
    let Budget {
        exit_rule,
        check_every: every,
        reduction,
        steps,
        guidance,
    } = budget;
    let (found, floors, depths) = match exit_rule {
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
        ExitRule::Allocated | ExitRule::Distance => {
            bail!("blocks are shared out from errors, not from uncertainties")
        }
    };
    Ok(Calibration {
        exit_rule,
        check_every: every,
        reduction,
        reached: found.reduction,
        threshold: found.threshold,
        floors,
        depths,
        windows: Vec::new(),
        steps,
        guidance,
        samples: draw.samples,
        seed: draw.seed,
        yardstick: None,
        attainment: None,
    })
}

/// The operations of a network's parts.
pub fn network_cost(model: &AdaDiffConfig) -> ComputeCost {
    let flops = model.backbone.flops();
    ComputeCost {
        embed_flops: flops.embed,
        block_flops: flops.blocks,
        estimator_flops: model.estimator_flops(),
        decode_flops: flops.decode,
    }
}
