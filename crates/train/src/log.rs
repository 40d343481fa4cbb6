//! The log of losses: JSON lines, one object every few steps.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

use adadiff_storage::write_atomically;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::objective::Losses;

/// One line of the log; losses are means over the steps since the line before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Steps done.
    pub step: u64,
    /// Images seen.
    pub images: u64,
    /// What is minimised.
    pub total: f64,
    /// L_simple.
    pub simple: f64,
    /// L_u, in the joint phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<f64>,
    /// UAL, in the joint phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_wise: Option<f64>,
    /// Norm of all gradients before clipping; absent where nothing is clipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f64>,
    /// The Fréchet distance of a few samples of the averaged weights, where they were judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frechet_distance: Option<f64>,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// Speed since this process started the training, without the time of judging.
    pub images_per_second: f64,
    /// The most memory of the host that this process has had resident, in MiB; absent where the
    /// system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_mib: Option<u64>,
}

/// Losses added up since the last line of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LossSums {
    pub steps: u64,
    pub total: f64,
    pub simple: f64,
    pub uncertainty: f64,
    pub layer_wise: f64,
    pub gradient_norm: f64,
}

impl LossSums {
    /// Adds the losses of a step.
    pub fn add(&mut self, losses: Losses) {
        self.total += losses.total;
        self.simple += losses.simple;
        self.uncertainty += losses.uncertainty;
        self.layer_wise += losses.layer_wise;
    }
}

/// Continues the log of a training that was interrupted: lines after `step` belong to steps that are
/// done again, and go.
pub(crate) fn truncate(path: &Path, step: u64) -> Result<(), TrainError> {
    if !path.exists() {
        return Ok(());
    }
    let file = File::open(path).map_err(TrainError::file("read", path))?;
    let mut kept = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(TrainError::file("read", path))?;
        let of_the_past =
            serde_json::from_str::<LogLine>(&line).is_ok_and(|line| line.step <= step);
        if of_the_past {
            kept.extend_from_slice(line.as_bytes());
            kept.push(b'\n');
        }
    }
    Ok(write_atomically(path, &kept)?)
}

/// Appends a line.
pub(crate) fn append(path: &Path, line: &LogLine) -> Result<(), TrainError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(TrainError::file("create", folder))?;
    }
    let write = || -> std::io::Result<()> {
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        adadiff_storage::append(path, &json)
    };
    write().map_err(TrainError::file("write", path))
}
