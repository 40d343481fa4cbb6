//! The folder of results: lines that grow, and everything that is drawn from them.

use std::path::{Path, PathBuf};

use adadiff_pipeline::ReferenceId;
use adadiff_storage::{JsonLines, ResumeStore, read_json, record_id, write_json};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::methods::{Method, MethodKind};
use crate::presets::Protocol;
use crate::results::{DrawKey, QualityKey, RecordedRow, ResultRow, TableName, TimingKey};

/// How good samples are, and what they cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityRecord {
    /// The row of results; its times are of a run that may have shared the machine.
    pub result: ResultRow,
}

/// How long samples take where methods take turns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimingRecord {
    pub seconds_per_image: f64,
    /// The full network's median in the same turns.
    pub full_seconds_per_image: f64,
    /// Blocks run, mean over samples and network evaluations.
    pub blocks_mean: f64,
}

impl TimingRecord {
    /// The full network's time over this one.
    pub fn speedup(&self) -> f64 {
        self.full_seconds_per_image / self.seconds_per_image
    }

    /// This time over another one, which may be of another day: what both have in common is the full
    /// network in their turns.
    pub fn over(&self, other: &Self) -> f64 {
        other.speedup() / self.speedup()
    }
}

/// A family and the samples whose time it has to match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchKey {
    pub target: DrawKey,
    pub family: MethodKind,
    /// What the family is calibrated by, where it is AdaDiff by the exit rule `distance` and that does not
    /// come with the data set.
    #[serde(default, rename = "yardstick", skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<ReferenceId>,
    /// Turns of every comparison.
    pub rounds: usize,
}

/// The setting of a family that was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EqualTimeMatch {
    pub method: Method,
    /// Its time over the target's, where they took turns.
    pub time_ratio: f64,
}

/// A table as it was last drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedTable {
    /// The experiment's name.
    pub experiment: String,
    pub table: TableName,
    pub entries: Vec<RecordedRow>,
    /// The farthest that a time may be from the one it has to match, as a share of it.
    pub tolerance: f64,
    /// How samples were drawn; absent where as the preset says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
}

impl RecordedTable {
    /// The heading over it.
    pub fn title(&self) -> String {
        Protocol::title(self.protocol.as_ref(), self.table.title())
    }
}

/// The folder of what was drawn of rows that are not complete.
const UNFINISHED: &str = ".unfinished";

/// The folder of the full network's samples.
const FULL_SAMPLES: &str = ".full_samples";

#[derive(Debug)]
pub struct Results {
    folder: PathBuf,
    pub quality: JsonLines<QualityKey, QualityRecord>,
    pub timing: JsonLines<TimingKey, TimingRecord>,
    pub matches: JsonLines<MatchKey, EqualTimeMatch>,
}

impl Results {
    /// Opens a folder, which is made where there is none.
    ///
    /// # Errors
    /// Where a file cannot be read or is damaged.
    pub fn open(folder: &Path) -> Result<Self> {
        for folder in [folder, &folder.join("tables"), &folder.join("figures")] {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        Self::read(folder)
    }

    /// Reads a folder that is there, and makes nothing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(folder: &Path) -> Result<Self> {
        Ok(Self {
            quality: JsonLines::open(&folder.join("quality.jsonl"))?,
            timing: JsonLines::open(&folder.join("timing.jsonl"))?,
            matches: JsonLines::open(&folder.join("matches.jsonl"))?,
            folder: folder.to_owned(),
        })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn figures(&self) -> PathBuf {
        self.folder.join("figures")
    }

    /// What was drawn so far of a row that is being measured.
    ///
    /// # Errors
    /// Where it is damaged.
    pub fn unfinished(&self, key: &QualityKey) -> Result<ResumeStore> {
        let folder = self.folder.join(UNFINISHED).join(record_id(key)?);
        Ok(ResumeStore::open(folder, key)?)
    }

    /// Adds the row of a key, and removes what [`Self::unfinished`] kept of it.
    ///
    /// # Errors
    /// Where a number is not finite or the file cannot be written.
    pub fn add_quality(&mut self, key: QualityKey, result: ResultRow) -> Result<()> {
        let unfinished = self.unfinished(&key)?;
        self.quality.add(key, QualityRecord { result })?;
        unfinished.remove();
        // Others may be measuring rows of their own there.
        let _ = std::fs::remove_dir(self.folder.join(UNFINISHED));
        Ok(())
    }

    /// The file of a table, with this ending.
    pub fn table_path(&self, table: &RecordedTable, ending: &str) -> PathBuf {
        let file = Protocol::file_name(table.protocol.as_ref(), table.table.file_name());
        self.tables_folder().join(format!("{file}.{ending}"))
    }

    fn tables_folder(&self) -> PathBuf {
        self.folder.join("tables")
    }

    /// Notes which rows a table has.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write_table(&self, table: &RecordedTable) -> Result<()> {
        Ok(write_json(&self.table_path(table, "json"), table)?)
    }

