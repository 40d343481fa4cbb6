//! A trained network on a device, and how to sample from it.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use adadiff_metrics::{ComputeSummary, EvaluationCounts};
use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser};
use adadiff_sampler::{Guided, NoiseSource, Progress, SampleRequest, Sampler, SolverConfig};
use adadiff_uem::{AdaDiff, AdaptiveUVit, ExitPolicy, ExitTrace};
use burn::tensor::{Tensor, TensorData};

use crate::cost::{evaluation_counts, network_cost};
use crate::features::first_not_finite;
use crate::{
    CalibrationFile, Conditions, Contexts, LatentDecoder, Monitor, NetworkFile, PipelineConfig,
    PipelineError, SamplePlan, SampleSpec, Silent,
};

/// A trained network on a device, and how to sample from it. Clones share the network.
#[derive(Clone)]
pub struct Pipeline<B: Kernels> {
    /// The network.
    pub model: AdaDiff<B>,
    /// How samples are drawn.
    pub config: PipelineConfig,
    pub(crate) stored: CalibrationFile,
    /// The solver of stored calibrations that do not tell theirs.
    pub(crate) stored_solver: SolverConfig,
    pub(crate) weights_sha256: Option<String>,
    pub(crate) trained_estimators: bool,
    decoder: Option<Arc<LatentDecoder<B>>>,
    /// Whether latents are left as they are though there is a decoder.
    keeps_latents: bool,
    contexts: Option<Arc<dyn Contexts>>,
    device: B::Device,
}

/// Samples and what they cost.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Pixels of all samples, `[samples, channels, height, width]` in row-major order, about in
    /// `[-1, 1]`; all of them finite.
    pub pixels: Vec<f32>,
    /// Blocks run and uncertainties.
    pub trace: ExitTrace,
    /// Seconds of the sampling loop; decoding latents is not part of it.
    pub seconds: f64,
    /// Blocks run and estimates made.
    pub counts: EvaluationCounts,
    /// The most bytes that were kept of a sample from one evaluation to the next.
    pub memory_per_sample: usize,
}

impl Generated {
    /// Seconds of the sampling loop for each image.
    pub fn seconds_per_image(&self) -> f64 {
        self.seconds / self.counts.samples.max(1) as f64
    }
}

impl<B: Kernels> Pipeline<B> {
    /// Opens weights as `train` and `import` write them, and the calibrations that lie beside them.
    ///
    /// # Errors
    /// Where a file is missing or damaged.
    pub fn open(weights: impl AsRef<Path>, device: B::Device) -> Result<Self, PipelineError> {
        let path = weights.as_ref();
        let file = NetworkFile::read(path)?;
        let config = file.config()?;
        let model = file.model(&config.model, &device)?;
        let model = config.sampling.precision.cast(model, &device)?;
        let stored = CalibrationFile::read(&CalibrationFile::path_beside(path))?;
        let solver = config.sampling.solver;
        let pipeline = Self::new(model, config, device);
        let pipeline = pipeline.with_stored(file.sha256(), stored, solver);
        Ok(pipeline.with_trained_estimators(file.has_trained_estimators()))
    }

    /// A network that is on the device already, for example one in training. Its estimators are taken
    /// to be trained, and no calibrations are known of it.
    pub fn new(model: AdaDiff<B>, config: PipelineConfig, device: B::Device) -> Self {
        Self {
            model,
            stored: CalibrationFile::default(),
            stored_solver: config.sampling.solver,
            config,
            weights_sha256: None,
            trained_estimators: true,
            decoder: None,
            keeps_latents: false,
            contexts: None,
            device,
        }
    }

    /// Knows the stored calibrations, of which those of the weights with this SHA-256 are used. They are of
    /// `solver` where they do not tell theirs.
    pub fn with_stored(
        mut self,
        weights_sha256: String,
        stored: CalibrationFile,
        solver: SolverConfig,
    ) -> Self {
        self.stored = stored;
        self.stored_solver = solver;
        self.weights_sha256 = Some(weights_sha256);
        self
    }

