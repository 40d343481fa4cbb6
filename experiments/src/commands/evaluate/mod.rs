//! The command `evaluate`: many samples of one method, judged as they are drawn, by as many processes
//! as there are; each leaves its part, which `merge` adds up.

mod merge;
mod shard;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use adadiff_backends::{DeviceName, DeviceTask, RankOptions};
use adadiff_metrics::{CHUNK, EvaluationCounts};
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Monitor, ensure_enough};
use adadiff_storage::{FolderLock, sha256_file};
use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::checkpoint::LoadedCheckpoint;
use crate::commands::budget_request::BudgetRequest;
use crate::commands::inputs::{InputOptions, Inputs};
use crate::commands::{SAMPLES, Task};
use crate::methods::Exit;
use crate::presets::positive;
use crate::terminal::{Terminal, samples_bar, say};
pub use merge::MergeOptions;
use shard::{Shard, ShardSettings};

/// What is told of a part that was interrupted.
const CONTINUES: &str = "the same command continues after the last whole part";

/// Options of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateOptions {
    /// What to sample from, and what samples are judged by.
    #[command(flatten)]
    pub inputs: InputOptions,
    /// Which of several processes this is.
    #[command(flatten)]
    pub rank: RankOptions,
    /// Compute on the device whose index is the process's number among those of its machine
    #[arg(long)]
    pub device_by_rank: bool,
    /// Samples of all processes [default: the preset's]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub samples: Option<usize>,
    /// Use the full network
    #[arg(long, conflicts_with_all = ["reduction", "speedup", "max_fd_increase", "depth"])]
    pub full: bool,
    /// Leave after this many blocks
    #[arg(long, value_name = "BLOCKS", conflicts_with_all = ["reduction", "speedup", "max_fd_increase"])]
    pub depth: Option<NonZeroUsize>,
    /// Folder of the parts of all processes
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

impl EvaluateOptions {
    /// The device to compute on, by the process's number where that is asked for.
    ///
    /// # Errors
    /// Where the launcher does not tell that number.
    pub fn device(&mut self) -> Result<DeviceName> {
        let device = &mut self.inputs.sampling.network.device;
        if self.device_by_rank {
            *device = device.of_process(self.rank.rank()?)?;
        }
        Ok(*device)
    }
}

impl DeviceTask for Task<'_, EvaluateOptions> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let options = self.options;
        let rank = options.rank.rank()?;
        let Inputs {
            checkpoint,
            weights,
            component_files,
            request,
            device: name,
        } = options.inputs.resolve(self.experiment)?;
        let exit = Exit::new(options.full, options.depth);
        let samples = options.samples.or(checkpoint.preset.sampling.samples);
        let samples = samples.unwrap_or(SAMPLES) as u64;
        let out = options.out;
        let data = checkpoint.preset.data;
        let checkpoint_sha256 = weights.as_deref().map(sha256_file).transpose()?;
        let features = component_files.reference.options.clone();
        let mut loaded: LoadedCheckpoint<B> = component_files.load(checkpoint, &device)?;
        let shape = loaded.pipeline().image_shape();
        let extractor = features.extractor::<B>(data, shape[0], &device)?;
        let asked = format!("the preset or --samples asks for {samples}");
        ensure_enough(samples, extractor.dims(), &asked)?;
        // The same part twice at once would count the samples of one of them alone.
        let lock = FolderLock::try_for_file(&Shard::path(&out, rank.rank, rank.size))?;
        let terminal = Terminal::over(samples_bar(0).with_prefix("calibrate"));
        if let Some(request) = request {
            let request = BudgetRequest {
                only_stored: rank.size > 1,
                ..request
            };
            // A part that was interrupted goes on under its own threshold.
            if let Some(earlier) = Shard::calibration_in(&out, rank.rank, rank.size)? {
                loaded.remember(earlier);
            }
            request.adopt(&mut loaded, None, &terminal)?;
        }
        if rank.size > 1 && exit == Exit::Adaptive {
            ensure_one_distance(&loaded, &terminal)?;
        }
        let calibration = exit.calibration(&loaded, &terminal)?;
        terminal.finish();

        let share = rank.share(samples, CHUNK);
        let shard = Shard {
            settings: ShardSettings {
                preset: loaded.preset().to_toml()?,
                checkpoint_sha256,
                exit,
                features: extractor.name().to_owned(),
                samples,
                parts: rank.size,
                device: name.backend.name().to_owned(),
                calibration: calibration.clone(),
            },
            part: rank.rank,
            first_sample: share.start,
            planned: share.end - share.start,
            statistics: extractor.no_statistics(share.start)?,
            counts: EvaluationCounts::default(),
            seconds: 0.0,
        };
        let mut shard = shard.resume(&out)?;
        let policy = exit.policy(calibration.as_ref());
        let mut draw = loaded.plan(samples as usize)?;
        draw.samples = share.end as usize;
        let part = (CHUNK as usize).max(draw.batch / CHUNK as usize * CHUNK as usize);
        let bar = samples_bar(shard.planned).with_prefix(format!("part {}", rank.rank));
        bar.set_position(shard.counts.samples);
        bar.reset_eta();
        let monitor = Terminal::hidden();
        while !shard.is_complete() {
            let done = (shard.first_sample + shard.counts.samples) as usize;
            let drawn = loaded
                .pipeline()
                .generate(&policy, &draw.part(done, part), &monitor)
                .context(CONTINUES)?;
            let statistics = &mut shard.statistics;
            extractor
                .add(statistics, &drawn.pixels, shape, &device, &monitor)
                .context(CONTINUES)?;
            shard.counts.add(&drawn.counts);
            shard.seconds += drawn.seconds;
            shard.write(&out)?;
            bar.set_position(shard.counts.samples);
        }
        if shard.planned == 0 {
            // A process without samples leaves its part too, so that none is missed.
            shard.write(&out)?;
        }
        bar.finish_and_clear();
        // What is left of it, where that fails, locks nothing.
        let _ = lock.remove();
        say!(
            "part {} of {}: {} samples, {}",
            rank.rank,
            rank.size,
            shard.counts.samples,
            Shard::path(&out, rank.rank, rank.size).display()
        )
    }
}

/// Refuses to measure in each of several processes what the exit rules `distance` and `forecast` are calibrated by: it
/// takes long, and they could come to different thresholds.
fn ensure_one_distance<B: Kernels>(
    loaded: &LoadedCheckpoint<B>,
    monitor: &dyn Monitor,
) -> Result<()> {
    let sampling = &loaded.preset().sampling;
    let reduction = sampling.reduction;
    if !sampling.exit_rule.measures_distances() {
        return Ok(());
    }
    let calibrator = loaded.calibrator();
    ensure!(
        calibrator
            .stored_for_reduction(reduction, monitor)?
            .is_some(),
        "several processes must leave by one threshold: store it with `calibrate --exit-rule {} \
         --reduction {reduction}` first, by the same features, statistics, steps and guidance",
        sampling.exit_rule.name()
    );
    Ok(())
}
