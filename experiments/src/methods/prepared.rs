//! A method that is ready to draw samples.

use adadiff_metrics::{ComputeSummary, CostModel, EvaluationCounts};
use adadiff_model::Denoiser;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{
    Calibration, Evaluator, Generated, Monitor, Pipeline, PipelineError, SamplePlan, SampleStats,
};
use adadiff_storage::ResumeStore;
use anyhow::Result;

use super::{Method, judge_samples};

/// A method, calibrated for a network that it draws from.
pub struct PreparedMethod<'s, B: Kernels> {
    pub method: Method,
    /// What predicts the noise.
    pub denoiser: Box<dyn Denoiser<B> + 's>,
    /// Network evaluations for each sample.
    pub steps: usize,
    pub cost: CostModel,
    /// The calibration of [`Method::AdaDiff`].
    pub calibration: Option<Calibration>,
    /// The threshold of other methods that leave by one.
    pub threshold: Option<f32>,
}

impl<'s, B: Kernels> PreparedMethod<'s, B> {
    /// The same where this predicts the noise.
    pub fn drawn_by(self, denoiser: impl Denoiser<B> + 's) -> Self {
        Self {
            denoiser: Box::new(denoiser),
            ..self
        }
    }

    /// The same where an evaluation may also run so many blocks, at this cost for a sample.
    pub fn with_evaluation(self, run: u32, flops: f64) -> Self {
        Self {
            cost: self.cost.with_evaluation(run, flops),
            ..self
        }
    }

    /// The samples of `draw`, in this method's number of steps.
    pub fn plan(&self, draw: &SamplePlan) -> SamplePlan {
        SamplePlan {
            steps: self.steps,
            ..draw.clone()
        }
    }

    /// Draws samples.
    ///
    /// # Errors
    /// Where the user interrupts or the device fails.
    pub fn draw(
        &self,
        pipeline: &Pipeline<B>,
        draw: &SamplePlan,
        monitor: &dyn Monitor,
    ) -> Result<Generated, PipelineError> {
        pipeline.generate_with(
            self.denoiser.as_ref(),
            &self.plan(draw),
            monitor,
            &mut |_| (),
        )
    }

    /// Draws what is missing of the samples that `store` keeps, and judges them.
    ///
    /// # Errors
    /// As [`judge_samples`].
    pub fn evaluate(
        &self,
        pipeline: &Pipeline<B>,
        evaluator: &Evaluator<B>,
        draw: &SamplePlan,
        store: &ResumeStore,
        monitor: &dyn Monitor,
    ) -> Result<SampleStats> {
        let plan = self.plan(draw);
        let denoiser = self.denoiser.as_ref();
        judge_samples(
            pipeline,
            evaluator,
            denoiser,
            &plan,
            (store, "samples"),
            monitor,
        )
    }

    /// Blocks and operations of samples that were drawn.
    ///
    /// # Errors
    /// Where they ran more blocks than the network has.
    pub fn cost(&self, counts: &EvaluationCounts) -> Result<ComputeSummary> {
        Ok(counts.summary(&self.cost)?)
    }
}
