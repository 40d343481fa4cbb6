//! Thresholds beside a checkpoint.

use std::fs;
use std::path::{Path, PathBuf};

use adadiff_train::write_atomically;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// A threshold and what it was calibrated for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The wished share of blocks to skip.
    pub reduction: f64,
    /// The share that the threshold skips on the samples it was calibrated on.
    pub reached: f64,
    /// The threshold on a sample's mean uncertainty.
    pub threshold: f32,
    /// Solver steps.
    pub steps: usize,
    /// Samples that it was calibrated on.
    pub samples: usize,
    /// Their seed, which no reported figure uses.
    pub seed: u64,
}

/// All thresholds of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calibrations {
    entries: Vec<Calibration>,
}

impl Calibrations {
    /// The file of the thresholds of the weights at `weights`.
    pub fn path_beside(weights: &Path) -> PathBuf {
        weights.with_file_name("calibration.json")
    }

    /// Reads a file; one that is not there holds no thresholds.
    ///
    /// # Errors
    /// Where the file cannot be read or is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, path)
    }

    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self> {
        serde_json::from_str(text).with_context(|| {
            format!(
                "{} is damaged; remove it and run `calibrate` again",
                path.display()
            )
        })
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(write_atomically(path, &json)?)
    }

    /// The threshold for a reduction with this number of solver steps.
    pub fn find(&self, reduction: f64, steps: usize) -> Option<&Calibration> {
        self.entries
            .iter()
            .find(|entry| entry.steps == steps && entry.reduction == reduction)
    }

    /// Adds a threshold, in place of an earlier one for the same budget.
    pub fn insert(&mut self, calibration: Calibration) {
        self.entries.retain(|entry| {
            entry.steps != calibration.steps || entry.reduction != calibration.reduction
        });
        self.entries.push(calibration);
        self.entries.sort_by(|a, b| {
            a.steps
                .cmp(&b.steps)
                .then(a.reduction.total_cmp(&b.reduction))
        });
    }
}
