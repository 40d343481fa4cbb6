//! PyTorch's files before 1.6: four pickles, a list of storages, and the storages one after the other.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::Range;

use crate::StoredTensor;
use crate::error::Fault;
use crate::pickle::{self, Object, Pickle, Storage, Value};
use crate::state_dict::{self, LONGEST_PICKLE, Storages};
use crate::stored::read_at;

/// The first pickle: the number 0x1950a86a20f9469cfc6c.
pub(crate) const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

/// The version of the format that follows.
const PROTOCOL: i64 = 1001;

pub(crate) fn tensors(file: &File, length: u64) -> Result<BTreeMap<String, StoredTensor>, Fault> {
    let head = read_at(file, 0, length.min(LONGEST_PICKLE) as usize)?;
    let mut at = MAGIC.len();
    let mut next = || -> Result<(Pickle<'_>, Range<usize>), String> {
        let start = at;
        let pickle = pickle::read(&head[start..])?;
        at += pickle.length();
        Ok((pickle, start..at))
    };
    let (protocol, _) = next()?;
    if !matches!(protocol.get(protocol.root()), Value::Integer(PROTOCOL)) {
        return Fault::damaged(format!("its format is not PyTorch's version {PROTOCOL}"));
    }
    let (system, _) = next()?;
    if !is_little_endian(&system) {
        return Fault::damaged("its values are not stored with the least significant byte first");
    }
    let (network, network_range) = next()?;
    let (keys, _) = next()?;
    let storages = find_storages(file, length, at as u64, &network, &keys)?;
    state_dict::tensors(&head[network_range], &storages)
}

fn is_little_endian(system: &Pickle<'_>) -> bool {
    let Value::Dictionary(entries) = system.get(system.root()) else {
        return false;
    };
    entries.iter().any(|&(key, value)| {
        matches!(
            (system.get(key), system.get(value)),
            (Value::Bytes(b"little_endian"), Value::Bool(true))
        )
    })
}

/// Where the storages lie.
struct InOrder(HashMap<String, Range<u64>>);

impl Storages for InOrder {
    fn find(&self, key: &str) -> Option<Range<u64>> {
        self.0.get(key).cloned()
    }
}

/// Walks over the storages, which follow one another in the order of `keys`, each after the number
/// of its values.
fn find_storages(
    file: &File,
    length: u64,
    start: u64,
    network: &Pickle<'_>,
    keys: &Pickle<'_>,
) -> Result<InOrder, Fault> {
    let mut described: HashMap<&str, Storage<'_>> = HashMap::new();
    for value in network.values() {
        if let Value::Own(Object::Storage(storage)) = value
            && described
                .insert(storage.key, *storage)
                .is_some_and(|other| other != *storage)
        {
            return Fault::damaged(format!(
                "it describes the storage {} in two ways",
                storage.key
            ));
        }
    }
    let Value::List(keys_in_order) = keys.get(keys.root()) else {
        return Fault::damaged("its list of storages is missing");
    };
    let mut found = HashMap::new();
    let mut at = start;
    for &key in keys_in_order {
        let Some(key) = keys.get(key).text() else {
            return Fault::damaged("its list of storages is damaged");
        };
        let Some(storage) = described.get(key) else {
            return Fault::damaged(format!("it does not describe the storage {key}"));
        };
        let content = at + 8;
        let end = storage
            .bytes()
            .and_then(|bytes| content.checked_add(bytes))
            .filter(|&end| end <= length);
        let Some(end) = end else {
            return Fault::damaged(format!(
                "it is cut off: the storage {key} has {} values",
                storage.values
            ));
        };
        let counted = read_at(file, at, 8)?;
        if counted != storage.values.to_le_bytes() {
            return Fault::damaged(format!(
                "the storage {key} does not have the {} values that it should have",
                storage.values
            ));
        }
        found.insert(key.to_owned(), content..end);
        at = end;
    }
    Ok(InOrder(found))
}
