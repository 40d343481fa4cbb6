//! What a long run has drawn so far, on disk, so that the same command continues after an
//! interruption.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::json_lines::read_json_or;
use crate::{StorageError, write_atomically};

/// The name under which the settings of a run lie beside what it has drawn.
const SETTINGS: &str = "settings";

/// A folder of parts of a run by name.
#[derive(Debug)]
pub struct ResumeStore {
    folder: PathBuf,
    settings: serde_json::Value,
}

impl ResumeStore {
    /// What a run of these settings has kept in `folder`, which need not exist yet.
    ///
    /// # Errors
    /// Where the folder holds parts of a run with other settings, or is damaged.
    pub fn open(folder: PathBuf, settings: &impl Serialize) -> Result<Self, StorageError> {
        let kept = Self {
            folder,
            settings: serde_json::to_value(settings)?,
        };
        let found: Option<serde_json::Value> = kept.read(SETTINGS)?;
        if found.is_some_and(|found| found != kept.settings) {
            let folder = kept.folder;
            return Err(StorageError::OtherSettings { folder });
        }
        Ok(kept)
    }

    /// The part of this name, if there is one.
    ///
    /// # Errors
    /// Where it is damaged.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StorageError> {
        read_json_or(&self.path(name), "; remove it to draw it again")
    }

    /// Writes a part in place of the one of its name.
    ///
    /// # Errors
    /// Where that fails; the one before it then remains.
    pub fn write(&self, name: &str, part: &impl Serialize) -> Result<(), StorageError> {
        if !self.path(SETTINGS).exists() {
            let settings = serde_json::to_vec(&self.settings)?;
            write_atomically(&self.path(SETTINGS), &settings)?;
        }
        write_atomically(&self.path(name), &serde_json::to_vec(part)?)
    }

    /// Removes all parts, of a run that is complete.
    pub fn remove(self) {
        // Where that fails, they are passed over all the same: the run's result is there.
        let _ = std::fs::remove_dir_all(self.folder);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn parts_are_those_of_one_run() {
        let folder = tempfile::tempdir().unwrap();
        let at = || folder.path().join("kept");
        let kept = ResumeStore::open(at(), &"ours").unwrap();
        assert_eq!(kept.read::<Vec<f32>>("full").unwrap(), None);
        assert!(!at().exists(), "nothing was drawn yet");
        let drawn = vec![0.1_f32, 1e-30, -3.0];
        kept.write("full", &drawn).unwrap();
        let again = ResumeStore::open(at(), &"ours").unwrap();
        assert_eq!(again.read("full").unwrap(), Some(drawn));
        let error = ResumeStore::open(at(), &"theirs").unwrap_err().to_string();
        assert!(error.contains("other settings"), "{error}");
        fs::write(at().join("full.json"), "[1.0, ").unwrap();
        let error = again.read::<Vec<f32>>("full").unwrap_err().to_string();
        assert!(error.contains("is damaged"), "{error}");
    }
}
