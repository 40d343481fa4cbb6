//! PyTorch's files since 1.6: a zip archive whose entries are stored as they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;

use crate::StoredTensor;
use crate::error::Fault;
use crate::state_dict::{self, LONGEST_PICKLE, Storages};
use crate::stored::read_at;

/// The first bytes of an archive with entries.
pub(crate) const MAGIC: &[u8] = b"PK\x03\x04";

const LOCAL_HEADER: u64 = 30;
const DIRECTORY_HEADER: usize = 46;
const END: usize = 22;
const LOCATOR_64: usize = 20;
const END_64: u64 = 56;

/// The longest central directory that is read: room for 100,000 storages.
const LONGEST_DIRECTORY: u64 = 16 << 20;

/// The entries of an archive by name: where in the file their content lies.
type Entries = BTreeMap<String, Range<u64>>;

pub(crate) fn tensors(file: &File, length: u64) -> Result<BTreeMap<String, StoredTensor>, Fault> {
    let entries = entries(file, length)?;
    let pickles: Vec<_> = entries
        .iter()
        .filter_map(|(name, range)| Some((name.strip_suffix("data.pkl")?, range)))
        .filter(|(folder, _)| folder.is_empty() || folder.ends_with('/'))
        .collect();
    let &[(folder, pickle)] = pickles.as_slice() else {
        return Fault::damaged(format!(
            "a PyTorch archive has one entry data.pkl, this one has {}",
            pickles.len()
        ));
    };
    if let Some(order) = entries.get(&format!("{folder}byteorder")) {
        let order = read_range(file, order, 16)?;
        if order != b"little" {
            return Fault::damaged("its values are stored with the most significant byte first");
        }
    }
    let pickle = read_range(file, pickle, LONGEST_PICKLE)?;
    let storages = InArchive {
        entries: &entries,
        folder,
    };
    state_dict::tensors(&pickle, &storages)
}

/// The storages of an archive, an entry each.
struct InArchive<'a> {
    entries: &'a Entries,
    folder: &'a str,
}

impl Storages for InArchive<'_> {
    fn find(&self, key: &str) -> Option<Range<u64>> {
        let entry = self.entries.get(&format!("{}data/{key}", self.folder))?;
        Some(entry.clone())
    }
}

fn read_range(file: &File, range: &Range<u64>, longest: u64) -> Result<Vec<u8>, Fault> {
    let length = range.end - range.start;
    if length > longest {
        return Fault::damaged(format!(
            "an entry has {length} bytes where at most {longest} are expected"
        ));
    }
    Ok(read_at(file, range.start, length as usize)?)
}

/// Reads the central directory and finds each entry's content.
fn entries(file: &File, length: u64) -> Result<Entries, Fault> {
    let (directory, count) = directory(file, length)?;
    let mut entries = Entries::new();
    let mut at = 0;
    for _ in 0..count {
        let entry = DirectoryEntry::parse(&directory, &mut at)
            .ok_or_else(|| Fault::Damaged("its central directory is damaged".into()))?;
        let name = entry.name;
        if entry.encrypted || entry.compressed {
            return Fault::damaged(format!(
                "its entry {name} is compressed or encrypted, which PyTorch does not do"
            ));
        }
        let content = content(file, length, entry.header, entry.size)?
            .ok_or_else(|| Fault::Damaged(format!("its entry {name} is cut off")))?;
        if entries.insert(name.clone(), content).is_some() {
            return Fault::damaged(format!("it has two entries {name}"));
        }
    }
    Ok(entries)
}