    /// Says whether samples can leave by what the estimators tell.
    pub fn with_trained_estimators(mut self, trained: bool) -> Self {
        self.trained_estimators = trained;
        self
    }

    /// Turns latents into images.
    pub fn with_decoder(mut self, decoder: Option<LatentDecoder<B>>) -> Self {
        self.decoder = decoder.map(Arc::new);
        self
    }

    /// Draws samples for these prompts.
    pub fn with_contexts(mut self, contexts: Option<Arc<dyn Contexts>>) -> Self {
        self.contexts = contexts;
        self
    }

    /// The same network, sampled from with another solver or another number of steps.
    pub fn with_solver(&self, solver: SolverConfig, steps: usize) -> Self {
        let mut pipeline = self.clone();
        pipeline.config.sampling.solver = solver;
        pipeline.config.sampling.steps = steps;
        pipeline
    }

    /// The same network, whose latents are left as they are: for thresholds and times, which need no
    /// images.
    pub fn without_decoder(&self) -> Self {
        Self {
            keeps_latents: true,
            ..self.clone()
        }
    }

    /// The same network, whose latents are decoded where there is a decoder.
    pub(crate) fn decoding(&self) -> Self {
        Self {
            keeps_latents: false,
            ..self.clone()
        }
    }

    /// What turns latents into images, where they are to be.
    fn used_decoder(&self) -> Option<&LatentDecoder<B>> {
        self.decoder.as_deref().filter(|_| !self.keeps_latents)
    }

    /// The device.
    pub fn device(&self) -> &B::Device {
        &self.device
    }

    /// Blocks of the network.
    pub fn blocks(&self) -> usize {
        self.model.backbone.num_blocks()
    }

    /// Channels, height and width of the images: of the latents, where nothing decodes them.
    pub fn image_shape(&self) -> [usize; 3] {
        let shape = self.config.model.backbone.image_shape();
        match self.used_decoder() {
            Some(decoder) => decoder.image_shape(shape),
            None => shape,
        }
    }

    /// Which samples a specification means with this network: of all classes or prompts in turn, and
    /// as its configuration says, where nothing else is specified.
    ///
    /// # Errors
    /// Where the network is conditioned on text and there are no prompts.
    pub fn plan(&self, spec: &SampleSpec) -> Result<SamplePlan, PipelineError> {
        let sampling = &self.config.sampling;
        Ok(SamplePlan {
            first_sample: spec.first_sample,
            samples: spec.samples,
            batch: spec.batch.unwrap_or(sampling.batch),
            steps: spec.steps.unwrap_or(sampling.steps),
            seed: spec.seed.unwrap_or(sampling.seed),
            conditions: match &spec.conditions {
                Some(conditions) => conditions.clone(),
                None => self.conditions()?,
            },
            guidance: spec.guidance.unwrap_or(sampling.guidance),
        })
    }

    fn conditions(&self) -> Result<Conditions, PipelineError> {
        let network = &self.config.model.backbone;
        Ok(match (network.classes, network.text) {
            (Some(labels), _) => {
                let classes = labels - usize::from(self.config.has_no_class);
                Conditions::Classes((0..classes.max(1)).collect())
            }
            (None, Some(_)) => {
                Conditions::Texts(self.contexts.clone().ok_or(PipelineError::NoPrompts)?)
            }
            (None, None) => Conditions::None,
        })
    }

    /// Draws samples, leaving the network as `policy` says.
    ///
    /// # Errors
    /// As [`Self::generate`].
    pub fn sample(
        &self,
        policy: impl ExitPolicy,
        spec: &SampleSpec,
    ) -> Result<Generated, PipelineError> {
        self.generate(policy, &self.plan(spec)?, &Silent)
    }

