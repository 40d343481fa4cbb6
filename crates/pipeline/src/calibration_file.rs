//! The calibrations that lie beside weights.

use std::io;
use std::path::{Path, PathBuf};

use adadiff_storage::{FolderLock, StorageError, read_json, read_json_or, write_json};
use serde::{Deserialize, Serialize};

use crate::{Calibration, PipelineError, StoredCalibration};

/// What to do about a damaged file.
const DAMAGED: &str = "; remove it and run `calibrate` again";

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
        Ok(read_json_or(path, DAMAGED)?.unwrap_or_default())
    }

    /// What a file holds that was read already; `path` is for messages.
    ///
    /// # Errors
    /// Where it is damaged.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PipelineError> {
        Ok(
            serde_json::from_str(text).map_err(|source| StorageError::Damaged {
                path: path.to_owned(),
                help: DAMAGED,
                source,
            })?,
        )
    }

    /// Adds an entry to the file at `path`, whatever other processes add to it at the same time.
    ///
    /// # Errors
    /// Where the file is damaged or cannot be written; it then stays as it was.
    pub fn add(path: &Path, entry: StoredCalibration) -> Result<(), PipelineError> {
        let _lock = FolderLock::wait_for_file(path)?;
        let mut file = Self::read(path)?;
        file.insert(entry);
        Ok(write_json(path, &file)?)
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
    /// reference, and of one that does not tell its weights.
    pub fn insert(&mut self, new: StoredCalibration) {
        self.entries.retain(|old| {
            let (old_one, new_one) = (&old.calibration, &new.calibration);
            let alike = old_one.key() == new_one.key()
                && old_one.exits.reference() == new_one.exits.reference();
            let same = old.weights_sha256 == new.weights_sha256 && old.solver == new.solver;
            !alike || !(same || old.weights_sha256.is_none())
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
        let missing = || StorageError::file("read", path)(io::ErrorKind::NotFound.into());
        Ok(read_json(path)?.ok_or_else(missing)?)
    }

    /// Writes it into the folder of a run.
    ///
    /// # Errors
    /// Where that fails.
    pub fn write_beside(&self, folder: &Path) -> Result<(), PipelineError> {
        Ok(write_json(&folder.join("calibration.json"), self)?)
    }
}
