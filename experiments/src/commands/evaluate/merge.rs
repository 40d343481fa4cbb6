//! The command `merge`: the figure of an evaluation from its parts.

use std::path::{Path, PathBuf};

use adadiff_metrics::{read_origin, read_statistics};
use adadiff_pipeline::{distance_from, network_cost};
use adadiff_storage::{check_output, write_atomically};
use anyhow::{Context, Result, ensure};
use clap::Args;

use super::shard::Shard;
use crate::commands::reference::write_statistics;
use crate::evaluator::origin_of;
use crate::methods::{Exit, MethodKind};
use crate::presets::Preset;
use crate::results::{ResultRow, RowMeasurement};
use crate::terminal::say;

/// Options of `merge`.
#[derive(Debug, Args)]
pub struct MergeOptions {
    /// The folder that the processes of `evaluate` wrote
    pub folder: PathBuf,
    /// Write the statistics of all samples, .npz
    #[arg(long, value_name = "FILE")]
    pub write_statistics: Option<PathBuf>,
    /// Statistics of the images to compare with, an .npz of mu and sigma as `reference` and
    /// pytorch-fid write it
    #[arg(long, value_name = "FILE")]
    pub reference: PathBuf,
}

impl MergeOptions {
    /// Adds the parts up, prints the row and writes it beside them as `results.jsonl`.
    ///
    /// # Errors
    /// Where a part is missing, unfinished, damaged or of another evaluation, or there are too few
    /// samples.
    pub fn carry_out(&self) -> Result<()> {
        let whole = self.whole()?;
        if let Some(path) = &self.write_statistics {
            let parts = 0..whole.settings.parts;
            let parts = parts.map(|part| Shard::path(&self.folder, part, whole.settings.parts));
            let read: Vec<PathBuf> = parts.chain([self.reference.clone()]).collect();
            check_output(path, read.iter().map(PathBuf::as_path))?;
        }
        let origin = origin_of(&whole.settings.features);
        read_origin(&self.reference)?.ensure_same(&origin)?;
        let reference = read_statistics(&self.reference)?;
        if let Some(path) = &self.write_statistics {
            write_statistics(path, &whole.statistics.gaussian()?, &origin)?;
        }
        let distance = distance_from(&reference, &whole.statistics)?;
        let row = row(&whole, distance)?;
        let line = serde_json::to_string(&row)?;
        write_atomically(
            &self.folder.join("results.jsonl"),
            format!("{line}\n").as_bytes(),
        )?;
        say!("{line}")
    }

    /// All parts as one.
    fn whole(&self) -> Result<Shard> {
        let mut whole = self.first()?;
        for part in 1..whole.settings.parts {
            let path = Shard::path(&self.folder, part, whole.settings.parts);
            let shard = read_complete(&path)?;
            ensure!(
                shard.settings == whole.settings,
                "{} is part of another evaluation than the first part",
                path.display()
            );
            if shard.planned > 0 {
                whole.statistics.merge(shard.statistics)?;
            }
            whole.counts.add(&shard.counts);
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
        read_complete(&firsts[0])
    }
}

/// Reads a part that has all its samples.
fn read_complete(path: &Path) -> Result<Shard> {
    let shard = Shard::read(path).context("every part is needed")?;
    ensure!(
        shard.is_complete(),
        "{} has {} of {} samples: run the same command again, which continues there",
        path.display(),
        shard.counts.samples,
        shard.planned
    );
    Ok(shard)
}

fn row(whole: &Shard, frechet_distance: f64) -> Result<ResultRow> {
    let settings = &whole.settings;
    let preset = Preset::parse(&settings.preset)?;
    let mut row = ResultRow::new(RowMeasurement {
        preset: &preset,
        method: match settings.exit {
            Exit::Full => MethodKind::Full,
            Exit::Depth(_) => MethodKind::StaticDepth,
            Exit::Adaptive => MethodKind::AdaDiff,
        },
        device: settings.device.clone(),
        cost: network_cost(&preset.model).into(),
        steps: preset.sampling.steps,
        counts: &whole.counts,
        seconds: whole.seconds,
        features: &settings.features,
        frechet_distance,
    })?;
    if let Exit::Depth(depth) = settings.exit {
        row.depth = Some(depth.get() as u32);
    }
    Ok(match &settings.calibration {
        Some(calibration) => row.with_exit(calibration),
        None => row,
    })
}
