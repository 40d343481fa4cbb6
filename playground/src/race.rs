//! The full network and a method draw the same samples, each in its turn.

use std::thread;

use adadiff_experiments::PreparedMethod;
use adadiff_metrics::ComputeSummary;
use adadiff_model::Denoiser;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Calibration, Generated, Pipeline, PipelineError, SamplePlan};
use adadiff_sampler::NetworkEvaluation;
use adadiff_uem::{AdaptiveUVit, ExitPolicy, FullDepth, forecast_exit};
use anyhow::{Context, Result, anyhow};

use crate::event::{Event, Lane, rounded};
use crate::feed::Feed;
use crate::monitor::WhileRead;
use crate::pictures::strip;
use crate::turns::{Runner, Turns};

/// Draws the samples of `plan` by both, and gives back what the method's network was asked.
///
/// # Errors
/// Where the visitor leaves or the device fails.
pub fn race<B: Kernels>(
    pipeline: &Pipeline<B>,
    method: &PreparedMethod<'_, B>,
    plan: &SamplePlan,
    feed: &Feed,
) -> Result<Vec<NetworkEvaluation<B>>> {
    let turns = Turns::default();
    let branches = branches(plan);
    let mut asked = Vec::new();
    thread::scope(|scope| {
        let full = scope.spawn(|| {
            let network = AdaptiveUVit::new(&pipeline.model, FullDepth);
            let racer = Racer {
                pipeline,
                lane: Lane::Full,
                policy: None,
                branches,
                feed,
            };
            let drawn = racer.draw(&network, plan, turns.runner(0), &mut |_| ())?;
            let cost = pipeline.cost(&drawn.generated.counts)?;
            racer.tell(&drawn, &cost)
        });
        let policy = method.calibration.as_ref().map(Calibration::policy);
        let racer = Racer {
            pipeline,
            lane: Lane::Method,
            policy: policy.as_deref(),
            branches,
            feed,
        };
        let keep = &mut |evaluation: &NetworkEvaluation<B>| asked.push(evaluation.clone());
        let denoiser = method.denoiser.as_ref();
        let drawn = racer.draw(denoiser, &method.plan(plan), turns.runner(1), keep);
        let told = drawn.and_then(|drawn| {
            let cost = method.cost(&drawn.generated.counts)?;
            racer.tell(&drawn, &cost)
        });
        let full = full
            .join()
            .map_err(|_| anyhow!("the full network's thread panicked"))?;
        told.and(full)
    })?;
    Ok(asked)
}

/// How often the network is evaluated for a prediction: guidance evaluates twice, and tells the sum of both
/// evaluations' blocks.
pub fn branches(plan: &SamplePlan) -> u32 {
    if plan.guidance == 0.0 { 1 } else { 2 }
}

/// One of the two.
struct Racer<'a, B: Kernels> {
    pipeline: &'a Pipeline<B>,
    lane: Lane,
    /// What exits are decided by, where it is known.
    policy: Option<&'a dyn ExitPolicy>,
    branches: u32,
    feed: &'a Feed,
}

/// Samples, and the seconds of their steps alone.
struct Drawn {
    generated: Generated,
    seconds: f64,
}

impl<B: Kernels> Racer<'_, B> {
    /// Draws samples step by step, whenever it is this one's turn.
    fn draw(
        &self,
        denoiser: &dyn Denoiser<B>,
        plan: &SamplePlan,
        mut runner: Runner<'_>,
        keep: &mut dyn FnMut(&NetworkEvaluation<B>),
    ) -> Result<Drawn> {
        let (mut steps, mut seconds) = (0, 0.0);
        let mut failed = None;
        let monitor = WhileRead(self.feed);
        let generated = self
            .pipeline
            .generate_with(denoiser, plan, &monitor, &mut |progress| {
                // Reading back waits for the device, so it belongs to the time.
                let _ = progress.state.to_data();
                seconds = runner.stop();
                for evaluation in progress.evaluations {
                    if let Err(error) = self.tell_step(evaluation, steps, seconds) {
                        failed = Some(error);
                    }
                    keep(evaluation);
                    steps += 1;
                }
                if !progress.step.is_last() {
                    runner.give();
                    runner.take();
                }
            })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(Drawn { generated, seconds }),
        }
    }

    fn tell_step(
        &self,
        evaluation: &NetworkEvaluation<B>,
        step: usize,
        seconds: f64,
    ) -> Result<()> {
        let schedule = self
            .pipeline
            .config
            .schedule
            .build()
            .map_err(PipelineError::from)?;
        let seen = evaluation.predicted_image(schedule.as_ref()).into_data();
        let seen: Vec<f32> = seen.iter::<f32>().collect();
        let shape = self.pipeline.config.model.backbone.image_shape();
        let prediction = &evaluation.prediction;
        self.feed.send(&Event::Step {
            lane: self.lane,
            step,
            timestep: evaluation.timestep,
            blocks: prediction.blocks.clone(),
            forecasts: prediction
                .blocks
                .iter()
                .map(|&run| self.forecast(evaluation, run))
                .collect(),
            signals: prediction
                .exit_signal
                .iter()
                .map(|signal| rounded(signal))
                .collect(),
            seconds,
            images: strip(&seen, shape).context("the network predicts what is no image")?,
        });
        Ok(())
    }

    /// The exit with a forecast of a sample that ran so many blocks, where it was one.
    fn forecast(&self, evaluation: &NetworkEvaluation<B>, run: u32) -> Option<(usize, usize)> {
        let run = (run / self.branches) as usize;
        forecast_exit(
            self.policy?,
            evaluation.timestep,
            self.pipeline.blocks(),
            run,
        )
    }

    fn tell(&self, drawn: &Drawn, cost: &ComputeSummary) -> Result<()> {
        self.feed.send(&Event::Drawn {
            lane: self.lane,
            seconds: drawn.seconds,
            blocks_mean: cost.blocks_mean,
            block_reduction: cost.block_reduction,
            gflops: cost.gflops_per_image,
            images: strip(&drawn.generated.pixels, self.pipeline.image_shape())?,
        });
        Ok(())
    }
}
