//! The command `evaluate`: many samples of one method, judged as they are drawn, by as many processes
//! as there are; each leaves its part, which `merge` adds up.

mod merge;
mod shard;

use std::path::PathBuf;

use adadiff_metrics::{CHUNK, EvaluationCounts};

use adadiff_backends::{DeviceTask, ProcessRank};
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{ExitRule, Monitor};
use adadiff_storage::sha256_file;
use anyhow::{Context, Result, ensure};

use crate::checkpoint::LoadedCheckpoint;

use crate::commands::inputs::Inputs;
use crate::methods::Exit;
use crate::terminal::{Terminal, samples_bar, say};
pub use merge::Merge;
use shard::{Settings, Shard};

/// What to evaluate, and which part of it.
#[derive(Debug)]
pub struct Evaluate {
    /// What to sample from, and what samples are judged by.
    pub inputs: Inputs,
    /// When samples leave.
    pub exit: Exit,
    /// Samples of all parts.
    pub samples: u64,
    /// Which part.
    pub rank: ProcessRank,
    /// The folder of all parts.
    pub out: PathBuf,
}

impl DeviceTask for Evaluate {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let Inputs {
            checkpoint,
            weights,
            surroundings,
            request,
            device: name,
        } = self.inputs;
        let data = checkpoint.preset.data;
        let checkpoint_sha256 = weights.as_deref().map(sha256_file).transpose()?;
        let mut loaded: LoadedCheckpoint<B> = surroundings.load(checkpoint, &device)?;
        let shape = loaded.pipeline().image_shape();
        let features = &surroundings.reference.options;
        let extractor = features.extractor::<B>(data, shape[0], &device)?;
        let terminal = Terminal::over(samples_bar(0).with_prefix("calibrate"));
        if let Some(request) = &request {
            // A part that was interrupted goes on under its own threshold.
            if let Some(earlier) = Shard::calibration_in(&self.out, self.rank.rank, self.rank.size)?
            {
                loaded.remember(earlier);
            }
            request.enter(&mut loaded, None, &terminal)?;
        }
        if self.rank.size > 1 && self.exit == Exit::Adaptive {
            ensure_one_distance(&loaded, &terminal)?;
        }
        let calibration = self.exit.calibration(&loaded, &terminal)?;
        terminal.finish();

        let share = self.rank.share(self.samples, CHUNK);
        let shard = Shard {
            settings: Settings {
                preset: loaded.preset().to_toml()?,
                checkpoint_sha256,
                exit: self.exit,
                features: extractor.name().to_owned(),
                samples: self.samples,
                parts: self.rank.size,
                device: name.backend.name().to_owned(),
                calibration: calibration.clone(),
            },
            part: self.rank.rank,
            first_sample: share.start,
            planned: share.end - share.start,
            statistics: extractor.no_statistics(share.start)?,
            effort: EvaluationCounts::default(),
            seconds: 0.0,
        };
        let mut shard = shard.resume(&self.out)?;
        let policy = self.exit.policy(calibration.as_ref());
        let mut draw = loaded.plan(self.samples as usize)?;
        draw.samples = share.end as usize;
        let part = (CHUNK as usize).max(draw.batch / CHUNK as usize * CHUNK as usize);
        let bar = samples_bar(shard.planned).with_prefix(format!("part {}", self.rank.rank));
        bar.set_position(shard.effort.samples);
        bar.reset_eta();
        while !shard.is_complete() {
            let done = (shard.first_sample + shard.effort.samples) as usize;
            let drawn = loaded
                .pipeline()
                .generate(&policy, &draw.part(done, part), &Terminal::hidden())
                .context("the same command continues after the last whole part")?;
            extractor.add(&mut shard.statistics, &drawn.pixels, shape, &device)?;
            shard.effort.add(&drawn.counts);
            shard.seconds += drawn.seconds;
            shard.write(&self.out)?;
            bar.set_position(shard.effort.samples);
        }
        if shard.planned == 0 {
            // A process without samples leaves its part too, so that none is missed.
            shard.write(&self.out)?;
        }
        bar.finish_and_clear();
        say!(
            "part {} of {}: {} samples, {}",
            self.rank.rank,
            self.rank.size,
            shard.effort.samples,
            Shard::path(&self.out, self.rank.rank, self.rank.size).display()
        )
    }
}

/// Refuses to measure in each of several processes what the exit rule `distance` is calibrated by: it
/// takes long, and they could come to different thresholds.
fn ensure_one_distance<B: Kernels>(
    loaded: &LoadedCheckpoint<B>,
    monitor: &dyn Monitor,
) -> Result<()> {
    let sampling = &loaded.preset().sampling;
    let reduction = sampling.reduction;
    if sampling.exit_rule != ExitRule::Distance {
        return Ok(());
    }
    let calibrator = loaded.calibrator();
    ensure!(
        calibrator
            .stored_for_reduction(reduction, monitor)?
            .is_some(),
        "several processes must leave by one threshold: store it with `calibrate --exit-rule distance \
         --reduction {reduction}` first, by the same features, statistics, steps and guidance"
    );
    Ok(())
}
