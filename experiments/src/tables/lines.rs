//! Files of JSON lines that grow by a line as it is measured, and lose none where a run is
//! interrupted.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::key::id;

/// A measured line and what it depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line<K, V> {
    /// The short name of the key.
    pub id: String,
    /// What the values depend on.
    pub key: K,
    /// What was measured.
    #[serde(flatten)]
    pub value: V,
}

/// A file of lines, all of one kind.
#[derive(Debug)]
pub struct Lines<K, V> {
    path: PathBuf,
    lines: Vec<Line<K, V>>,
}

impl<K, V> Lines<K, V>
where
    K: Clone + Serialize + DeserializeOwned,
    V: Clone + Serialize + DeserializeOwned,
{
    /// Reads a file; one that is not there has no lines. A last line without an end was being
    /// written when a run was killed, and does not count.
    ///
    /// # Errors
    /// Where the file cannot be read, or another line is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let read = |(number, line): (usize, &str)| {
            serde_json::from_str(line)
                .with_context(|| format!("line {} of {} is damaged", number + 1, path.display()))
        };
        let lines = whole
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.is_empty());
        Ok(Self {
            lines: lines.map(read).collect::<Result<_>>()?,
            path: path.to_owned(),
        })
    }

    /// All lines in the order in which they were measured.
    pub fn all(&self) -> &[Line<K, V>] {
        &self.lines
    }

    /// The values of a short name.
    pub fn get(&self, id: &str) -> Option<&V> {
        let line = self.lines.iter().find(|line| line.id == id);
        line.map(|line| &line.value)
    }

    /// The values of a key.
    ///
    /// # Errors
    /// Where a number of the key is not finite.
    pub fn find(&self, key: &K) -> Result<Option<&V>> {
        Ok(self.get(&id(key)?))
    }

    /// Adds a line to the file and then to these lines. Several processes may add to one file.
    ///
    /// # Errors
    /// Where a number is not finite or the file cannot be written.
    pub fn add(&mut self, key: K, value: V) -> Result<()> {
        let line = Line {
            id: id(&key)?,
            key,
            value,
        };
        let mut json = serde_json::to_string(&line)?;
        // JSON has no numbers that are not finite, and would hold them as null.
        serde_json::from_str::<Line<K, V>>(&json).context("a measured number is not finite")?;
        json.push('\n');
        append(&self.path, json.as_bytes())
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        self.lines.push(line);
        Ok(())
    }
}

/// Adds a line that is on the disk when this returns, in place of the rest of one that was never
/// written to its end.
fn append(path: &Path, line: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    // Given back where the file is closed.
    file.lock()?;
    let end = end_of_last_line(&mut file)?;
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    file.write_all(line)?;
    file.sync_data()
}

/// The length of a file up to its last line's end.
fn end_of_last_line(file: &mut File) -> std::io::Result<u64> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let end = bytes.iter().rposition(|&byte| byte == b'\n');
    Ok(end.map_or(0, |end| end as u64 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Value {
        distance: f64,
    }

    fn value(distance: f64) -> Value {
        Value { distance }
    }

    #[test]
    fn a_line_that_was_cut_off_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        let mut lines = Lines::<u32, Value>::open(&path).unwrap();
        lines.add(1, value(0.5)).unwrap();
        lines.add(2, value(1.0 / 3.0)).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 4]).unwrap();

        let mut lines = Lines::<u32, Value>::open(&path).unwrap();
        assert_eq!(lines.find(&1).unwrap(), Some(&value(0.5)));
        assert_eq!(lines.find(&2).unwrap(), None);
        lines.add(2, value(1.0 / 3.0)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        assert_eq!(Lines::<u32, Value>::open(&path).unwrap().all(), lines.all());
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        std::fs::write(&path, "{\"id\":\n\n").unwrap();
        let error = Lines::<u32, Value>::open(&path).unwrap_err().to_string();
        assert!(error.contains("line 1 of"), "{error}");
    }

    #[test]
    fn a_number_that_is_not_finite_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        let mut lines = Lines::<u32, Value>::open(&path).unwrap();
        assert!(lines.add(1, value(f64::NAN)).is_err());
        assert!(!path.exists() && lines.all().is_empty());
    }
}
