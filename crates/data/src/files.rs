//! Where the image files of a data set lie: in a folder, or in a zip archive as downloaded.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use adadiff_images::{Archive, ArchiveError, PictureError, is_hidden, read_file};

use crate::DataError;
use crate::expected::Expected;

/// What editors of some systems put before a text in UTF-8; no part of it.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// The image files of a data set, by name.
pub(crate) enum ImageFiles {
    Folder(PathBuf),
    Zip {
        archive: Archive,
        /// The number of each file; its name is without the folders in the archive. Absent where several
        /// have that name.
        entries: HashMap<String, Option<usize>>,
    },
}

impl ImageFiles {
    /// Opens a folder or, where `place` is a file, a zip archive, in whatever folder the images lie
    /// in it.
    ///
    /// # Errors
    /// Where there is neither, or the archive is damaged.
    pub fn open(place: &Path, expected: &Expected) -> Result<Self, DataError> {
        if place.is_dir() {
            return Ok(Self::Folder(place.to_owned()));
        }
        let archive = Archive::open(place).map_err(|error| match error {
            ArchiveError::Open(source) => expected.unopened(place, source),
            ArchiveError::Damaged(source) => expected.damaged_zip(place, source),
        })?;
        let mut entries = HashMap::new();
        for (path, number) in archive.files() {
            let parts: Vec<_> = path.split('/').collect();
            // Copies and notes of the system that packed the archive.
            if !parts.iter().any(|part| is_hidden(part.as_ref()))
                && let Some(name) = parts.last()
            {
                let entry = entries.entry((*name).to_owned());
                entry
                    .and_modify(|number| *number = None)
                    .or_insert(Some(number));
            }
        }
        Ok(Self::Zip { archive, entries })
    }

    /// The names of all files.
    ///
    /// # Errors
    /// Where the folder cannot be listed.
    pub fn names(&self, expected: &Expected) -> Result<HashSet<String>, DataError> {
        match self {
            Self::Folder(folder) => {
                let unopened = |source| expected.unopened(folder, source);
                let entries = folder.read_dir().map_err(unopened)?;
                let names =
                    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
                names.collect::<std::io::Result<_>>().map_err(unopened)
            }
            Self::Zip { entries, .. } => Ok(entries.keys().cloned().collect()),
        }
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// Where there is none, or several, or it cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, PictureError> {
        match self {
            Self::Folder(folder) => read_file(&folder.join(name)),
            Self::Zip { archive, entries } => match entries.get(name) {
                Some(Some(number)) => archive.read(*number),
                Some(None) => Err(PictureError::Ambiguous),
                None => Err(PictureError::Missing),
            },
        }
    }

    fn is_ambiguous(&self, name: &str) -> bool {
        matches!(self, Self::Zip { entries, .. } if entries.get(name) == Some(&None))
    }
}

/// Makes sure that a list of names belongs to these files: single ones may be missing, and count as
/// bad images when they are met, but not all.
///
/// # Errors
/// Where none is there, or an archive has two of one name.
pub(crate) fn check_present<'a>(
    files: &ImageFiles,
    place: &Path,
    list: &Path,
    names: impl IntoIterator<Item = &'a str>,
    expected: &Expected,
) -> Result<(), DataError> {
    let present = files.names(expected)?;
    let mut names = names.into_iter().peekable();
    let first = names.peek().copied().unwrap_or_default();
    let mut is_any_present = false;
    for name in names {
        if files.is_ambiguous(name) {
            let found = format!("two files with the name {name}");
            return Err(expected.content(place, found, "one of each name"));
        }
        is_any_present |= present.contains(name);
    }
    if is_any_present {
        return Ok(());
    }
    Err(expected.content(
        place,
        format!("none of the images that {} lists", list.display()),
        format!("{first} and more"),
    ))
}

/// Whether `name` names a file in a folder, and nothing elsewhere.
pub(crate) fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let plain = matches!(parts.next(), Some(Component::Normal(part)) if part == name);
    plain && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    const EXPECTED: Expected = Expected {
        holds: "images",
        help: "nowhere",
    };

    fn zip(path: &Path, files: &[&str]) {
        let mut zip = ZipWriter::new(File::create(path).unwrap());
        zip.add_directory("images", SimpleFileOptions::default())
            .unwrap();
        for name in files {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(name.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
    }

    #[test]
    fn a_folder_and_a_zip_of_it_are_the_same() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("images");
        std::fs::create_dir(&folder).unwrap();
        for name in ["a.jpg", "b.jpg"] {
            std::fs::write(folder.join(name), format!("images/{name}")).unwrap();
        }
        let archive = place.path().join("images.zip");
        zip(&archive, &["images/b.jpg", "images/a.jpg"]);
        for place in [folder, archive] {
            let files = ImageFiles::open(&place, &EXPECTED).unwrap();
            assert_eq!(files.read("a.jpg").unwrap(), b"images/a.jpg");
            assert_eq!(files.read("b.jpg").unwrap(), b"images/b.jpg");
            assert!(files.read("c.jpg").is_err());
            let names = files.names(&EXPECTED).unwrap();
            assert_eq!(names, ["a.jpg", "b.jpg"].map(String::from).into());
            let list = Path::new("list.txt");
            check_present(&files, &place, list, ["c.jpg", "b.jpg"], &EXPECTED).unwrap();
            let error = check_present(&files, &place, list, ["c.jpg", "d.jpg"], &EXPECTED);
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains("none of the images that list.txt lists, but expected c.jpg"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("images.zip");
        let message = |path: &Path| {
            let error = ImageFiles::open(path, &EXPECTED).err().unwrap();
            error.to_string()
        };
        assert!(message(&path).contains("images.zip: cannot be opened"));
        std::fs::write(&path, b"plain text").unwrap();
        assert!(message(&path).contains("not an intact zip archive"));
        zip(&path, &["a.jpg"]);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 30]).unwrap();
        assert!(message(&path).contains("not an intact zip archive"));
    }

    #[test]
    fn only_names_that_are_asked_for_must_be_single() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("images.zip");
        // As macOS packs an archive again.
        zip(
            &path,
            &[
                "images/a.jpg",
                "images/.DS_Store",
                ".DS_Store",
                "__MACOSX/images/a.jpg",
                "images/b.jpg",
                "thumbnails/b.jpg",
            ],
        );
        let files = ImageFiles::open(&path, &EXPECTED).unwrap();
        assert_eq!(files.read("a.jpg").unwrap(), b"images/a.jpg");
        let check = |names: &[&'static str]| {
            let list = Path::new("list.txt");
            let checked = check_present(&files, &path, list, names.iter().copied(), &EXPECTED);
            checked.map_err(|error| error.to_string())
        };
        check(&["c.jpg", "a.jpg"]).unwrap();
        let error = check(&["a.jpg", "b.jpg"]).unwrap_err();
        assert!(error.contains("two files with the name b.jpg"), "{error}");
        let error = files.read("b.jpg").unwrap_err().to_string();
        assert_eq!(error, "is in several folders of the archive");
    }

    #[test]
    fn a_damaged_file_in_a_zip_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("images.zip");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        let stored =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file("a.jpg", stored).unwrap();
        zip.write_all(b"content").unwrap();
        zip.finish().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let content = bytes.windows(7).position(|window| window == b"content");
        bytes[content.unwrap()] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let files = ImageFiles::open(&path, &EXPECTED).unwrap();
        let error = files.read("a.jpg").unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }

    #[test]
    fn only_plain_names_are_plain() {
        assert!(is_plain("000001.jpg"));
        for name in ["", ".", "..", "a/b", "/a", "../a", "./a", "a/"] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
