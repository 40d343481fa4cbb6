//! The whole state of a training on disk: weights, their average, optimizer, step and losses.
//!
//! A checkpoint is a folder `step-0000001234` that appears by a rename once all its files are
//! written. Its `state.json` holds a checksum of every other file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use adadiff_sampler::ScheduleConfig;
use adadiff_storage::write_atomically;
use burn::record::{BinBytesRecorder, FullPrecisionSettings, Record, Recorder};
use burn::tensor::backend::Backend;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::compute::LossScale;
use crate::log::LossSums;
use crate::{TrainConfig, TrainError};

const STATE: &str = "state.json";

/// How the name of a folder begins that is still being written.
const UNFINISHED: &str = ".unfinished-";

/// Checkpoints that are kept; the older ones are removed.
const KEPT: usize = 2;

/// What a checkpoint says of its run in plain text.
pub(crate) trait State: Serialize + DeserializeOwned {
    /// Steps done.
    fn step(&self) -> u64;

    /// CRC-32 of each file.
    fn checksums(&mut self) -> &mut BTreeMap<String, u32>;
}

/// What a checkpoint says of a [`Trainer`](crate::Trainer)'s run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainState {
    /// Version of the crate that wrote it.
    pub version: String,
    /// Steps done.
    pub step: u64,
    /// Images drawn: the position in the data order.
    pub images: u64,
    /// Images in the data set.
    pub dataset_length: usize,
    /// The SHA-256 of the data set; absent in files of before 2026-12, some of which have another
    /// digest, of a part of the images, that is not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_sha256: Option<String>,
    /// The SHA-256 of the weights that the phase began with; absent in files of before 2026-12.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_sha256: Option<String>,
    /// The noise schedule.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// The hyperparameters of the phase.
    pub config: TrainConfig,
    /// The hyperparameters of the network.
    pub model: serde_json::Value,
    /// Losses since the last line of the log.
    pub losses: LossSums,
    /// What losses are multiplied by in half precision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScale>,
    /// CRC-32 of each file.
    pub checksums: BTreeMap<String, u32>,
}

impl State for TrainState {
    fn step(&self) -> u64 {
        self.step
    }

    fn checksums(&mut self) -> &mut BTreeMap<String, u32> {
        &mut self.checksums
    }
}

/// Files of a checkpoint that are written or read together.
pub(crate) struct Files {
    /// The folder of the checkpoint.
    pub folder: PathBuf,
    checksums: BTreeMap<String, u32>,
}

impl Files {
    /// Encodes a record in full precision and writes it.
    pub(crate) fn write<B: Backend, R: Record<B>>(
        &mut self,
        name: &str,
        record: R,
    ) -> Result<(), TrainError> {
        let path = self.folder.join(name);
        let recorder = BinBytesRecorder::<FullPrecisionSettings>::default();
        let bytes = Recorder::<B>::record(&recorder, record, ())
            .map_err(|error| unusable(&path, error.to_string()))?;
        write_atomically(&path, &bytes)?;
        self.checksums
            .insert(name.to_owned(), crc32fast::hash(&bytes));
        Ok(())
    }

    /// Reads a record, once its checksum has shown that it is what was written.
    pub(crate) fn read<B: Backend, R: Record<B>>(
        &self,
        name: &str,
        device: &B::Device,
    ) -> Result<R, TrainError> {
        let path = self.folder.join(name);
        let bytes = fs::read(&path).map_err(TrainError::file("read", &path))?;
        if self.checksums.get(name) != Some(&crc32fast::hash(&bytes)) {
            return Err(unusable(
                &path,
                "its checksum is wrong: the file was damaged or changed. Remove its folder to \
                 continue from the checkpoint before it"
                    .to_owned(),
            ));
        }
        let recorder = BinBytesRecorder::<FullPrecisionSettings>::default();
        Recorder::<B>::load(&recorder, bytes, device)
            .map_err(|error| unusable(&path, error.to_string()))
    }
}

