//! The index of a folder of latents.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{StoredFile, open, unread, write_whole};
use super::{LatentError, LatentHeader};

/// The format that is written and read.
const VERSION: u64 = 1;

/// The most bytes of an index. That of ImageNet has a quarter of a megabyte.
const MOST_BYTES: u64 = 64 << 20;

/// An image that has no latents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkippedImage {
    /// Its index in the data set.
    pub index: usize,
    /// What it is called where the data lie.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShardEntry {
    pub items: usize,
    pub file: StoredFile,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Index {
    version: u64,
    pub complete: bool,
    pub header: LatentHeader,
    pub items_per_shard: usize,
    pub empty_context: Option<StoredFile>,
    pub skipped: Vec<SkippedImage>,
    pub shards: Vec<ShardEntry>,
}

/// What indices of all formats have.
#[derive(Deserialize)]
struct Version {
    version: u64,
}

impl Index {
    /// The index before the first image.
    pub fn new(header: LatentHeader, items_per_shard: usize) -> Self {
        Self {
            version: VERSION,
            complete: false,
            header,
            items_per_shard,
            empty_context: None,
            skipped: Vec::new(),
            shards: Vec::new(),
        }
    }

    /// Items of all shards.
    pub fn items(&self) -> usize {
        self.shards.iter().map(|shard| shard.items).sum()
    }

    /// The index of a folder; none where there is no such file.
    pub fn find(folder: &Path) -> Result<Option<Self>, LatentError> {
        match Self::read(folder) {
            Err(LatentError::Missing { .. }) => Ok(None),
            index => index.map(Some),
        }
    }

    /// The index of a folder.
    pub fn read(folder: &Path) -> Result<Self, LatentError> {
        let file = index_file(folder);
        let mut text = Vec::new();
        let length = open(&file)?.take(MOST_BYTES + 1).read_to_end(&mut text);
        let length = length.map_err(|source| unread(&file, source))?;
        let wrong = |reason: String| LatentError::Index {
            file: file.clone(),
            reason,
        };
        if length as u64 > MOST_BYTES {
            return Err(wrong(format!("it has more than {MOST_BYTES} bytes")));
        }
        let Version { version } =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if version != VERSION {
            return Err(LatentError::Version {
                file,
                version,
                expected: VERSION,
            });
        }
        let index: Self =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        index.check().map_err(wrong)?;
        Ok(index)
    }

    /// Writes the index in place of the one before.
    pub fn write(&self, folder: &Path) -> Result<(), LatentError> {
        write_whole(&index_file(folder), |path| {
            fs::write(path, serde_json::to_vec_pretty(self)?)
        })
        .map(drop)
    }

    /// Makes sure that no part contradicts another, so that sums do not overflow either.
    fn check(&self) -> Result<(), String> {
        self.header.check().map_err(|error| error.to_string())?;
        let images = self.header.source_images;
        let full = self.items_per_shard;
        let last = self.shards.len().saturating_sub(1);
        let mut done = self.skipped.len();
        for (number, shard) in self.shards.iter().enumerate() {
            let may_be_short = self.complete && number == last;
            if shard.items == 0 || shard.items > full || shard.items < full && !may_be_short {
                return Err(format!(
                    "shard {number} has {} items, not {full}",
                    shard.items
                ));
            }
            done = done.saturating_add(shard.items);
        }
        let expected = if self.complete {
            images..=images
        } else {
            0..=images
        };
        if !expected.contains(&done) {
            return Err(format!("it is of {done} images of {images}"));
        }
        let in_order = |pair: &[SkippedImage]| pair[0].index < pair[1].index;
        let last_is_done = |last: &SkippedImage| last.index < done;
        if !self.skipped.windows(2).all(in_order) || !self.skipped.last().is_none_or(last_is_done) {
            return Err("its skipped images are in disorder".to_owned());
        }
        if self.complete && self.shards.is_empty() {
            return Err("it is of no shards".to_owned());
        }
        if self.empty_context.is_some() != (self.complete && self.header.context_shape.is_some()) {
            return Err("it has an empty context or contexts, but not both".to_owned());
        }
        Ok(())
    }
}

pub(super) fn index_file(folder: &Path) -> PathBuf {
    folder.join("index.json")
}

pub(super) fn shard_file(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("shard-{number:05}.safetensors"))
}

pub(super) fn empty_context_file(folder: &Path) -> PathBuf {
    folder.join("empty_context.safetensors")
}
