//! The files of a folder of latents: written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use adadiff_storage::{sha256_hex, sync_folder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::LatentError;

/// The ending of a file that is being written.
const UNFINISHED: &str = "unfinished";

/// A file as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredFile {
    pub bytes: u64,
    pub sha256: String,
}

impl StoredFile {
    /// Makes sure that the file has its length.
    pub fn check_size(&self, file: &Path) -> Result<(), LatentError> {
        let bytes = open(file)?.metadata();
        let bytes = bytes.map_err(|source| unread(file, source))?.len();
        if bytes == self.bytes {
            return Ok(());
        }
        Err(LatentError::Size {
            file: file.to_owned(),
            bytes,
            expected: self.bytes,
        })
    }

    /// Makes sure that this is the file's content.
    pub fn check_content(&self, file: &Path, content: &[u8]) -> Result<(), LatentError> {
        let found = sha256_hex(content);
        if found == self.sha256 {
            return Ok(());
        }
        Err(LatentError::Checksum {
            file: file.to_owned(),
            found,
            expected: self.sha256.clone(),
        })
    }
}

/// Opens a file of a finished shard or set.
pub(super) fn open(file: &Path) -> Result<File, LatentError> {
    File::open(file).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => LatentError::Missing {
            file: file.to_owned(),
            help: "copy it here again, or remove the folder and prepare the latents again",
        },
        _ => unread(file, source),
    })
}

pub(super) fn unread(file: &Path, source: io::Error) -> LatentError {
    LatentError::Read {
        file: file.to_owned(),
        source,
    }
}

pub(super) fn unwritten(file: &Path, source: io::Error) -> LatentError {
    LatentError::Write {
        file: file.to_owned(),
        source,
    }
}

/// Lets `write` fill a file under another name, makes sure that it is on the disk, and gives it its
/// name.
pub(super) fn write_whole(
    file: &Path,
    write: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<StoredFile, LatentError> {
    let unfinished = unfinished(file);
    let stored = write(&unfinished).and_then(|()| {
        // Windows flushes no file that is open for reading alone.
        let written = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&unfinished)?;
        written.sync_all()?;
        let stored = measure(written)?;
        fs::rename(&unfinished, file)?;
        sync_folder(file)?;
        Ok(stored)
    });
    stored.map_err(|source| {
        // What it holds helps nobody, and on a full disk its room is needed. Where it cannot be
        // removed either, the first error says more.
        let _ = fs::remove_file(&unfinished);
        unwritten(file, source)
    })
}

fn unfinished(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(UNFINISHED);
    name.into()
}

/// Removes what a killed process was writing.
pub(super) fn remove_unfinished(folder: &Path) -> Result<(), LatentError> {
    let remove = || {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == UNFINISHED) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    };
    remove().map_err(|source| unwritten(folder, source))
}

fn measure(mut file: File) -> io::Result<StoredFile> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            let sha256 = format!("{:x}", hash.finalize());
            return Ok(StoredFile { bytes, sha256 });
        }
        hash.update(&chunk[..length]);
        bytes += length as u64;
    }
}
