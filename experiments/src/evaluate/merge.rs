//! The command `merge`: the figure of an evaluation from its parts.

use std::io::Cursor;
use std::path::PathBuf;

use adadiff_metrics::{frechet_distance, read_statistics, write_statistics};
use adadiff_train::write_atomically;
use anyhow::{Context, Result, ensure};

use super::shard::Shard;
use crate::preset::Preset;
use crate::report::{Method, ResultRow};
use crate::sample::Exit;
use crate::study::network_cost;

/// Which parts to add up, and what to compare them with.
#[derive(Debug)]
pub struct Merge {
    /// The folder of the parts.
    pub folder: PathBuf,
    /// Where to write the statistics of all samples.
    pub statistics: Option<PathBuf>,
    /// Statistics of the reference images.
    pub reference: PathBuf,
}

impl Merge {
    /// Adds the parts up, prints the row and writes it beside them as `results.jsonl`.
    ///
    /// # Errors
    /// Where a part is missing, unfinished, damaged or of another evaluation, or there are too few
    /// samples.
    pub fn carry_out(&self) -> Result<()> {
        let whole = self.whole()?;
        let (samples, dims) = (whole.statistics.count(), whole.statistics.dims());
        ensure!(
            samples > dims as u64,
            "a Fréchet distance over {dims} features needs more than {dims} samples, found {samples}"
        );
        let reference = read_statistics(&self.reference)?;
        let gaussian = whole.statistics.gaussian()?;
        if let Some(path) = &self.statistics {
            let mut bytes = Cursor::new(Vec::new());
            write_statistics(&mut bytes, &gaussian)?;
            write_atomically(path, &bytes.into_inner())?;
        }
        let distance = frechet_distance(&gaussian, &reference)?;
        let row = row(&whole, distance)?;
        let line = serde_json::to_string(&row)?;
        write_atomically(
            &self.folder.join("results.jsonl"),
            format!("{line}\n").as_bytes(),
        )?;
        println!("{line}");
        Ok(())
    }

    /// All parts as one.
    fn whole(&self) -> Result<Shard> {
        let first = self.first()?;
        let parts = first.settings.parts;
        let mut whole = first;
        for part in 0..parts {
            let path = Shard::path(&self.folder, part, parts);
            let shard = Shard::read(&path).context("every part is needed")?;
            ensure!(
                shard.is_complete(),
                "{} has {} of {} samples: run the same command again, which continues there",
                path.display(),
                shard.effort.samples,
                shard.planned
            );
            if part == 0 {
                continue;
            }
            ensure!(
                shard.settings == whole.settings,
                "{} is part of another evaluation than the first part",
                path.display()
            );
            if shard.planned > 0 {
                whole.statistics.merge(shard.statistics)?;
            }
            whole.effort.add(&shard.effort);
            whole.seconds += shard.seconds;
        }
        Ok(whole)
    }

    /// The first part, which says how many there are.
    fn first(&self) -> Result<Shard> {
        let entries = std::fs::read_dir(&self.folder)
            .with_context(|| format!("cannot read the folder {}", self.folder.display()))?;
        let mut firsts = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("part-00000-of-") {
                firsts.push(path);
            }
        }
        ensure!(
            firsts.len() == 1,
            "{} holds the first parts of {} evaluations, where it needs that of one",
            self.folder.display(),
            firsts.len()
        );
        Shard::read(&firsts[0])
    }
}

fn row(whole: &Shard, distance: f64) -> Result<ResultRow> {
    let settings = &whole.settings;
    let preset = Preset::parse(&settings.preset)?;
    let cost = whole.effort.summary(&network_cost(&preset.model))?;
    let seconds = whole.seconds / whole.effort.samples.max(1) as f64;
    let mut row = ResultRow {
        experiment: preset.name.clone(),
        method: match settings.exit {
            Exit::Full => Method::Full,
            Exit::Depth(_) => Method::Static,
            Exit::Adaptive => Method::Adadiff,
        },
        depth: match settings.exit {
            Exit::Depth(depth) => Some(depth.get() as u32),
            Exit::Full | Exit::Adaptive => None,
        },
        device: settings.device.clone(),
        dtype: preset.sampling.precision.name().to_owned(),
        solver: preset.sampling.solver.name().to_owned(),
        steps: preset.sampling.steps,
        samples: whole.effort.samples as usize,
        batch: preset.sampling.batch,
        seed: preset.sampling.seed,
        exit_rule: None,
        check_every: None,
        threshold: None,
        target_reduction: None,
        blocks_mean: cost.blocks_mean,
        blocks_total: cost.blocks_total,
        blocks_per_prediction: preset.model.backbone.blocks() as u32,
        block_reduction: cost.block_reduction,
        gflops_per_image: cost.gflops_per_image,
        seconds_per_image: seconds,
        speedup: None,
        frechet_distance: distance,
        features: settings.features.clone(),
        crate_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    if let Some(calibration) = &settings.calibration {
        calibration.enter(&mut row);
    }
    Ok(row)
}
