//! Files of JSON lines that grow by a line as it is measured, and lose none where a run is
//! interrupted.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{StorageError, record_id, write_atomically};

/// A measured record: a line of the file, and what it depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record<K, V> {
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
pub struct JsonLines<K, V> {
    path: PathBuf,
    lines: Vec<Record<K, V>>,
}

impl<K, V> JsonLines<K, V>
where
    K: Clone + Serialize + DeserializeOwned,
    V: Clone + Serialize + DeserializeOwned,
{
    /// Reads a file; one that is not there has no lines. A last line without an end was being
    /// written when a run was killed, and does not count.
    ///
    /// # Errors
    /// Where the file cannot be read, or another line is damaged.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let mut bytes = read_if_there(path)?.unwrap_or_default();
        // Before it is read as text: a letter of several bytes may have been cut, too.
        bytes.truncate(whole_lines(&bytes));
        let text = String::from_utf8(bytes)
            .map_err(|error| StorageError::file("read", path)(std::io::Error::other(error)))?;
        Ok(Self {
            lines: parse_lines(&text, path)?,
            path: path.to_owned(),
        })
    }

    /// All lines in the order in which they were measured.
    pub fn all(&self) -> &[Record<K, V>] {
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
    pub fn find(&self, key: &K) -> Result<Option<&V>, StorageError> {
        Ok(self.get(&record_id(key)?))
    }

    /// Adds a line to the file and then to these lines. Several processes may add to one file.
    ///
    /// # Errors
    /// Where a number is not finite or the file cannot be written.
    pub fn add(&mut self, key: K, value: V) -> Result<(), StorageError> {
        let line = Record {
            id: record_id(&key)?,
            key,
            value,
        };
        let mut json = serde_json::to_string(&line)?;
        // JSON would hold a number that is not finite as null, which is no number to read back.
        serde_json::from_str::<Record<K, V>>(&json).map_err(StorageError::NotFinite)?;
        json.push('\n');
        append(&self.path, json.as_bytes()).map_err(StorageError::file("write", &self.path))?;
        self.lines.push(line);
        Ok(())
    }
}

/// One JSON object a line for each value.
///
/// # Errors
/// Where a value has no JSON form.
pub fn to_json_lines<T: Serialize>(values: &[T]) -> Result<String, StorageError> {
    let mut lines = String::new();
    for value in values {
        lines += &serde_json::to_string(value)?;
        lines.push('\n');
    }
    Ok(lines)
}

/// Reads the values of a file that [`to_json_lines`] wrote.
///
/// # Errors
/// Where the file cannot be read, [`StorageError::Line`] where a line holds something else.
pub fn read_json_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, StorageError> {
    let text = std::fs::read_to_string(path).map_err(StorageError::file("read", path))?;
    parse_lines(&text, path)
}

fn parse_lines<T: DeserializeOwned>(text: &str, path: &Path) -> Result<Vec<T>, StorageError> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|source| StorageError::Line {
                path: path.to_owned(),
                line: index + 1,
                source,
            })
        })
        .collect()
}

/// Writes a value as indented JSON, in a folder that is made where there is none.
///
/// # Errors
/// Where the value has no JSON form or the file cannot be written.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StorageError> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    write_atomically(path, &json)
}

/// Reads a JSON file; nothing where it is not there.
///
/// # Errors
/// Where it cannot be read or holds something else.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StorageError> {
    read_json_or(path, "")
}

/// [`read_json`] whose error says what to do about a damaged file.
///
/// # Errors
/// As [`read_json`].
pub fn read_json_or<T: DeserializeOwned>(
    path: &Path,
    help: &'static str,
) -> Result<Option<T>, StorageError> {
    let Some(text) = read_if_there(path)? else {
        return Ok(None);
    };
    let value = serde_json::from_slice(&text).map_err(|source| StorageError::Damaged {
        path: path.to_owned(),
        help,
        source,
    })?;
    Ok(Some(value))
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::file("read", path)(error)),
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
    Ok(whole_lines(&bytes) as u64)
}

/// The bytes of all lines that have an end.
fn whole_lines(bytes: &[u8]) -> usize {
    let end = bytes.iter().rposition(|&byte| byte == b'\n');
    end.map_or(0, |end| end + 1)
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
        let mut lines = JsonLines::<u32, Value>::open(&path).unwrap();
        lines.add(1, value(0.5)).unwrap();
        lines.add(2, value(1.0 / 3.0)).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 4]).unwrap();

        let mut lines = JsonLines::<u32, Value>::open(&path).unwrap();
        assert_eq!(lines.find(&1).unwrap(), Some(&value(0.5)));
        assert_eq!(lines.find(&2).unwrap(), None);
        lines.add(2, value(1.0 / 3.0)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        assert_eq!(
            JsonLines::<u32, Value>::open(&path).unwrap().all(),
            lines.all()
        );
    }

    #[test]
    fn a_letter_that_was_cut_off_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        let mut lines = JsonLines::<String, Value>::open(&path).unwrap();
        lines.add("gr\u{fc}n".to_owned(), value(0.5)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend(b"{\"id\":\"0\",\"key\":\"gr\xc3");
        std::fs::write(&path, bytes).unwrap();
        let found = JsonLines::<String, Value>::open(&path).unwrap();
        assert_eq!(found.all(), lines.all());
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        std::fs::write(&path, "{\"id\":\n\n").unwrap();
        let error = JsonLines::<u32, Value>::open(&path)
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 1 of"), "{error}");
    }

    #[test]
    fn a_number_that_is_not_finite_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        let mut lines = JsonLines::<u32, Value>::open(&path).unwrap();
        assert!(lines.add(1, value(f64::NAN)).is_err());
        assert!(!path.exists() && lines.all().is_empty());
    }
}
