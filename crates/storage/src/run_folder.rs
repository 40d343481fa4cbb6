//! The folder of a run: it appears whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{FolderLock, StorageError};

/// A folder that is written under another name and gets its own once it is complete.
///
/// Until then everything lies in `.NAME.unfinished` beside it: what is written, which goes again if
/// the run does not finish, and what the run keeps for the same command to continue with.
#[derive(Debug)]
pub struct RunFolder {
    working: PathBuf,
    target: PathBuf,
    /// Held as long as the run lasts.
    _lock: FolderLock,
    // Dropped after the folder that lies in them.
    parents: MadeFolders,
}

/// Folders that were made for a run, the innermost first; they go again if the run does not finish.
#[derive(Debug)]
struct MadeFolders(Vec<PathBuf>);

impl MadeFolders {
    /// Makes `folder` and those above it that are missing.
    fn make(folder: &Path) -> std::io::Result<Self> {
        let missing = folder
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let made = Self(missing.map(Path::to_path_buf).collect());
        fs::create_dir_all(folder)?;
        Ok(made)
    }
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        for folder in &self.0 {
            // One that another run has written to meanwhile is not empty, and stays.
            let _ = fs::remove_dir(folder);
        }
    }
}

impl RunFolder {
    /// Starts a run's folder: `out` where one was asked for, else a dated one for `experiment`
    /// under `runs`.
    ///
    /// # Errors
    /// Where the folder cannot be written, holds files already, or another process writes it.
    pub fn create(out: Option<&Path>, experiment: &str) -> Result<Self, StorageError> {
        let target = match out {
            Some(out) => out.to_owned(),
            None => {
                let date = chrono::Local::now().format("%Y-%m-%dT%H-%M-%S").to_string();
                Path::new("runs").join(experiment).join(date)
            }
        };
        let occupied = match fs::read_dir(&target) {
            Ok(mut entries) => entries.next().is_some(),
            Err(_) => target.exists(),
        };
        let Some(name) = target.file_name().filter(|_| !occupied) else {
            return Err(StorageError::Occupied { folder: target });
        };
        let parent = match target.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let unwritable = |source| StorageError::Unwritable {
            folder: parent.clone(),
            source,
        };
        let parents = MadeFolders::make(&parent).map_err(unwritable)?;
        let working = parent.join(format!(".{}.unfinished", name.to_string_lossy()));
        let lock = FolderLock::try_new(&working).map_err(|error| match error {
            // The other one's folder is not this one's to remove.
            StorageError::InUse { .. } => StorageError::InUse {
                folder: target.clone(),
            },
            StorageError::File { source, .. } => unwritable(source),
            other => other,
        })?;
        let folder = Self {
            working,
            target,
            _lock: lock,
            parents,
        };
        if folder.path().exists() {
            // Of a process that was killed.
            fs::remove_dir_all(folder.path()).map_err(unwritable)?;
        }
        fs::create_dir(folder.path()).map_err(unwritable)?;
        Ok(folder)
    }

    /// Where to write for now.
    pub fn path(&self) -> PathBuf {
        self.working.join("run")
    }

    /// Where to keep what an interrupted run can continue with; it goes when the run is complete.
    pub fn kept(&self) -> PathBuf {
        self.working.join("kept")
    }

    /// The folder in whose name a run that did not finish is continued, where it has kept something.
    pub fn continues(&self) -> Option<&Path> {
        self.kept().exists().then_some(self.target.as_path())
    }

    /// Gives the folder its name and returns it.
    ///
    /// # Errors
    /// Where that fails; what was written is then removed.
    pub fn finish(mut self) -> Result<PathBuf, StorageError> {
        fs::rename(self.path(), &self.target)
            .map_err(StorageError::file("write the folder", &self.target))?;
        // What was kept has done its service; where it cannot be removed, the run is complete all
        // the same.
        let _ = fs::remove_dir_all(self.kept());
        self.parents.0.clear();
        Ok(self.target.clone())
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.path());
        if !self.kept().exists() {
            let _ = fs::remove_dir_all(&self.working);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("runs/one");
        let folder = RunFolder::create(Some(&out), "").unwrap();
        fs::write(folder.path().join("table.md"), "half").unwrap();
        let second = RunFolder::create(Some(&out), "").unwrap_err().to_string();
        assert!(second.contains("another process"), "{second}");
        drop(folder);
        assert_eq!(names(root.path()), [""; 0]);

        let folder = RunFolder::create(Some(&out), "").unwrap();
        fs::write(folder.path().join("table.md"), "half").unwrap();
        fs::create_dir(folder.kept()).unwrap();
        drop(folder);
        assert_eq!(names(&root.path().join("runs")), [".one.unfinished"]);

        let folder = RunFolder::create(Some(&out), "").unwrap();
        assert!(folder.kept().exists() && names(&folder.path()).is_empty());
        fs::write(folder.path().join("table.md"), "whole").unwrap();
        assert_eq!(folder.finish().unwrap(), out);
        assert_eq!(names(&root.path().join("runs")), ["one"]);
        assert_eq!(fs::read(out.join("table.md")).unwrap(), b"whole");
    }
}
