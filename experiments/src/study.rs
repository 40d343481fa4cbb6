//! Drawing samples from a trained network under an exit policy, timed and accounted for.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use adadiff_metrics::{ComputeCost, ComputeSummary, Evaluation};
use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser};
use adadiff_sampler::{
    DpmSolverPlusPlus, Guided, NoiseSource, Progress, SampleError, SampleRequest, Sampler, VpLinear,
};
use adadiff_uem::{
    AdaDiff, AdaptiveUVit, DepthSchedule, ExitPolicy, ExitTrace, Never, calibrate,
    calibrate_excess, estimator_flops,
};
use anyhow::{Result, anyhow, bail};
use burn::tensor::{Tensor, TensorData};
use indicatif::ProgressBar;

use crate::calibrations::{Budget, Calibration, Calibrations, ExitRule};
use crate::checkpoint::Checkpoint;
use crate::preset::Preset;

/// The solver's name in results.
pub const SOLVER: &str = "dpm_solver_plus_plus_2m";

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
    device: B::Device,
    stop: &'a AtomicBool,
}

/// Which samples to draw.
#[derive(Clone, Debug)]
pub struct Draw {
    /// Number of samples.
    pub samples: usize,
    /// Samples of a batch.
    pub batch: usize,
    /// Seed of all noise.
    pub seed: u64,
    /// The label of each sample; the first is used again after the last.
    pub labels: Vec<usize>,
    /// Guidance scale; zero for none.
    pub guidance: f64,
}

impl Draw {
    /// Samples of all classes in turn, without guidance.
    pub fn of_all_classes(preset: &Preset, samples: usize) -> Self {
        let labels = preset
            .model
            .backbone
            .classes
            .map_or(1, |classes| classes - 1);
        Self {
            samples,
            batch: preset.sampling.batch,
            seed: preset.sampling.seed,
            labels: (0..labels.max(1)).collect(),
            guidance: 0.0,
        }
    }
}

/// Samples and what they cost.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Pixels of all samples, `[samples, channels, height, width]` in row-major order.
    pub pixels: Vec<f32>,
    /// Blocks run and uncertainties.
    pub trace: ExitTrace,
    /// Seconds of the sampling loop for each image.
    pub seconds_per_image: f64,
    /// Blocks and operations.
    pub cost: ComputeSummary,
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
            device,
            stop,
        }
    }

    /// Blocks of the network.
    pub fn blocks(&self) -> usize {
        self.model.backbone.depth()
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
        let Some(classes) = self.preset.model.backbone.classes else {
            bail!("guidance needs a network that is conditioned on classes")
        };
        let none = TensorData::from([classes as i64 - 1]);
        let none = Condition::Class(Tensor::from_data(none, &self.device));
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
        let backbone = &self.preset.model.backbone;
        let labels: Vec<i64> = draw
            .labels
            .iter()
            .cycle()
            .take(draw.samples)
            .map(|&label| label as i64)
            .collect();
        let condition = match backbone.classes {
            None => Condition::None,
            Some(_) => Condition::Class(Tensor::from_data(
                TensorData::new(labels, [draw.samples]),
                &self.device,
            )),
        };
        let request = SampleRequest {
            shape: backbone.image_shape(),
            noise: NoiseSource::seeded(draw.seed),
            first_sample: 0,
            count: draw.samples,
            batch: draw.batch,
            condition,
            device: self.device.clone(),
        };
        let sampler = Sampler {
            schedule: Box::new(VpLinear::default()),
            solver: Box::new(DpmSolverPlusPlus {
                data_bound: Some(1.0),
                ..DpmSolverPlusPlus::default()
            }),
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
            SampleError::Cancelled { .. } => anyhow!("interrupted; nothing was written"),
            error => error.into(),
        })?;
        // Reading the pixels back waits for the device, so it belongs to the time.
        let pixels = samples.images.into_data().iter::<f32>().collect();
        let seconds_per_image = start.elapsed().as_secs_f64() / draw.samples as f64;
        let cost = self.cost(&samples.trace, draw)?;
        Ok(Drawn {
            pixels,
            trace: samples.trace,
            seconds_per_image,
            cost,
        })
    }

    /// Blocks and operations of a trace.
    fn cost(&self, trace: &ExitTrace, draw: &Draw) -> Result<ComputeSummary> {
        let flops = self.preset.model.backbone.flops();
        let cost = ComputeCost {
            embed_flops: flops.embed,
            block_flops: flops.blocks,
            estimator_flops: estimator_flops(
                self.preset.model.estimator,
                &self.preset.model.backbone,
            ),
            decode_flops: flops.decode,
        };
        // Guidance evaluates the network twice and reports the sum of both evaluations' blocks.
        let branches = if draw.guidance == 0.0 { 1 } else { 2 };
        let evaluations = trace.steps.iter().flat_map(|step| {
            step.blocks
                .iter()
                .zip(&step.uncertainty)
                .flat_map(move |(&blocks, uncertainty)| {
                    (0..branches).map(move |branch| Evaluation {
                        blocks: blocks / branches + u32::from(branch < blocks % branches),
                        estimates: uncertainty.len() as u32,
                    })
                })
        });
        Ok(cost.summary(evaluations, draw.samples)?)
    }

    /// The threshold for a share of blocks to skip: the stored one where there is one for this
    /// number of steps, else one that is calibrated now.
    ///
    /// # Errors
    /// Where the share cannot be reached or the user interrupts.
    pub fn threshold(&self, reduction: f64, bar: &ProgressBar) -> Result<Calibration> {
        let budget = Budget {
            reduction,
            ..self.preset.sampling.budget()
        };
        match self.calibrations.find(budget) {
            Some(calibration) => Ok(calibration.clone()),
            None => self.calibrate(reduction, bar),
        }
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
            ..Draw::of_all_classes(&self.preset, CALIBRATION_SAMPLES)
        };
        let mut policy: Box<dyn ExitPolicy> = Box::new(Never);
        let mut calibration = None;
        for _ in 0..CALIBRATION_ROUNDS {
            let recording = AdaptiveUVit::new(&self.model, policy).recording_all();
            let trace = self.draw_from(recording, &draw, bar, &mut |_| ())?.trace;
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
