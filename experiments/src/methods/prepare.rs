//! From a method to what predicts the noise in its way.

use std::num::NonZeroUsize;

use adadiff_metrics::{ComputeCost, CostModel};
use adadiff_model::kernels::Kernels;
use adadiff_model::{EasyCache, FeatureCache, SpeCa, Switched, TaylorSeer, TokenMerging};
use adadiff_pipeline::{CALIBRATION_ROUNDS, CalibrationKey, Monitor, network_cost, settle};
use adadiff_uem::{
    AdaDiff, AdaptiveUVit, BatchExit, BlockCache, BlockErrorRecorder, CalibratedThreshold,
    DepthSchedule, ExitPolicy, ExitSignal, FixedDepth, FullDepth, Patience, Saturation, Threshold,
    calibrate_policy,
};
use anyhow::{Context, Result};

use crate::checkpoint::BaselineNetwork;
use crate::checkpoint::LoadedCheckpoint;
use crate::methods::method::SPECA_ORDER;
use crate::methods::{Method, PreparedMethod};

impl Method {
    /// Calibrates the method to its budget on samples that no figure is measured on, where it has
    /// one, and makes what draws samples in its way.
    ///
    /// # Errors
    /// Where the knob makes no sense, the budget cannot be reached, a network is missing that the
    /// method needs ([`Self::baseline`]), or the user interrupts.
    pub fn prepare<'s, B: Kernels>(
        &self,
        loaded: &'s LoadedCheckpoint<B>,
        monitor: &dyn Monitor,
    ) -> Result<PreparedMethod<'s, B>> {
        self.validate()?;
        let (pipeline, config) = (loaded.pipeline(), &loaded.preset().model);
        let (model, backbone) = (&pipeline.model, &pipeline.model.backbone);
        let steps = loaded.preset().sampling.steps;
        let full = PreparedMethod {
            method: *self,
            denoiser: Box::new(AdaptiveUVit::new(model, FullDepth)),
            steps,
            cost: network_cost(config).into(),
            calibration: None,
            threshold: None,
        };
        Ok(match *self {
            Self::Full => full,
            Self::StaticDepth { depth } => {
                full.drawn_by(AdaptiveUVit::new(model, FixedDepth(depth)))
            }
            Self::AdaDiff { rule, reduction } => {
                let key = CalibrationKey {
                    exit_rule: rule,
                    ..loaded.calibrator().key(reduction)
                };
                let calibration = loaded.calibrator().for_key(key, monitor)?;
                let adaptive = AdaptiveUVit::new(model, calibration.policy());
                PreparedMethod {
                    calibration: Some(calibration),
                    ..full.drawn_by(adaptive)
                }
            }
            Self::Published { reduction } => {
                let threshold = published_threshold(loaded, reduction, monitor)?.threshold;
                let policy = published_policy(loaded, threshold);
                PreparedMethod {
                    threshold: Some(threshold),
                    ..full.drawn_by(BatchExit::new(model, policy))
                }
            }
            Self::Saturation { reduction } => {
                let policy = |change| Saturation { change };
                let evidence = ExitSignal::Change;
                let found = threshold(loaded, model, evidence, reduction, policy, monitor)?;
                let policy = policy(found.threshold);
                PreparedMethod {
                    threshold: Some(found.threshold),
                    cost: CostModel::from(ComputeCost {
                        estimator_flops: comparison_flops(loaded),
                        ..network_cost(config)
                    }),
                    ..full.drawn_by(AdaptiveUVit::new(model, policy))
                }
            }
            Self::LearnedExit { reduction } => {
                let learned = loaded.baseline(BaselineNetwork::LearnedExit)?;
                let policy = |uncertainty| Threshold { uncertainty };
                let evidence = ExitSignal::Uncertainty;
                let found =
                    threshold(loaded, &learned.model, evidence, reduction, policy, monitor)?;
                let policy = policy(found.threshold);
                PreparedMethod {
                    threshold: Some(found.threshold),
                    cost: network_cost(&learned.config).into(),
                    ..full.drawn_by(AdaptiveUVit::new(&learned.model, policy))
                }
            }
            Self::DuoDiff { switch } => {
                let shallow = loaded.baseline(BaselineNetwork::Shallow)?;
                let cost = network_cost(&shallow.config);
                let run = cost.block_flops.len() as u32;
                let flops = cost.embed_flops + cost.block_flops.iter().sum::<f64>();
                let both = Switched {
                    early: &shallow.model.backbone,
                    late: backbone,
                    switch: switch_timestep(&pipeline.timesteps(steps)?, switch),
                };
                full.drawn_by(both)
                    .with_evaluation(run, flops + cost.decode_flops)
            }
            Self::DepthDrop { reduction } => {
                let timesteps = pipeline.timesteps(steps)?;
                let noise = loaded.preset().schedule.build()?.network_timestep(1.0);
                let schedule =
                    DepthSchedule::staircase(&timesteps, noise, pipeline.blocks(), reduction)?;
                full.drawn_by(AdaptiveUVit::new(model, schedule))
            }
            Self::FewerSteps { steps } => PreparedMethod {
                steps: steps.get(),
                ..full
            },
            Self::FeatureCache { interval } => {
                let (run, flops) = config.backbone.cached_evaluation();
                full.drawn_by(FeatureCache::new(backbone, interval))
                    .with_evaluation(run, flops)
            }
            Self::EasyCache { tolerance, scope } => {
                let evaluations = pipeline.timesteps(steps)?.len();
                full.drawn_by(EasyCache::new(backbone, tolerance, scope, evaluations))
                    .with_evaluation(0, 0.0)
            }
            Self::TaylorSeer { interval, order } => full
                .drawn_by(TaylorSeer::new(backbone, interval, order))
                .with_evaluation(0, config.backbone.forecast_flops()),
            Self::SpeCa { tolerance, scope } => {
                let evaluations = pipeline.timesteps(steps)?.len();
                let (run, verified) = config.backbone.verified_evaluation();
                let speca = SpeCa::new(backbone, tolerance, SPECA_ORDER, scope, evaluations);
                full.drawn_by(speca)
                    .with_evaluation(0, config.backbone.forecast_flops())
                    .with_evaluation(run, verified)
            }
            Self::FirstBlockCache { tolerance } => block_cache(loaded, full, 1, tolerance, 0)?,
            Self::DbCache { tolerance } => {
                let outer = (DB_OUTER * pipeline.blocks() as f64).round() as usize;
                let warm_up = (DB_WARM_UP * steps as f64).ceil() as usize;
                block_cache(loaded, full, outer, tolerance, warm_up)?
            }
            Self::Oracle { reduction } => {
                let calibrator = loaded.calibrator();
                let windows = calibrator.oracle(calibrator.key(reduction), monitor)?;
                let oracle = BlockErrorRecorder::new(model, windows).by_errors();
                full.drawn_by(oracle.unrecorded())
            }
            Self::TokenMerging { ratio } => PreparedMethod {
                cost: CostModel::from(ComputeCost {
                    block_flops: config.backbone.merged_flops(ratio).blocks,
                    ..network_cost(config)
                }),
                ..full.drawn_by(TokenMerging::new(backbone, ratio))
            },
        })
    }
}

