//! Samples that are drawn and judged part after part, each kept: an interruption loses one part.

use adadiff_model::Denoiser;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Evaluator, Monitor, Pipeline, PipelineError, SamplePlan, SampleStats};
use adadiff_storage::ResumeStore;
use anyhow::Result;

/// Draws what is missing of the samples that `store` keeps under `name`, and judges them.
///
/// # Errors
/// Where the monitor stops it, the device fails, or what is kept is damaged or cannot be written.
pub fn judge_samples<B: Kernels>(
    pipeline: &Pipeline<B>,
    evaluator: &Evaluator<B>,
    denoiser: &dyn Denoiser<B>,
    plan: &SamplePlan,
    (store, name): (&ResumeStore, &str),
    monitor: &dyn Monitor,
) -> Result<SampleStats> {
    let so_far: SampleStats = match store.read(name)? {
        Some(stats) => stats,
        None => SampleStats::new(evaluator, plan)?,
    };
    monitor.advance(so_far.counts.samples * plan.steps as u64);
    let mut keep = |stats: &SampleStats| Ok(store.write(name, stats)?);
    let judged: Result<_, PipelineError> =
        so_far.complete(pipeline, evaluator, denoiser, plan, monitor, &mut keep);
    Ok(judged?)
}
