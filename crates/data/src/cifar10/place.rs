//! Where the batches lie: in a folder or in an archive, of either version.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::Archive;

use super::EXPECTED;
use super::batch::{Records, Version};
use crate::{DataError, Split};

/// The folders in the archives.
const FOLDERS: [&str; 2] = ["cifar-10-batches-bin", "cifar-10-batches-py"];

/// The archives.
const ARCHIVES: [&str; 2] = ["cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"];

/// The most bytes of a batch; the official ones have 31 million.
const MOST_BYTES: u64 = 40_000_000;

/// The names of a split's batches in the version for Python; the binary ones add an ending.
fn names(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &[
            "data_batch_1",
            "data_batch_2",
            "data_batch_3",
            "data_batch_4",
            "data_batch_5",
        ],
        Split::Test => &["test_batch"],
    }
}

fn file_name(name: &str, version: Version) -> String {
    match version {
        Version::Binary => format!("{name}.bin"),
        Version::Python => name.to_owned(),
    }
}

/// Reads all batches of a split, in their order.
pub(super) fn read_batches(place: &Path, split: Split) -> Result<Records, DataError> {
    if place.is_file() {
        return read_archive(place, split);
    }
    let first = names(split)[0];
    for folder in [place.to_owned()]
        .into_iter()
        .chain(FOLDERS.map(|folder| place.join(folder)))
    {
        for version in [Version::Binary, Version::Python] {
            if folder.join(file_name(first, version)).is_file() {
                return read_folder(&folder, split, version);
            }
        }
    }
    for archive in ARCHIVES.map(|archive| place.join(archive)) {
        if archive.is_file() {
            return read_archive(&archive, split);
        }
    }
    Err(EXPECTED.content(
        place,
        format!("neither {first}.bin nor {first} nor an archive"),
        EXPECTED.holds,
    ))
}

fn read_folder(folder: &Path, split: Split, version: Version) -> Result<Records, DataError> {
    let mut records = Records::default();
    for name in names(split) {
        let file = folder.join(file_name(name, version));
        let open = EXPECTED.open(&file)?;
        let bytes = read_batch(open).map_err(|source| EXPECTED.unopened(&file, source))?;
        records.append(version.read(&bytes, &file)?);
    }
    Ok(records)
}

fn read_archive(file: &Path, split: Split) -> Result<Records, DataError> {
    let damaged = |source| EXPECTED.damaged_gzip(file, source);
    let names = names(split);
    let mut batches: Vec<Option<Records>> = vec![None; names.len()];
    let gz = MultiGzDecoder::new(BufReader::new(EXPECTED.open(file)?));
    let mut archive = Archive::new(gz);
    for entry in archive.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let Some((number, version)) = find(&path, names) else {
            continue;
        };
        let bytes = read_batch(entry).map_err(damaged)?;
        let path: PathBuf = file.join(path);
        if batches[number].is_some() {
            let twice = format!("{} twice", file_name(names[number], version));
            return Err(EXPECTED.content(file, twice, "each batch once"));
        }
        batches[number] = Some(version.read(&bytes, &path)?);
    }
    // What follows the last entry is empty, but the checksum is only looked at behind it.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(damaged)?;

    let mut records = Records::default();
    for (batch, name) in batches.into_iter().zip(names) {
        let missing = || EXPECTED.content(file, format!("no {name}"), EXPECTED.holds);
        records.append(batch.ok_or_else(missing)?);
    }
    Ok(records)
}

/// Which batch a file in an archive is.
fn find(path: &Path, names: &[&str]) -> Option<(usize, Version)> {
    let found = path.file_name()?.to_str()?;
    names.iter().enumerate().find_map(|(number, name)| {
        [Version::Binary, Version::Python]
            .into_iter()
            .find(|&version| found == file_name(name, version))
            .map(|version| (number, version))
    })
}

/// Reads a batch, and one byte more than any has, so that it is noticed.
fn read_batch(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