/// DBCache's blocks at either end of the network, as a share of all: 8 of the 57 of FLUX.
const DB_OUTER: f64 = 8.0 / 57.0;

/// DBCache's warm-up, as a share of the evaluations: 8 of 50.
const DB_WARM_UP: f64 = 8.0 / 50.0;

/// First-block caching with as many blocks at both ends, after evaluations that run every block.
fn block_cache<'s, B: Kernels>(
    loaded: &'s LoadedCheckpoint<B>,
    full: PreparedMethod<'s, B>,
    outer: usize,
    tolerance: f64,
    warm_up: usize,
) -> Result<PreparedMethod<'s, B>> {
    let pipeline = loaded.pipeline();
    let outer = outer.clamp(1, (pipeline.blocks() / 2).max(1));
    let timesteps = pipeline.timesteps(full.steps)?;
    let (run, flops) = loaded
        .preset()
        .model
        .backbone
        .outer_evaluation(outer, outer);
    let cache = BlockCache {
        first: NonZeroUsize::MIN.saturating_add(outer - 1),
        last: outer,
        movement: tolerance as f32,
        from: timesteps.get(warm_up).copied().unwrap_or(f64::NEG_INFINITY),
        longest: None,
    };
    let full = PreparedMethod {
        threshold: Some(cache.movement),
        cost: CostModel::from(ComputeCost {
            estimator_flops: comparison_flops(loaded),
            ..network_cost(&loaded.preset().model)
        }),
        ..full.drawn_by(AdaptiveUVit::new(&pipeline.model, cache))
    };
    Ok(full.with_evaluation(run, flops + comparison_flops(loaded)))
}

