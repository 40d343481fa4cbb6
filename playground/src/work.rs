//! What the server does for visitors: draw samples, and look into the network.

use std::cell::Cell;

use adadiff_experiments::Method;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{BlockPrediction, Calibration, Monitor, Pipeline, SamplePlan};
use adadiff_sampler::NetworkEvaluation;
use adadiff_uem::forecast_exit;
use anyhow::{Context, Result, ensure};

use crate::event::{Event, rounded};
use crate::feed::Feed;
use crate::monitor::Preparation;
use crate::networks::Networks;
use crate::pictures::{map_strip, strip};
use crate::race::{branches, race};
use crate::request::{DrawRequest, Place};

const CALIBRATING: &str = "calibrating the exits for this budget";

/// Work for a visitor.
#[derive(Clone, Debug)]
pub enum QueuedWork {
    /// Draws samples by the full network and by a method.
    Draw(DrawRequest),
    /// Looks at what every block would make of one sample in one step of such a drawing.
    Look(DrawRequest, Place),
}

impl QueuedWork {
    /// Does it.
    ///
    /// # Errors
    /// Where it cannot be done, or the visitor leaves.
    pub fn carry_out<B: Kernels>(&self, networks: &mut Networks<B>, feed: &Feed) -> Result<()> {
        match self {
            Self::Draw(request) => draw(networks, request, feed),
            Self::Look(request, place) => look(networks, request, *place, feed),
        }
    }
}

fn draw<B: Kernels>(networks: &mut Networks<B>, request: &DrawRequest, feed: &Feed) -> Result<()> {
    let drawing = networks.drawing(request)?;
    let prepared = drawing
        .method
        .prepare(&drawing.loaded, &Preparation::new(feed, CALIBRATING))?;
    if let Some(calibration) = prepared.calibration.clone() {
        networks.remember(&drawing, calibration);
    }
    let pipeline = drawing.loaded.pipeline();
    feed.send(&Event::Started {
        label: drawing.method.to_string(),
        blocks: pipeline.blocks(),
        steps: [drawing.plan.steps, prepared.steps],
        calibrated: prepared
            .calibration
            .as_ref()
            .map(|calibration| calibration.reached),
    });
    let policy = prepared.calibration.as_ref().map(Calibration::policy);
    let asked = race(pipeline, &prepared, &drawing.plan, feed)?;
    let shape = pipeline.config.model.backbone.image_shape();
    for (step, evaluation) in asked.iter().enumerate() {
        if feed.is_gone() {
            break;
        }
        let blocks = pipeline.block_predictions(&drawing.plan, evaluation)?;
        let run = evaluation.prediction.blocks.iter();
        let exits = run.map(|&run| {
            let run = run.div_ceil(branches(&drawing.plan)) as usize;
            let forecast = policy.as_deref().and_then(|policy| {
                forecast_exit(policy, evaluation.timestep, pipeline.blocks(), run)
            });
            forecast.map_or(run, |(before, _)| before)
        });
        let exits: Vec<usize> = exits.collect();
        feed.send(&inside(step, &blocks, &exits, shape)?);
    }
    Ok(())
}

/// What every block says of a step, for each sample that left after so many blocks.
fn inside(
    step: usize,
    blocks: &[BlockPrediction],
    exits: &[usize],
    shape: [usize; 3],
) -> Result<Event> {
    let size: usize = shape.iter().product();
    let maps = exits.iter().enumerate().flat_map(|(sample, &exit)| {
        let last = exit.clamp(1, blocks.len()) - 1;
        blocks[last].uncertainty[sample * size..][..size]
            .iter()
            .copied()
    });
    let (maps, brightest) = map_strip(&maps.collect::<Vec<_>>(), shape)?;
    let uncertainty = blocks
        .iter()
        .map(|block| block.mean_uncertainties(exits.len()));
    Ok(Event::Inside {
        step,
        uncertainty: uncertainty.map(|means| rounded(&means)).collect(),
        errors: blocks.iter().map(|block| rounded(&block.errors)).collect(),
        maps,
        brightest,
    })
}

fn look<B: Kernels>(
    networks: &mut Networks<B>,
    request: &DrawRequest,
    place: Place,
    feed: &Feed,
) -> Result<()> {
    let drawing = networks.drawing(request)?;
    let prepared = drawing
        .method
        .prepare(&drawing.loaded, &Preparation::new(feed, CALIBRATING))?;
    if let Some(calibration) = prepared.calibration.clone() {
        networks.remember(&drawing, calibration);
    }
    let (whole, sample) = (prepared.plan(&drawing.plan), place.sample);
    ensure!(
        sample < whole.samples,
        "there is no sample {sample}: samples are 0 to {}",
        whole.samples - 1
    );
    ensure!(
        place.step < whole.steps,
        "there is no step {}: steps are 0 to {}",
        place.step,
        whole.steps - 1
    );
    let alone = whole.part(sample, 1);
    // A batch that leaves together is drawn together.
    let is_batch = matches!(drawing.method, Method::Published { .. });
    let (plan, row) = if is_batch {
        (&whole, sample)
    } else {
        (&alone, 0)
    };

    let pipeline = drawing.loaded.pipeline();
    let until = UntilStep {
        feed,
        reached: Cell::new(false),
    };
    let (mut steps, mut found) = (0, None);
    let drawn = pipeline.generate_with(prepared.denoiser.as_ref(), plan, &until, &mut |progress| {
        let wanted = progress.evaluations.get(place.step - steps.min(place.step));
        if found.is_none()
            && let Some(evaluation) = wanted
        {
            found = Some(evaluation.clone());
            until.reached.set(true);
        }
        steps += progress.evaluations.len();
    });
    let Some(mut evaluation) = found else {
        drawn?;
        return Ok(());
    };
    evaluation.noisy = evaluation.noisy.narrow(0, row, 1);
    feed.send(&cells(pipeline, &alone, &evaluation)?);
    Ok(())
}

/// What every block would make of one sample.
fn cells<B: Kernels>(
    pipeline: &Pipeline<B>,
    plan: &SamplePlan,
    evaluation: &NetworkEvaluation<B>,
) -> Result<Event> {
    let blocks = pipeline.block_predictions(plan, evaluation)?;
    let shape = pipeline.config.model.backbone.image_shape();
    let all = |values: fn(&BlockPrediction) -> &[f32]| -> Vec<f32> {
        blocks.iter().flat_map(values).copied().collect()
    };
    let (maps, brightest) = map_strip(&all(|block| &block.uncertainty), shape)?;
    let uncertainty = blocks.iter().flat_map(|block| block.mean_uncertainties(1));
    Ok(Event::Cells {
        images: strip(&all(|block| &block.images), shape)
            .context("a block predicts what is no image")?,
        maps,
        brightest,
        uncertainty: rounded(&uncertainty.collect::<Vec<_>>()),
        errors: rounded(&all(|block| &block.errors)),
    })
}

/// Ends where the step is reached, or nobody reads the feed any more.
struct UntilStep<'a> {
    feed: &'a Feed,
    reached: Cell<bool>,
}

impl Monitor for UntilStep<'_> {
    fn stopped(&self) -> bool {
        self.reached.get() || self.feed.is_gone()
    }
}
