//! The command `evaluate`: many samples of one method, judged as they are drawn, by as many processes
//! as there are; each leaves its part, which `merge` adds up.

mod merge;
mod shard;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use adadiff_backends::{DeviceName, DeviceTask, ProcessRank};
use adadiff_metrics::CHUNK;
use adadiff_model::kernels::Kernels;
use adadiff_storage::sha256_file;
use anyhow::{Context, Result, ensure};

use crate::budget::Wish;
use crate::calibrations::ExitRule;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::components::Surroundings;
use crate::judge::JudgeOptions;
use crate::methods::Exit;
use crate::study::{Effort, Study};
use crate::terminal::samples_bar;
pub use merge::Merge;
use shard::{Settings, Shard};

/// What to evaluate, and which part of it.
#[derive(Debug)]
pub struct Evaluate<'a> {
    /// The trained network.
    pub checkpoint: Checkpoint,
    /// The file that it came from; absent for the bundled one.
    pub weights: Option<PathBuf>,
    /// What stands before and behind it.
    pub surroundings: Surroundings,
    /// The budget, where it is none of blocks.
    pub wish: Option<Wish>,
    /// The features of the samples.
    pub judge: JudgeOptions,
    /// When samples leave.
    pub exit: Exit,
    /// Samples of all parts.
    pub samples: u64,
    /// Which part.
    pub rank: ProcessRank,
    /// The device, as named on the command line.
    pub device: DeviceName,
    /// The folder of all parts.
    pub out: PathBuf,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
}

impl DeviceTask for Evaluate<'_> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let data = self.checkpoint.preset.data;
        let checkpoint_sha256 = self.weights.as_deref().map(sha256_file).transpose()?;
        let mut study: Study<'_, B> =
            self.surroundings
                .study(self.checkpoint, &device, self.stop)?;
        let shape = study.image_shape();
        let extractor = self.judge.extractor::<B>(data, shape[0], &device)?;
        let bar = samples_bar(0).with_prefix("calibrate");
        if let Some(wish) = &self.wish {
            // A part that was interrupted goes on under its own threshold.
            if let Some(earlier) = Shard::calibration_in(&self.out, self.rank.rank, self.rank.size)?
            {
                study.remember(earlier);
            }
            wish.enter(&mut study, None, &device, &bar)?;
        }
        if self.rank.size > 1 && self.exit == Exit::Adaptive {
            ensure_one_distance(&study)?;
        }
        let calibration = self.exit.calibration(&study, &bar)?;
        bar.finish_and_clear();

        let share = self.rank.share(self.samples, CHUNK);
        let shard = Shard {
            settings: Settings {
                preset: study.preset.to_toml()?,
                checkpoint_sha256,
                exit: self.exit,
                features: extractor.name().to_owned(),
                samples: self.samples,
                parts: self.rank.size,
                device: self.device.backend.name().to_owned(),
                calibration: calibration.clone(),
            },
            part: self.rank.rank,
            first_sample: share.start,
            planned: share.end - share.start,
            statistics: extractor.no_statistics(share.start)?,
            effort: Effort::default(),
            seconds: 0.0,
        };
        let mut shard = shard.resume(&self.out)?;
        let policy = self.exit.policy(calibration.as_ref());
        let mut draw = study.plan(self.samples as usize)?;
        draw.samples = share.end as usize;
        let part = (CHUNK as usize).max(draw.batch / CHUNK as usize * CHUNK as usize);
        let bar = samples_bar(shard.planned).with_prefix(format!("part {}", self.rank.rank));
        bar.set_position(shard.effort.samples);
        bar.reset_eta();
        while !shard.is_complete() {
            let done = (shard.first_sample + shard.effort.samples) as usize;
            let hidden = indicatif::ProgressBar::hidden();
            let drawn = study
                .draw(&policy, &draw.part(done, part), &hidden)
                .context("the same command continues after the last whole part")?;
            extractor.add(&mut shard.statistics, &drawn.pixels, shape, &device)?;
            shard.effort.add(&drawn.effort);
            shard.seconds += drawn.seconds;
            shard.write(&self.out)?;
            bar.set_position(shard.effort.samples);
        }
        if shard.planned == 0 {
            // A process without samples leaves its part too, so that none is missed.
            shard.write(&self.out)?;
        }
        bar.finish_and_clear();
        println!(
            "part {} of {}: {} samples, {}",
            self.rank.rank,
            self.rank.size,
            shard.effort.samples,
            Shard::path(&self.out, self.rank.rank, self.rank.size).display()
        );
        Ok(())
    }
}

/// Refuses to measure in each of several processes what the exit rule `distance` is calibrated by: it
/// takes long, and they could come to different thresholds.
fn ensure_one_distance<B: Kernels>(study: &Study<'_, B>) -> Result<()> {
    let sampling = &study.preset.sampling;
    let reduction = sampling.reduction;
    ensure!(
        sampling.exit_rule != ExitRule::Distance || study.stored_threshold(reduction)?.is_some(),
        "several processes must leave by one threshold: store it with `calibrate --exit-rule distance \
         --reduction {reduction}` first, by the same features, statistics, steps and guidance"
    );
    Ok(())
}
