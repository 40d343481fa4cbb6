//! Thresholds beside a checkpoint.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use adadiff_storage::write_atomically;
use adadiff_uem::{
    CheckedBlocks, DepthSchedule, ExcessThreshold, ExitPolicy, ExitWindow, ExitWindows,
    ScheduledDepth, Threshold, UncertaintyFloor,
};
use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::budget::Attainment;
use crate::judge::YardstickName;
use crate::results::ResultRow;

/// When a sample leaves the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ExitRule {
    /// At the first block whose uncertainty is under one threshold for all timesteps: the paper's
    Threshold,
    /// At the first block whose uncertainty exceeds the last block's at that timestep by little
    #[default]
    Excess,
    /// After a depth that depends on the timestep alone, the nearest to the exits of `excess`: reads
    /// nothing back from the device
    Schedule,
    /// Within bounds and by a threshold of each timestep, chosen from recorded errors so that the
    /// samples suffer least from the blocks that are skipped
    Allocated,
    /// As `allocated`, but by how far the samples as a whole are from the images of the data set, not by
    /// how far each moves: needs features and statistics to measure that by, and draws dozens of sets of
    /// samples for it, in each run anew. May skip more blocks than were asked for, where that costs nothing
    Distance,
}

impl ExitRule {
    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Threshold => "threshold",
            Self::Excess => "excess",
            Self::Schedule => "schedule",
            Self::Allocated => "allocated",
            Self::Distance => "distance",
        }
    }
}

/// A threshold and what it was calibrated for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// What the threshold is compared with.
    pub exit_rule: ExitRule,
    /// Samples are judged after every this many blocks.
    #[serde(default = "every_block", skip_serializing_if = "is_every_block")]
    pub check_every: NonZeroUsize,
    /// The wished share of blocks to skip.
    pub reduction: f64,
    /// The share that the threshold skips on the samples it was calibrated on.
    pub reached: f64,
    /// The threshold on a sample's mean uncertainty, or on its excess over the floor. For the rules
    /// [`ExitRule::Allocated`] and [`ExitRule::Distance`], whose thresholds are those of their windows, it
    /// is what the next block would take off the error, or off the distance.
    pub threshold: f32,
    /// The floors of the rules [`ExitRule::Excess`] and [`ExitRule::Schedule`]: the last block's uncertainty over timesteps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub floors: Vec<UncertaintyFloor>,
    /// The depths of rule [`ExitRule::Schedule`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depths: Vec<ScheduledDepth>,
    /// The bounds and thresholds of the rules [`ExitRule::Allocated`] and [`ExitRule::Distance`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<ExitWindow>,
    /// Solver steps.
    pub steps: usize,
    /// Guidance scale; zero for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub guidance: f64,
    /// Samples that errors or uncertainties were recorded of.
    pub samples: usize,
    /// Their seed, which no reported figure uses.
    pub seed: u64,
    /// What rule [`ExitRule::Distance`] measured by, where that is not what came with the data set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yardstick: Option<YardstickName>,
    /// The budget that the share was chosen for, where that is none of blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attainment: Option<Attainment>,
}

impl Calibration {
    /// What it was calibrated for.
    pub fn budget(&self) -> Budget {
        Budget {
            exit_rule: self.exit_rule,
            check_every: self.check_every,
            reduction: self.reduction,
            steps: self.steps,
            guidance: self.guidance,
        }
    }

    /// Reads a file of one threshold.
    ///
    /// # Errors
    /// Where the file cannot be read or is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no calibration", path.display()))
    }

    /// Writes it into the folder of a run.
    ///
    /// # Errors
    /// Where that fails.
    pub fn write_beside(&self, folder: &Path) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(write_atomically(&folder.join("calibration.json"), &json)?)
    }

    /// Says in a row of results how its samples left.
    pub fn enter(&self, row: &mut ResultRow) {
        row.exit_rule = Some(self.exit_rule.name().to_owned());
        let every = Some(self.check_every).filter(|every| !is_every_block(every));
        row.check_every = every.map(|every| every.get() as u32);
        row.threshold = Some(f64::from(self.threshold));
        row.target_reduction = Some(self.reduction);
    }

    /// The policy that leaves as calibrated.
    pub fn policy(&self) -> Box<dyn ExitPolicy> {
        let policy: Box<dyn ExitPolicy> = match self.exit_rule {
            ExitRule::Threshold => Box::new(Threshold {
                uncertainty: self.threshold,
            }),
            ExitRule::Excess => Box::new(ExcessThreshold {
                excess: self.threshold,
                floors: self.floors.clone(),
            }),
            ExitRule::Schedule => return Box::new(DepthSchedule::new(self.depths.clone())),
            ExitRule::Allocated | ExitRule::Distance => {
                return Box::new(ExitWindows::new(self.windows.clone(), self.check_every));
            }
        };
        Box::new(CheckedBlocks {
            policy,
            every: self.check_every,
        })
    }
}

/// What a threshold is calibrated for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// What the threshold is compared with.
    pub exit_rule: ExitRule,
    /// Samples are judged after every this many blocks.
    pub check_every: NonZeroUsize,
    /// The wished share of blocks to skip.
    pub reduction: f64,
    /// Solver steps.
    pub steps: usize,
    /// Guidance scale; zero for none.
    pub guidance: f64,
}

/// Judging after every block.
pub fn every_block() -> NonZeroUsize {
    NonZeroUsize::MIN
}

/// Whether samples are judged after every block.
pub fn is_every_block(every: &NonZeroUsize) -> bool {
    every.get() == 1
}

/// No guidance.
pub fn is_zero(number: &f64) -> bool {
    *number == 0.0
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

    /// All thresholds, by solver steps and budget.
    pub fn entries(&self) -> &[Calibration] {
        &self.entries
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

    /// Adds a threshold, in place of an earlier one for the same budget by the same yardstick.
    pub fn insert(&mut self, calibration: Calibration) {
        let known = |entry: &Calibration| {
            entry.budget() == calibration.budget() && entry.yardstick == calibration.yardstick
        };
        self.entries.retain(|entry| !known(entry));
        self.entries.push(calibration);
        self.entries.sort_by(|a, b| {
            a.steps
                .cmp(&b.steps)
                .then(a.reduction.total_cmp(&b.reduction))
        });
    }
}

#[cfg(test)]
impl Calibration {
    /// A threshold of no network.
    pub(crate) fn example() -> Self {
        Self {
            exit_rule: ExitRule::Threshold,
            check_every: every_block(),
            reduction: 0.4,
            reached: 0.41,
            threshold: 0.1,
            floors: Vec::new(),
            depths: Vec::new(),
            windows: Vec::new(),
            steps: 2,
            guidance: 0.0,
            samples: 64,
            seed: 7,
            yardstick: None,
            attainment: None,
        }
    }
}
