//! The folder of a run: it appears whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// A folder that is written under a temporary name and gets its own once it is complete.
#[derive(Debug)]
pub struct RunFolder {
    // Dropped before the folders it lies in, in the order of the fields.
    unfinished: TempDir,
    parents: MadeFolders,
    target: PathBuf,
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
    /// Where the folder cannot be written or holds files already.
    pub fn create(out: Option<&Path>, experiment: &str) -> Result<Self> {
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
        if occupied {
            bail!(
                "{} holds files already; choose another folder with --out",
                target.display()
            );
        }
        let parent = match target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let explain = || {
            format!(
                "cannot write into {}; choose another with --out",
                parent.display()
            )
        };
        let parents = MadeFolders::make(parent).with_context(explain)?;
        let unfinished = tempfile::Builder::new()
            .prefix(".unfinished-")
            .tempdir_in(parent)
            .with_context(explain)?;
        Ok(Self {
            unfinished,
            parents,
            target,
        })
    }

    /// Where to write for now.
    pub fn path(&self) -> &Path {
        self.unfinished.path()
    }

    /// Gives the folder its name and returns it.
    ///
    /// # Errors
    /// Where that fails; what was written is then removed.
    pub fn finish(mut self) -> Result<PathBuf> {
        let explain = || format!("cannot write the folder {}", self.target.display());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // A temporary folder is readable by its owner alone.
            fs::set_permissions(self.unfinished.path(), fs::Permissions::from_mode(0o755))
                .with_context(explain)?;
        }
        fs::rename(self.unfinished.path(), &self.target).with_context(explain)?;
        self.parents.0.clear();
        Ok(self.target)
    }
}