/// The threshold of a policy that meets a budget, from the evidence along the paths that it leads to.
fn threshold<B: Kernels, P: ExitPolicy + 'static>(
    loaded: &LoadedCheckpoint<B>,
    model: &AdaDiff<B>,
    evidence: ExitSignal,
    reduction: f64,
    policy: impl Fn(f32) -> P,
    monitor: &dyn Monitor,
) -> Result<CalibratedThreshold> {
    let (pipeline, calibrator) = (loaded.pipeline(), loaded.calibrator());
    let plan = calibrator.plan(calibrator.key(reduction))?;
    settle(CALIBRATION_ROUNDS, |leaving| {
        let recording = AdaptiveUVit::new(model, leaving).recording(evidence);
        let drawn = pipeline.generate_with(&recording, &plan, monitor, &mut |_| ())?;
        let mut trace = drawn.trace;
        // With guidance the evidence is that of one of the two evaluations.
        trace.blocks_per_prediction = pipeline.blocks() as u32;
        let found = calibrate_policy(&trace, reduction, &policy)?;
        let leaving: Box<dyn ExitPolicy> = Box::new(policy(found.threshold));
        Ok((found, leaving))
    })
}

/// The threshold of the published rule, of batches of the size that samples are drawn in.
fn published_threshold<B: Kernels>(
    loaded: &LoadedCheckpoint<B>,
    reduction: f64,
    monitor: &dyn Monitor,
) -> Result<CalibratedThreshold> {
    let (pipeline, calibrator) = (loaded.pipeline(), loaded.calibrator());
    calibrator.check_estimators()?;
    let plan = calibrator.plan(calibrator.key(reduction))?;
    settle(CALIBRATION_ROUNDS, |leaving| {
        let recording = AdaptiveUVit::new(&pipeline.model, leaving).recording_all();
        let drawn = pipeline.generate_with(&recording, &plan, monitor, &mut |_| ())?;
        let mut batches = drawn.trace.of_batches(plan.batch);
        batches.blocks_per_prediction = pipeline.blocks() as u32;
        let policy = |uncertainty| published_policy(loaded, uncertainty);
        let found = calibrate_policy(&batches, reduction, policy)?;
        // Batches leave together: along the paths that this leads to, by their depths over time.
        let exits = batches.replay(&published_policy(loaded, found.threshold));
        let exits = exits.context("the recorded trace lacks uncertainties")?;
        let leaving: Box<dyn ExitPolicy> = Box::new(DepthSchedule::from_exits(&exits));
        Ok((found, leaving))
    })
}

/// The rule of the published code: for networks on text the first crossing of the threshold, for the
/// others the second one in the in-blocks.
fn published_policy<B: Kernels>(
    loaded: &LoadedCheckpoint<B>,
    uncertainty: f32,
) -> Box<dyn ExitPolicy> {
    match loaded.preset().model.backbone.text {
        Some(_) => Box::new(Threshold { uncertainty }),
        None => Box::new(Patience { uncertainty }),
    }
}

/// Operations of comparing a sample's image tokens in two states: a product and two norms, or fewer.
fn comparison_flops<B: Kernels>(loaded: &LoadedCheckpoint<B>) -> f64 {
    let backbone = &loaded.preset().model.backbone;
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
