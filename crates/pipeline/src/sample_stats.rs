//! What is kept of samples that are drawn, judged and dropped, part after part.

use std::error::Error;

use adadiff_metrics::{CHUNK, EvaluationCounts, GaussianStats};
use adadiff_model::Denoiser;
use adadiff_model::kernels::Kernels;
use adadiff_uem::{AdaptiveUVit, ExitPolicy, ExitTrace};
use serde::{Deserialize, Serialize};

use crate::{Evaluator, Monitor, Pipeline, PipelineError, SamplePlan};

/// Pixels that are kept at most: 64 images of 256 x 256, or all 512 of 32 x 32.
const SHOWN_PIXELS: usize = 64 * 3 * 256 * 256;

/// What is known of a run's samples.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleStats {
    /// The features of all samples.
    pub statistics: GaussianStats,
    /// Blocks run and estimates made.
    #[serde(rename = "effort")]
    pub counts: EvaluationCounts,
    /// Seconds of the sampling loop.
    pub seconds: f64,
    /// Pixels of the first samples, as many as a picture shows.
    pub pixels: Vec<f32>,
    /// The exits of the first samples.
    pub trace: ExitTrace,
    /// The most bytes that were kept of a sample from one evaluation to the next.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub memory_per_sample: usize,
}

fn is_nothing(bytes: &usize) -> bool {
    *bytes == 0
}

/// What is shown the statistics after each part of a run, to keep them.
pub type KeepStats<'k> = dyn FnMut(&SampleStats) -> Result<(), Box<dyn Error + Send + Sync>> + 'k;

impl SampleStats {
    /// Samples whose pixels and exits are kept; fewer pixels of large images.
    pub const SHOWN: usize = 512;

    /// Of no samples yet.
    ///
    /// # Errors
    /// Where statistics cannot start at the first sample.
    pub fn new<B: Kernels>(
        evaluator: &Evaluator<B>,
        plan: &SamplePlan,
    ) -> Result<Self, PipelineError> {
        Ok(Self {
            statistics: evaluator.no_statistics(plan.first_sample)?,
            counts: EvaluationCounts::default(),
            seconds: 0.0,
            pixels: Vec::new(),
            trace: ExitTrace::default(),
            memory_per_sample: 0,
        })
    }

    /// Draws all samples, leaving the network as `policy` says, and judges them.
    ///
    /// # Errors
    /// As [`Self::complete`].
    pub fn generate<B: Kernels>(
        pipeline: &Pipeline<B>,
        evaluator: &Evaluator<B>,
        policy: &dyn ExitPolicy,
        plan: &SamplePlan,
        monitor: &dyn Monitor,
    ) -> Result<Self, PipelineError> {
        let denoiser = AdaptiveUVit::new(&pipeline.model, policy);
        let none = Self::new(evaluator, plan)?;
        none.complete(pipeline, evaluator, &denoiser, plan, monitor, &mut |_| {
            Ok(())
        })
    }

    /// Draws the samples that are missing with anything that predicts noise, and judges each part as
    /// it is there: memory does not grow with their number. `keep` is shown the statistics after each
    /// part.
    ///
    /// # Errors
    /// Where the monitor stops it, the device fails, values are not finite, or `keep` fails.
    pub fn complete<B: Kernels>(
        mut self,
        pipeline: &Pipeline<B>,
        evaluator: &Evaluator<B>,
        denoiser: &dyn Denoiser<B>,
        plan: &SamplePlan,
        monitor: &dyn Monitor,
        keep: &mut KeepStats<'_>,
    ) -> Result<Self, PipelineError> {
        // A batch of none is refused where samples are drawn.
        let part = (CHUNK as usize).next_multiple_of(plan.batch.max(1));
        for offset in (self.counts.samples as usize..plan.samples).step_by(part) {
            let part = plan.part(offset, part);
            let generated = pipeline.generate_with(denoiser, &part, monitor, &mut |_| ())?;
            evaluator.add(&mut self.statistics, &generated.pixels, monitor)?;
            self.counts.add(&generated.counts);
            self.seconds += generated.seconds;
            self.memory_per_sample = self.memory_per_sample.max(generated.memory_per_sample);
            if offset < Self::SHOWN {
                let room = SHOWN_PIXELS.saturating_sub(self.pixels.len());
                let size = generated.pixels.len() / generated.counts.samples.max(1) as usize;
                let whole = room / size * size;
                self.pixels.extend(generated.pixels.iter().take(whole));
                self.trace.append_samples(generated.trace);
            }
            keep(&self).map_err(PipelineError::Caller)?;
        }
        Ok(self)
    }

    /// Seconds of the sampling loop for each image.
    pub fn seconds_per_image(&self) -> f64 {
        self.seconds / self.counts.samples.max(1) as f64
    }
}