    /// Draws samples, leaving the network as `policy` says, under the eyes of a monitor.
    ///
    /// # Errors
    /// Where the network knows no such conditions, the monitor stops it, the device fails, or values are
    /// not finite.
    pub fn generate(
        &self,
        policy: impl ExitPolicy,
        plan: &SamplePlan,
        monitor: &dyn Monitor,
    ) -> Result<Generated, PipelineError> {
        let denoiser = AdaptiveUVit::new(&self.model, policy);
        self.generate_with(&denoiser, plan, monitor, &mut |_| ())
    }

    /// Draws samples with anything that predicts noise, and shows `observe` every step.
    ///
    /// # Errors
    /// As [`Self::generate`].
    pub fn generate_with(
        &self,
        denoiser: &dyn Denoiser<B>,
        plan: &SamplePlan,
        monitor: &dyn Monitor,
        observe: &mut dyn FnMut(&Progress<'_, B>),
    ) -> Result<Generated, PipelineError> {
        if plan.guidance == 0.0 {
            return self.run(denoiser, plan, monitor, observe);
        }
        let guided = Guided::new(denoiser, self.unconditional(plan)?, plan.guidance)?;
        self.run(&guided, plan, monitor, observe)
    }

    /// The condition of one sample that shows nothing, from which guidance leads away.
    ///
    /// # Errors
    /// Where the network knows no such.
    pub(crate) fn unconditional(&self, plan: &SamplePlan) -> Result<Condition<B>, PipelineError> {
        match (&plan.conditions, self.config.model.backbone.classes) {
            (Conditions::Texts(contexts), _) => {
                let [tokens, width] = contexts.size();
                let empty = TensorData::new(contexts.empty(), [1, tokens, width]);
                Ok(Condition::Text(Tensor::from_data(empty, &self.device)))
            }
            (_, Some(classes)) if self.config.has_no_class => {
                let none = TensorData::from([classes as i64 - 1]);
                Ok(Condition::Class(Tensor::from_data(none, &self.device)))
            }
            _ => Err(PipelineError::NothingToGuideBy),
        }
    }

    fn run(
        &self,
        denoiser: &dyn Denoiser<B>,
        plan: &SamplePlan,
        monitor: &dyn Monitor,
        observe: &mut dyn FnMut(&Progress<'_, B>),
    ) -> Result<Generated, PipelineError> {
        self.check_conditions(&plan.conditions)?;
        let shape = self.config.model.backbone.image_shape();
        let request = SampleRequest {
            shape,
            noise: NoiseSource::seeded(plan.seed),
            first_sample: plan.first_sample,
            count: plan.samples,
            batch: plan.batch,
            condition: plan.condition(&self.device),
            device: self.device.clone(),
        };
        let sampler = self.sampler(plan.steps)?;
        let start = Instant::now();
        let samples = sampler.sample(denoiser, &request, &mut |progress| {
            monitor.advance(progress.samples.len() as u64);
            observe(progress);
            if monitor.stopped() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        // Reading the images back waits for the device, so it belongs to the time.
        let images: Vec<f32> = samples.images.into_data().iter::<f32>().collect();
        let seconds = start.elapsed().as_secs_f64();
        let pixels = match self.used_decoder() {
            Some(decoder) => decoder.decode(&images, shape, monitor)?,
            None => images,
        };
        if let Some(sample) = first_not_finite(&pixels, self.image_shape()) {
            let sample = plan.first_sample + sample;
            return Err(PipelineError::NotFinite { sample });
        }
        // Guidance evaluates the network twice and reports the sum of both evaluations' blocks.
        let branches = if plan.guidance == 0.0 { 1 } else { 2 };
        Ok(Generated {
            pixels,
            counts: evaluation_counts(&samples.trace, plan.samples, branches),
            trace: samples.trace,
            seconds,
            memory_per_sample: denoiser.memory_per_sample(),
        })
    }

    /// Checks that there is something to condition samples on, and that the network knows it: a class
    /// beyond its labels is read from beyond their table.
    pub(crate) fn check_conditions(&self, conditions: &Conditions) -> Result<(), PipelineError> {
        let labels = self.config.model.backbone.classes;
        let unknown = |class: &usize| labels.is_some_and(|labels| *class >= labels);
        match conditions {
            Conditions::Classes(classes) if classes.is_empty() || classes.iter().any(unknown) => {
                Err(PipelineError::Config(
                    "the conditions name no class, or one that the network does not have",
                ))
            }
            Conditions::Texts(contexts) if contexts.is_empty() => Err(PipelineError::NoPrompts),
            _ => Ok(()),
        }
    }

    /// The configuration's schedule and solver in so many steps.
    pub(crate) fn sampler(&self, steps: usize) -> Result<Sampler<B>, PipelineError> {
        Ok(Sampler {
            schedule: self.config.schedule.build()?,
            solver: self.config.sampling.solver.build(),
            steps,
        })
    }

    /// The most bytes of a sample that are kept from one evaluation to the next where samples leave as `policy` says:
    /// what [`Generated::memory_per_sample`] will not exceed.
    ///
    /// # Errors
    /// Where the solver does not take so many steps.
    pub fn most_memory(
        &self,
        policy: impl ExitPolicy,
        plan: &SamplePlan,
    ) -> Result<usize, PipelineError> {
        let timesteps = self.timesteps(plan.steps)?;
        let of_one = AdaptiveUVit::new(&self.model, policy).most_memory(&timesteps);
        let branches = if plan.guidance == 0.0 { 1 } else { 2 };
        Ok(branches * of_one)
    }

    /// Blocks and operations of samples.
    ///
    /// # Errors
    /// Where they ran more blocks than the network has.
    pub fn cost(&self, counts: &EvaluationCounts) -> Result<ComputeSummary, PipelineError> {
        Ok(counts.summary(&network_cost(&self.config.model).into())?)
    }
}

#[cfg(test)]
mod tests {
    use adadiff_uem::FullDepth;

    use super::*;
    use crate::testing::{bundled, pipeline};

    #[test]
    fn classes_that_the_network_does_not_have_are_refused() {
        println!("device: flex");
        let pipeline = pipeline();
        for classes in [Vec::new(), vec![0, 11]] {
            let spec = SampleSpec {
                conditions: Some(Conditions::Classes(classes)),
                ..SampleSpec::new(2)
            };
            let error = pipeline.sample(FullDepth, &spec).unwrap_err();
            assert!(matches!(error, PipelineError::Config(_)), "{error}");
        }
    }

    #[test]
    fn the_last_label_is_a_class_where_no_label_was_dropped_in_training() {
        println!("device: flex");
        let header = std::fs::read(bundled().join("weights.safetensors")).unwrap();
        let file = NetworkFile::new(header, "weights.safetensors".into()).unwrap();
        let text = file.preset(|text| Ok::<_, std::convert::Infallible>(text.to_owned()));
        let text = text.unwrap();
        let classes = |text: &str| {
            let mut pipeline = pipeline();
            pipeline.config = toml::from_str(text).unwrap();
            match pipeline.plan(&SampleSpec::new(20)).unwrap().conditions {
                Conditions::Classes(classes) => (pipeline, classes),
                other => panic!("{other:?}"),
            }
        };
        let (pipeline, found) = classes(&text);
        assert!(pipeline.config.has_no_class);
        assert_eq!(found, (0..10).collect::<Vec<_>>());
        let (pipeline, found) =
            classes(&text.replace("label_dropout = 0.1", "label_dropout = 0.0"));
        assert_eq!(found, (0..11).collect::<Vec<_>>());
        let guided = SampleSpec {
            guidance: Some(1.5),
            ..SampleSpec::new(1)
        };
        let error = pipeline.sample(FullDepth, &guided).unwrap_err();
        assert!(matches!(error, PipelineError::NothingToGuideBy), "{error}");
    }
}
