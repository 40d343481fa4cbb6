//! From a method to what predicts the noise in its way.

use adadiff_metrics::ComputeCost;
use adadiff_model::kernels::Kernels;
use adadiff_model::{FeatureCache, Switched, TokenMerging};
use adadiff_uem::{
    AdaDiff, AdaptiveUVit, BatchExit, CalibratedThreshold, DepthSchedule, Evidence, ExitPolicy,
    FixedDepth, Never, Patience, Saturation, Threshold, calibrate_policy,
};
use anyhow::{Result, anyhow};
use indicatif::ProgressBar;

use crate::calibrations::Budget;
use crate::checkpoint::Companion;
use crate::methods::{CostModel, Method, PreparedMethod};
use crate::study::{CALIBRATION_ROUNDS, Study, network_cost};

impl Method {
    /// Calibrates the method to its budget on samples that no figure is measured on, where it has
    /// one, and makes what draws samples in its way.
    ///
    /// # Errors
    /// Where the knob makes no sense, the budget cannot be reached, a network is missing that the
    /// method needs ([`Self::companion`]), or the user interrupts.
    pub fn prepare<'s, B: Kernels>(
        &self,
        study: &'s Study<'_, B>,
        bar: &ProgressBar,
    ) -> Result<PreparedMethod<'s, B>> {
        self.validate()?;
        let backbone = &study.model.backbone;
        let network = network_cost(&study.preset.model);
        let steps = study.preset.sampling.steps;
        let full = || PreparedMethod {
            method: *self,
            denoiser: Box::new(AdaptiveUVit::new(&study.model, Never)),
            steps,
            cost: CostModel::from(network.clone()),
            calibration: None,
            threshold: None,
        };
        Ok(match *self {
            Self::Full => full(),
            Self::StaticDepth { depth } => PreparedMethod {
                denoiser: Box::new(AdaptiveUVit::new(&study.model, FixedDepth(depth))),
                ..full()
            },
            Self::AdaDiff { rule, reduction } => {
                let budget = Budget {
                    exit_rule: rule,
                    ..study.budget(reduction)
                };
                let calibration = study.calibration(budget, bar)?;
                PreparedMethod {
                    denoiser: Box::new(AdaptiveUVit::new(&study.model, calibration.policy())),
                    calibration: Some(calibration),
                    ..full()
                }
            }
            Self::Published { reduction } => {
                let threshold = published_threshold(study, reduction, bar)?.threshold;
                let policy = published_policy(study, threshold);
                PreparedMethod {
                    denoiser: Box::new(BatchExit::new(&study.model, policy)),
                    threshold: Some(threshold),
                    ..full()
                }
            }
            Self::Saturation { reduction } => {
                let policy = |change| Saturation { change };
                let evidence = Evidence::Change;
                let found = threshold(study, &study.model, evidence, reduction, policy, bar)?;
                let policy = policy(found.threshold);
                PreparedMethod {
                    denoiser: Box::new(AdaptiveUVit::new(&study.model, policy)),
                    threshold: Some(found.threshold),
                    cost: CostModel::from(ComputeCost {
                        estimator_flops: comparison_flops(study),
                        ..network.clone()
                    }),
                    ..full()
                }
            }
            Self::LearnedExit { reduction } => {
                let learned = study.companion(Companion::LearnedExit)?;
                let policy = |uncertainty| Threshold { uncertainty };
                let evidence = Evidence::Uncertainty;
                let found = threshold(study, &learned.model, evidence, reduction, policy, bar)?;
                let policy = policy(found.threshold);
                PreparedMethod {
                    denoiser: Box::new(AdaptiveUVit::new(&learned.model, policy)),
                    threshold: Some(found.threshold),
                    cost: CostModel::from(network_cost(&learned.config)),
                    ..full()
                }
            }
            Self::DuoDiff { switch } => {
                let shallow = study.companion(Companion::Shallow)?;
                let cost = network_cost(&shallow.config);
                let run = cost.block_flops.len() as u32;
                let flops = cost.embed_flops + cost.block_flops.iter().sum::<f64>();
                PreparedMethod {
                    denoiser: Box::new(Switched {
                        early: &shallow.model.backbone,
                        late: backbone,
                        switch: switch_timestep(&study.timesteps(steps)?, switch),
                    }),
                    cost: CostModel::from(network.clone())
                        .with_evaluation(run, flops + cost.decode_flops),
                    ..full()
                }
            }
            Self::DepthDrop { reduction } => {
                let timesteps = study.timesteps(steps)?;
                let noise = study.preset.schedule.build()?.network_timestep(1.0);
                let schedule =
                    DepthSchedule::staircase(&timesteps, noise, study.blocks(), reduction)?;
                PreparedMethod {
                    denoiser: Box::new(AdaptiveUVit::new(&study.model, schedule)),
                    ..full()
                }
            }
            Self::FewerSteps { steps } => PreparedMethod {
                steps: steps.get(),
                ..full()
            },
            Self::FeatureCache { interval } => {
                let (run, flops) = study.preset.model.backbone.cached_evaluation();
                PreparedMethod {
                    denoiser: Box::new(FeatureCache::new(backbone, interval)),
                    cost: CostModel::from(network.clone()).with_evaluation(run, flops),
                    ..full()
                }
            }
            Self::TokenMerging { ratio } => PreparedMethod {
                denoiser: Box::new(TokenMerging::new(backbone, ratio)),
                cost: CostModel::from(ComputeCost {
                    block_flops: study.preset.model.backbone.merged_flops(ratio).blocks,
                    ..network.clone()
                }),
                ..full()
            },
        })
    }
}

