//! A checkpoint on a device.

use std::sync::Arc;

use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{
    Calibration, Calibrator, Contexts, LatentDecoder, Pipeline, PipelineError, ReferenceSource,
    SamplePlan, SampleSpec, SamplingConfig,
};
use adadiff_sampler::SolverConfig;
use adadiff_uem::AdaDiff;
use anyhow::Result;

use super::{BaselineNetwork, BaselineNetworks, Checkpoint, LoadedBaseline};
use crate::presets::Preset;

/// A checkpoint on a device: its pipeline and what calibrates it, its preset, and the networks that
/// other methods need.
#[derive(Clone)]
pub struct LoadedCheckpoint<B: Kernels> {
    preset: Preset,
    calibrator: Calibrator<B>,
    baselines: BaselineNetworks<B>,
}

impl<B: Kernels> LoadedCheckpoint<B> {
    /// Loads a checkpoint onto a device.
    ///
    /// # Errors
    /// Where the checkpoint is damaged.
    pub fn new(checkpoint: Checkpoint, device: B::Device) -> Result<Self> {
        let model = checkpoint.model(&device)?;
        let mut baselines = BaselineNetworks::default();
        for (baseline, second) in &checkpoint.baselines {
            baselines.insert(*baseline, second, &checkpoint.preset, &model, &device)?;
        }
        let Checkpoint { preset, .. } = &checkpoint;
        let precision = preset.sampling.precision;
        let model = precision.cast(model, &device)?;
        let pipeline = Pipeline::new(model, preset.into(), device)
            .with_trained_estimators(checkpoint.trained_estimators)
            .with_stored(
                checkpoint.sha256,
                checkpoint.calibrations,
                checkpoint.calibrated_solver,
            );
        Ok(Self {
            calibrator: Calibrator::new(&pipeline),
            preset: checkpoint.preset,
            baselines,
        })
    }

    /// A network that is on the device already, for example one in training.
    pub fn of_model(model: AdaDiff<B>, preset: Preset, device: B::Device) -> Self {
        let pipeline = Pipeline::new(model, (&preset).into(), device);
        Self {
            calibrator: Calibrator::new(&pipeline),
            preset,
            baselines: BaselineNetworks::default(),
        }
    }

    /// The same with what stands before and behind the network, and what calibrates the exit rule
    /// [`Distance`](adadiff_pipeline::ExitRule::Distance).
    pub fn with_components(
        self,
        decoder: Option<LatentDecoder<B>>,
        contexts: Option<Arc<dyn Contexts>>,
        reference: Arc<dyn ReferenceSource<B>>,
    ) -> Self {
        let pipeline = self.pipeline().clone();
        let pipeline = pipeline.with_decoder(decoder).with_contexts(contexts);
        Self {
            calibrator: Calibrator::new(&pipeline).with_reference(reference),
            ..self
        }
    }

    /// A second network.
    ///
    /// # Errors
    /// Says how to make it where it is missing.
    pub fn baseline(&self, baseline: BaselineNetwork) -> Result<&LoadedBaseline<B>> {
        self.baselines.get(baseline, &self.preset)
    }

    /// The same network, sampled from with another solver or another number of steps.
    pub fn with_solver(&self, solver: SolverConfig, steps: usize) -> Self {
        let mut preset = self.preset.clone();
        preset.sampling.solver = solver;
        preset.sampling.steps = steps;
        Self {
            preset,
            calibrator: self.calibrator.with_solver(solver, steps),
            baselines: self.baselines.clone(),
        }
    }

    /// The same network, whose latents are left as they are: for thresholds and times, which need no
    /// images.
    pub fn without_decoder(&self) -> Self {
        Self {
            calibrator: self.calibrator.without_decoder(),
            ..self.clone()
        }
    }

    /// The preset, with the command line's changes.
    pub fn preset(&self) -> &Preset {
        &self.preset
    }

    /// What samples are drawn with.
    pub fn pipeline(&self) -> &Pipeline<B> {
        self.calibrator.pipeline()
    }

    /// What calibrates exits to budgets.
    pub fn calibrator(&self) -> &Calibrator<B> {
        &self.calibrator
    }

    /// Samples of all classes or prompts in turn, as the preset says.
    ///
    /// # Errors
    /// As [`Pipeline::plan`].
    pub fn plan(&self, samples: usize) -> Result<SamplePlan, PipelineError> {
        self.pipeline().plan(&SampleSpec::new(samples))
    }

    /// Changes how samples are drawn.
    pub fn change_sampling(&mut self, change: impl FnOnce(&mut SamplingConfig)) {
        change(&mut self.preset.sampling);
        self.calibrator.pipeline_mut().config.sampling = self.preset.sampling.clone();
    }

    /// Adds a calibration to those that are known.
    pub fn remember(&mut self, calibration: Calibration) {
        self.calibrator.remember(calibration);
    }

    /// Samples by a calibration from now on: its share of blocks becomes the preset's.
    pub fn adopt(&mut self, calibration: Calibration) {
        self.change_sampling(|sampling| sampling.reduction = calibration.reduction);
        self.remember(calibration);
    }

    /// Forgets the stored calibrations, so that exits are calibrated again.
    pub fn forget(&mut self) {
        self.calibrator.forget();
    }
}