/// The bytes of the central directory and the number of its entries.
fn directory(file: &File, length: u64) -> Result<(Vec<u8>, u64), Fault> {
    // The end record is the last thing in a file, but for a comment of at most 65535 bytes.
    let tail_length = length.min((LOCATOR_64 + END + 0xffff) as u64);
    let tail = read_at(file, length - tail_length, tail_length as usize)?;
    let end = (0..=tail.len().saturating_sub(END)).rev().find(|&at| {
        tail[at..].starts_with(b"PK\x05\x06")
            && number(&tail, at + 20, 2) == Some((tail.len() - at - END) as u64)
    });
    let damaged = || Fault::Damaged("it is a PyTorch archive that is cut off".into());
    let end = end.ok_or_else(damaged)?;
    let field = |offset, bytes| number(&tail, end + offset, bytes).ok_or_else(damaged);
    let (mut count, mut size, mut start) = (field(10, 2)?, field(12, 4)?, field(16, 4)?);
    if count == 0xffff || size == 0xffff_ffff || start == 0xffff_ffff {
        let locator = end.checked_sub(LOCATOR_64).ok_or_else(damaged)?;
        let end_64 = number(&tail, locator + 8, 8).ok_or_else(damaged)?;
        if !tail[locator..].starts_with(b"PK\x06\x07") || end_64 > length.saturating_sub(END_64) {
            return Err(damaged());
        }
        let end_64 = read_at(file, end_64, END_64 as usize)?;
        let field = |offset| number(&end_64, offset, 8).ok_or_else(damaged);
        if !end_64.starts_with(b"PK\x06\x06") {
            return Err(damaged());
        }
        (count, size, start) = (field(32)?, field(40)?, field(48)?);
    }
    let ends = start.checked_add(size).ok_or_else(damaged)?;
    if ends > length || size > LONGEST_DIRECTORY || count > size / DIRECTORY_HEADER as u64 {
        return Err(damaged());
    }
    Ok((read_at(file, start, size as usize)?, count))
}

/// What the central directory says of an entry.
struct DirectoryEntry {
    name: String,
    size: u64,
    header: u64,
    compressed: bool,
    encrypted: bool,
}

impl DirectoryEntry {
    /// Parses the entry at `at` and moves on to the next; `None` where it is none.
    fn parse(directory: &[u8], at: &mut usize) -> Option<Self> {
        let bytes = directory.get(*at..)?;
        let field = |offset, length| number(bytes, offset, length);
        let short = |offset| Some(field(offset, 2)? as usize);
        let names = DIRECTORY_HEADER..DIRECTORY_HEADER + short(28)?;
        let extra = names.end..names.end + short(30)?;
        let end = extra.end + short(32)?;
        if !bytes.starts_with(b"PK\x01\x02") || bytes.len() < end {
            return None;
        }
        let (packed, mut size, mut header) = (field(20, 4)?, field(24, 4)?, field(42, 4)?);
        // Numbers that do not fit 32 bits stand in an extra field, in this order.
        let mut large = large_numbers(bytes.get(extra)?);
        if size == 0xffff_ffff {
            size = large.next()?;
        }
        if packed == 0xffff_ffff {
            large.next()?;
        }
        if header == 0xffff_ffff {
            header = large.next()?;
        }
        let entry = Self {
            name: String::from_utf8(bytes.get(names)?.to_vec()).ok()?,
            size,
            header,
            compressed: field(10, 2)? != 0,
            encrypted: field(8, 2)? & 1 != 0,
        };
        *at += end;
        Some(entry)
    }
}

/// The 64-bit numbers in the zip64 part of an extra field.
fn large_numbers(mut extra: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let mut found: &[u8] = &[];
    while let (Some(kind), Some(length)) = (number(extra, 0, 2), number(extra, 2, 2)) {
        let Some(content) = extra.get(4..4 + length as usize) else {
            break;
        };
        if kind == 1 {
            found = content;
            break;
        }
        extra = &extra[4 + length as usize..];
    }
    found
        .chunks_exact(8)
        .filter_map(|bytes| number(bytes, 0, 8))
}

/// Where the content of the entry with its own header at `header` lies, if it is within the file.
fn content(file: &File, length: u64, header: u64, size: u64) -> Result<Option<Range<u64>>, Fault> {
    if header > length.saturating_sub(LOCAL_HEADER) {
        return Ok(None);
    }
    let bytes = read_at(file, header, LOCAL_HEADER as usize)?;
    let (Some(name), Some(extra)) = (number(&bytes, 26, 2), number(&bytes, 28, 2)) else {
        return Ok(None);
    };
    let start = header + LOCAL_HEADER + name + extra;
    Ok(match start.checked_add(size) {
        Some(end) if end <= length && bytes.starts_with(MAGIC) => Some(start..end),
        _ => None,
    })
}

/// The number of `length` bytes at `at`, least significant first.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + length)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
    )
}
