//! A process's part of an evaluation, on disk.

use std::fs;
use std::path::{Path, PathBuf};

use adadiff_metrics::EvaluationCounts;
use adadiff_metrics::GaussianStats;
use adadiff_pipeline::Calibration;
use adadiff_storage::write_atomically;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::methods::Exit;

/// What all parts of an evaluation have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardSettings {
    /// The preset with the command line's changes, in TOML.
    pub preset: String,
    /// SHA-256 of the weights; absent for the bundled ones.
    pub checkpoint_sha256: Option<String>,
    /// When samples leave the network.
    pub exit: Exit,
    /// The threshold, where they leave by one.
    pub calibration: Option<Calibration>,
    /// The features that samples are judged by.
    pub features: String,
    pub samples: u64,
    pub parts: u64,
    pub device: String,
}

/// The samples of a part so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// What the part has in common with the others.
    pub settings: ShardSettings,
    pub part: u64,
    pub first_sample: u64,
    /// The samples that it is to have.
    pub planned: u64,
    /// The features of those that it has.
    pub statistics: GaussianStats,
    /// Blocks run and estimates made.
    #[serde(rename = "effort")]
    pub counts: EvaluationCounts,
    /// Seconds of the sampling loop.
    pub seconds: f64,
}

impl Shard {
    pub fn path(folder: &Path, part: u64, parts: u64) -> PathBuf {
        folder.join(format!("part-{part:05}-of-{parts:05}.json"))
    }

    /// Reads a part.
    ///
    /// # Errors
    /// Where the file is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the part {}", path.display()))?;
        let shard: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is no part of an evaluation", path.display()))?;
        ensure!(
            shard.statistics.count() == shard.counts.samples
                && shard.counts.samples <= shard.planned,
            "{} contradicts itself: it has {} samples and the features of {}",
            path.display(),
            shard.counts.samples,
            shard.statistics.count()
        );
        Ok(shard)
    }

    /// The threshold of the part that lies in `folder`, if there is one.
    ///
    /// # Errors
    /// Where the part is damaged.
    pub fn calibration_in(folder: &Path, part: u64, parts: u64) -> Result<Option<Calibration>> {
        let path = Self::path(folder, part, parts);
        if path.exists() {
            Ok(Self::read(&path)?.settings.calibration)
        } else {
            Ok(None)
        }
    }

    /// Continues the part that lies in `folder`, if there is one.
    ///
    /// # Errors
    /// Where it is damaged or of another evaluation.
    pub fn resume(self, folder: &Path) -> Result<Self> {
        let path = Self::path(folder, self.part, self.settings.parts);
        if !path.exists() {
            return Ok(self);
        }
        let found = Self::read(&path)?;
        ensure!(
            found.settings == self.settings && found.first_sample == self.first_sample,
            "{} is part of an evaluation with other settings; choose another folder with --out",
            path.display()
        );
        Ok(found)
    }

    /// Writes the part into `folder`.
    ///
    /// # Errors
    /// Where that fails; the part before it then remains.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = Self::path(folder, self.part, self.settings.parts);
        Ok(write_atomically(&path, &serde_json::to_vec(self)?)?)
    }

    pub fn is_complete(&self) -> bool {
        self.counts.samples == self.planned
    }
}