/// The threshold of a policy that meets a budget. As in [`Study::calibrate`] the evidence is recorded
/// again along the paths that the last threshold leads to.
fn threshold<B: Kernels, P: ExitPolicy + 'static>(
    study: &Study<'_, B>,
    model: &AdaDiff<B>,
    evidence: Evidence,
    reduction: f64,
    policy: impl Fn(f32) -> P,
    bar: &ProgressBar,
) -> Result<CalibratedThreshold> {
    let draw = study.calibration_draw(study.preset.sampling.budget())?;
    let mut leaving: Box<dyn ExitPolicy> = Box::new(Never);
    let mut found = None;
    for _ in 0..CALIBRATION_ROUNDS {
        let recording = AdaptiveUVit::new(model, leaving).recording(evidence);
        let mut trace = study.draw_from(&recording, &draw, bar, &mut |_| ())?.trace;
        // With guidance the evidence is that of one of the two evaluations.
        trace.blocks_per_prediction = study.blocks() as u32;
        let threshold = calibrate_policy(&trace, reduction, &policy)?;
        leaving = Box::new(policy(threshold.threshold));
        found = Some(threshold);
    }
    found.ok_or_else(|| anyhow!("nothing was recorded"))
}

/// The threshold of the published rule, of batches of the size that samples are drawn in.
fn published_threshold<B: Kernels>(
    study: &Study<'_, B>,
    reduction: f64,
    bar: &ProgressBar,
) -> Result<CalibratedThreshold> {
    study.check_estimators()?;
    let draw = study.calibration_draw(study.preset.sampling.budget())?;
    let mut leaving: Box<dyn ExitPolicy> = Box::new(Never);
    let mut found = None;
    for _ in 0..CALIBRATION_ROUNDS {
        let recording = AdaptiveUVit::new(&study.model, leaving).recording_all();
        let trace = study.draw_from(&recording, &draw, bar, &mut |_| ())?.trace;
        let mut batches = trace.of_batches(draw.batch);
        batches.blocks_per_prediction = study.blocks() as u32;
        let policy = |uncertainty| published_policy(study, uncertainty);
        let threshold = calibrate_policy(&batches, reduction, policy)?;
        // Batches leave together: along the paths that this leads to, by their depths over time.
        let exits = batches.replay(&published_policy(study, threshold.threshold));
        let exits = exits.ok_or_else(|| anyhow!("the recorded trace lacks uncertainties"))?;
        leaving = Box::new(DepthSchedule::from_exits(&exits));
        found = Some(threshold);
    }
    found.ok_or_else(|| anyhow!("nothing was recorded"))
}

/// The rule of the published code: for networks on text the first crossing of the threshold, for the
/// others the second one in the in-blocks.
fn published_policy<B: Kernels>(study: &Study<'_, B>, uncertainty: f32) -> Box<dyn ExitPolicy> {
    match study.preset.model.backbone.text {
        Some(_) => Box::new(Threshold { uncertainty }),
        None => Box::new(Patience { uncertainty }),
    }
}

/// Operations of comparing a sample's image tokens before and after a block: a product and two norms.
fn comparison_flops<B: Kernels>(study: &Study<'_, B>) -> f64 {
    let backbone = &study.preset.model.backbone;
    6.0 * (backbone.patches() * backbone.width) as f64
}

/// The timestep above which the first `share` of a solver's evaluations lie.
fn switch_timestep(timesteps: &[f64], share: f64) -> f64 {
    let mut falling = timesteps.to_vec();
    falling.sort_by(|a, b| b.total_cmp(a));
    let early = (share * falling.len() as f64).round() as usize;
    match (
        early.checked_sub(1).map(|last| falling[last]),
        falling.get(early),
    ) {
        (Some(last), Some(next)) => (last + next) / 2.0,
        (Some(_), None) => f64::NEG_INFINITY,
        (None, _) => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_lies_between_the_last_early_and_the_first_late_evaluation() {
        let timesteps = [900.0, 500.0, 700.0, 100.0];
        assert_eq!(switch_timestep(&timesteps, 0.5), 600.0);
        assert_eq!(switch_timestep(&timesteps, 0.25), 800.0);
        assert_eq!(switch_timestep(&timesteps, 0.0), f64::INFINITY);
        assert_eq!(switch_timestep(&timesteps, 1.0), f64::NEG_INFINITY);
    }
}