    /// The table as it was last drawn, if it was, with samples drawn as the preset says.
    ///
    /// # Errors
    /// Where its file is damaged.
    pub fn table(&self, name: TableName) -> Result<Option<RecordedTable>> {
        let path = self.tables_folder().join(name.file_name());
        Ok(read_json(&path.with_extension("json"))?)
    }

    /// The table in every protocol that it was drawn in, the preset's first.
    ///
    /// # Errors
    /// Where a file is damaged.
    pub fn tables(&self, name: TableName) -> Result<Vec<RecordedTable>> {
        let folder = self.tables_folder();
        let files = of_every_protocol(&folder, name.file_name())?;
        let read = |file: &String| Ok(read_json(&folder.join(format!("{file}.json")))?);
        files
            .iter()
            .filter_map(|file| read(file).transpose())
            .collect()
    }

    /// The files of a figure in every protocol that it was drawn in, the preset's first.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn figure_files(&self, stem: &str) -> Result<Vec<String>> {
        of_every_protocol(&self.figures(), stem)
    }

    /// What is kept of the full network's samples, to compare the images of others with.
    ///
    /// # Errors
    /// Where it is damaged.
    pub fn full_samples(&self, key: &DrawKey) -> Result<ResumeStore> {
        let folder = self.folder.join(FULL_SAMPLES).join(record_id(key)?);
        Ok(ResumeStore::open(folder, key)?)
    }

    /// The qualities of an entry's seeds.
    pub fn qualities<'a>(&'a self, entry: &'a RecordedRow) -> impl Iterator<Item = &'a ResultRow> {
        let lines = entry.quality.iter().filter_map(|id| self.quality.get(id));
        lines.map(|quality| &quality.result)
    }

    pub fn time(&self, entry: &RecordedRow) -> Option<&TimingRecord> {
        self.timing.get(entry.timing.as_deref()?)
    }

    /// [`Self::time`] where the full network takes as long as it did beside the table's first timed
    /// entry, so that entries of other days can be shown beside each other.
    pub fn comparable_time(
        &self,
        table: &RecordedTable,
        entry: &RecordedRow,
    ) -> Option<TimingRecord> {
        let time = self.time(entry)?;
        let first = table.entries.iter().find_map(|first| self.time(first))?;
        Some(TimingRecord {
            seconds_per_image: first.full_seconds_per_image / time.speedup(),
            full_seconds_per_image: first.full_seconds_per_image,
            ..*time
        })
    }

    /// The method of a line of time.
    pub fn timed_method(&self, id: &str) -> Option<Method> {
        let line = self.timing.all().iter().find(|line| line.id == id);
        line.map(|line| line.key.draw.method)
    }

    /// How an entry's knob was chosen.
    pub fn matched(&self, entry: &RecordedRow) -> Option<&EqualTimeMatch> {
        self.matches.get(entry.matched.as_deref()?)
    }
}

/// The names, without their ending, of JSON files `stem` and `stem-SOLVER-STEPS` in a folder, by steps.
fn of_every_protocol(folder: &Path, stem: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    if !folder.exists() {
        return Ok(found);
    }
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".json")) else {
            continue;
        };
        let rest = name.strip_prefix(stem);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
            found.push(name.to_owned());
        }
    }
    let steps = |name: &str| {
        name.rsplit_once('-')
            .and_then(|(_, steps)| steps.parse().ok())
    };
    found.sort_by_cached_key(|name| (steps(name).unwrap_or(0_usize), name.clone()));
    Ok(found)
}