pub(crate) fn unusable(path: &Path, reason: String) -> TrainError {
    TrainError::Checkpoint {
        path: path.to_owned(),
        reason,
    }
}

fn folder_name(step: u64) -> String {
    format!("step-{step:010}")
}

/// Writes a checkpoint into `folder`: `write` writes the records.
pub(crate) fn save<S: State>(
    folder: &Path,
    mut state: S,
    write: impl FnOnce(&mut Files) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let target = folder.join(folder_name(state.step()));
    if target.exists() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(TrainError::file("create", folder))?;
    remove_unfinished(folder)?;
    let unfinished = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(folder)
        .map_err(TrainError::file("create a folder in", folder))?;
    let mut files = Files {
        folder: unfinished.path().to_owned(),
        checksums: BTreeMap::new(),
    };
    write(&mut files)?;
    *state.checksums() = files.checksums;
    let path = unfinished.path().join(STATE);
    let json =
        serde_json::to_vec_pretty(&state).map_err(|error| unusable(&path, error.to_string()))?;
    write_atomically(&path, &json)?;
    fs::rename(unfinished.path(), &target).map_err(TrainError::file("rename to", &target))?;
    remove_old(folder)
}

/// Removes what a process that was killed while saving has left behind.
fn remove_unfinished(folder: &Path) -> Result<(), TrainError> {
    let entries = fs::read_dir(folder).map_err(TrainError::file("read", folder))?;
    for entry in entries.filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(TrainError::file("remove", &path))?;
        }
    }
    Ok(())
}

fn remove_old(folder: &Path) -> Result<(), TrainError> {
    let checkpoints = list(folder)?;
    for old in checkpoints.iter().rev().skip(KEPT) {
        fs::remove_dir_all(old).map_err(TrainError::file("remove", old))?;
    }
    Ok(())
}

/// The checkpoints in a folder, the latest last; none where there is no such folder.
fn list(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(TrainError::file("read", folder))?;
    let mut checkpoints: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str()?.strip_prefix("step-"))
                .is_some_and(|step| step.parse::<u64>().is_ok())
        })
        .collect();
    checkpoints.sort();
    Ok(checkpoints)
}

/// Removes the checkpoints in `folder`, and it where nothing else is in it.
///
/// # Errors
/// Where one cannot be removed.
pub fn remove_checkpoints(folder: &Path) -> Result<(), TrainError> {
    for checkpoint in list(folder)? {
        fs::remove_dir_all(&checkpoint).map_err(TrainError::file("remove", &checkpoint))?;
    }
    // What else is there is somebody's own.
    let _ = fs::remove_dir(folder);
    Ok(())
}

/// Whether a training in `folder` has saved anything that it can be continued from.
///
/// # Errors
/// Where the folder cannot be read.
pub fn has_checkpoint(folder: &Path) -> Result<bool, TrainError> {
    Ok(!list(&folder.join(crate::CHECKPOINTS))?.is_empty())
}

/// The latest checkpoint in a folder, if it has any.
pub(crate) fn latest<S: State>(folder: &Path) -> Result<Option<(S, Files)>, TrainError> {
    let Some(folder) = list(folder)?.pop() else {
        return Ok(None);
    };
    let path = folder.join(STATE);
    let json = fs::read(&path).map_err(TrainError::file("read", &path))?;
    let mut state: S = serde_json::from_slice(&json).map_err(|error| {
        unusable(
            &path,
            format!(
                "it is damaged, or of a training that had diverged ({error}). Remove its folder to \
             continue from the checkpoint before it"
            ),
        )
    })?;
    let step = state.step();
    if folder.file_name() != Some(folder_name(step).as_ref()) {
        return Err(unusable(&path, format!("it tells of step {step}")));
    }
    let checksums = state.checksums().clone();
    Ok(Some((state, Files { folder, checksums })))
}
