//! One process at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::StorageError;
use crate::atomic::folder_of;

/// The file that is locked.
const NAME: &str = ".lock";

/// Keeps other processes that take the same lock away from a folder, until it is dropped or the
/// process ends, however it ends. The file itself, `.lock`, is empty and stays, unless it is
/// [removed](Self::remove): one that nobody holds locks nothing.
///
/// A file system without locks has to do without: there every process gets it.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
    path: PathBuf,
}

impl FolderLock {
    /// Takes the lock of `folder`, which is made where there is none, for work that no other process
    /// may join.
    ///
    /// # Errors
    /// [`StorageError::InUse`] where another process has it, [`StorageError::File`] where the folder
    /// cannot be written.
    pub fn try_new(folder: &Path) -> Result<Self, StorageError> {
        Self::open(folder, NAME)?.or_in_use(folder)
    }

    /// Takes the lock of one file for work in which no other process may write it; others may write
    /// other files of its folder.
    ///
    /// # Errors
    /// As [`Self::try_new`].
    pub fn try_for_file(path: &Path) -> Result<Self, StorageError> {
        Self::of_file(path)?.or_in_use(path)
    }

    /// Takes the lock of one file, whoever has that of its folder, as soon as no other process has it:
    /// for reading the file, changing it and writing it back beside long work in the folder.
    ///
    /// # Errors
    /// [`StorageError::File`] where the folder cannot be written.
    pub fn wait_for_file(path: &Path) -> Result<Self, StorageError> {
        let lock = Self::of_file(path)?;
        // A signal ends the wait, not the need for it; where there are no locks, that is all there is.
        while let Err(error) = lock.file.lock()
            && error.kind() == io::ErrorKind::Interrupted
        {}
        Ok(lock)
    }

    /// Gives the lock back and removes its file, from a folder that is not written into any more.
    ///
    /// # Errors
    /// Where the file cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        // Windows removes no file that is open.
        drop(self.file);
        fs::remove_file(self.path)
    }

    fn of_file(path: &Path) -> Result<Self, StorageError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self::open(folder_of(path), &format!(".{name}{NAME}"))
    }

    fn or_in_use(self, written: &Path) -> Result<Self, StorageError> {
        match self.file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(StorageError::InUse {
                folder: written.to_owned(),
            }),
            Ok(()) | Err(TryLockError::Error(_)) => Ok(self),
        }
    }

    fn open(folder: &Path, name: &str) -> Result<Self, StorageError> {
        fs::create_dir_all(folder).map_err(StorageError::file("create", folder))?;
        let path = folder.join(name);
        let file = File::create(&path).map_err(StorageError::file("write", &path))?;
        Ok(Self { file, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_process_s_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("run");
        let first = FolderLock::try_new(&folder).unwrap();
        let error = FolderLock::try_new(&folder).unwrap_err();
        assert!(matches!(error, StorageError::InUse { .. }), "{error}");
        drop(first);
        FolderLock::try_new(&folder).unwrap();
    }

    #[test]
    fn files_of_a_folder_are_locked_one_by_one() {
        let root = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| root.path().join(name));
        let first = FolderLock::try_for_file(&one).unwrap();
        let error = FolderLock::try_for_file(&one).unwrap_err();
        assert!(matches!(error, StorageError::InUse { .. }), "{error}");
        FolderLock::try_for_file(&other).unwrap().remove().unwrap();
        first.remove().unwrap();
        FolderLock::try_for_file(&one).unwrap().remove().unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn changes_of_several_processes_all_count() {
        let root = tempfile::tempdir().unwrap();
        let counter = root.path().join("counter");
        fs::write(&counter, "0").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        // Locks are of open files, so that threads stand for processes.
                        let _lock = FolderLock::wait_for_file(&counter).unwrap();
                        let text = fs::read_to_string(&counter).unwrap();
                        let count: u32 = text.parse().unwrap();
                        crate::write_atomically(&counter, (count + 1).to_string().as_bytes())
                            .unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_to_string(&counter).unwrap(), "100");
    }
}
