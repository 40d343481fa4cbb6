//! The calibrations that lie beside weights.

use std::fs;
use std::path::{Path, PathBuf};

use adadiff_storage::{FolderLock, write_atomically};
use serde::{Deserialize, Serialize};

use crate::{Calibration, PipelineError, StoredCalibration};

/// What lies in a file `calibration.json`. Several files of weights may have theirs in one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CalibrationFile {
    entries: Vec<StoredCalibration>,
}

impl CalibrationFile {
    /// The file of the weights at `weights`.
    pub fn path_beside(weights: &Path) -> PathBuf {
        weights.with_file_name("calibration.json")
    }

    /// Reads a file; one that is not there holds nothing.
    ///
    /// # Errors
    /// Where it cannot be read or is damaged.
    pub fn read(path: &Path) -> Result<Self, PipelineError> {
        if !path.exists() {
            return Ok(Self::default());
        }
        Self::parse(&read_text(path)?, path)
    }

    /// What a file holds that was read already; `path` is for messages.
    ///
    /// # Errors
    /// Where it is damaged.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PipelineError> {
        serde_json::from_str(text).map_err(|source| PipelineError::Calibrations {
            path: path.to_owned(),
            source,
        })
    }

    /// Adds an entry to the file at `path`, whatever other processes add to it at the same time.
    ///
    /// # Errors
    /// Where the file is damaged or cannot be written; it then stays as it was.
    pub fn add(path: &Path, entry: StoredCalibration) -> Result<(), PipelineError> {
        let _lock = FolderLock::wait_for_file(path)?;
        let mut file = Self::read(path)?;
        file.insert(entry);
        write_json(path, &file)
    }

    /// Checks that entries can be added to the file at `path`.
    ///
    /// # Errors
    /// Where it is damaged or its folder cannot be written into.
    pub fn check(path: &Path) -> Result<(), PipelineError> {
        let _lock = FolderLock::wait_for_file(path)?;
        Self::read(path)?;
        Ok(())
    }

    /// All entries, by solver steps and budget; of one budget the latest last.
    pub fn entries(&self) -> &[StoredCalibration] {
        &self.entries
    }

    /// The calibrations of the weights with this SHA-256, or of those that have none.
    pub fn of_weights<'f>(
        &'f self,
        weights_sha256: Option<&'f str>,
    ) -> impl DoubleEndedIterator<Item = &'f Calibration> {
        let entries = self.entries.iter();
        entries.filter_map(move |entry| {
            (entry.weights_sha256.as_deref() == weights_sha256).then_some(&entry.calibration)
        })
    }

    /// Adds an entry, in place of an earlier one for the same weights, solver and budget by the same
    /// reference, and of one that does not tell of which weights or solver it is.
    pub fn insert(&mut self, new: StoredCalibration) {
        self.entries.retain(|old| {
            let (old_one, new_one) = (&old.calibration, &new.calibration);
            old_one.key() != new_one.key()
                || old_one.exits.reference() != new_one.exits.reference()
                || (old.weights_sha256.is_some() && old.weights_sha256 != new.weights_sha256)
                || (old.solver.is_some() && old.solver != new.solver)
        });
        self.entries.push(new);
        self.entries.sort_by(|a, b| {
            let (a, b) = (&a.calibration, &b.calibration);
            let steps = a.steps.cmp(&b.steps);
            steps.then(a.reduction.total_cmp(&b.reduction))
        });
    }
}

impl Calibration {
    /// Reads a file of one calibration.
    ///
    /// # Errors
    /// Where it cannot be read or is damaged.
    pub fn read(path: &Path) -> Result<Self, PipelineError> {
        serde_json::from_str(&read_text(path)?).map_err(|source| PipelineError::NoCalibration {
            path: path.to_owned(),
            source,
        })
    }

    /// Writes it into the folder of a run.
    ///
    /// # Errors
    /// Where that fails.
    pub fn write_beside(&self, folder: &Path) -> Result<(), PipelineError> {
        write_json(&folder.join("calibration.json"), self)
    }
}

fn read_text(path: &Path) -> Result<String, PipelineError> {
    fs::read_to_string(path).map_err(|source| PipelineError::Read {
        what: "the calibrations",
        path: path.to_owned(),
        source,
    })
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), PipelineError> {
    let mut json = serde_json::to_vec_pretty(value).map_err(adadiff_storage::StorageError::from)?;
    json.push(b'\n');
    Ok(write_atomically(path, &json)?)
}
