//! `list_eval_partition.txt`: which image belongs to which part.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use super::{CelebAPartition, LIST};
use crate::DataError;
use crate::files::{BYTE_ORDER_MARK, is_plain};

/// The most bytes of the list; 202,599 lines take 3 million.
const MOST_BYTES: u64 = 64 << 20;

/// The most characters of a wrong line that an error repeats.
const EXCERPT: usize = 60;

/// The file names of a part, in the list's order; at least one.
pub(super) fn read_list(file: &Path, partition: CelebAPartition) -> Result<Vec<String>, DataError> {
    let mut bytes = Vec::new();
    let open = LIST.open(file)?;
    let read = open.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|source| LIST.unopened(file, source))?;
    if bytes.len() as u64 > MOST_BYTES {
        let found = format!("more than {MOST_BYTES} bytes");
        return Err(LIST.content(file, found, LIST.holds));
    }
    let text = str::from_utf8(&bytes)
        .map_err(|error| LIST.content(file, format!("no text ({error})"), LIST.holds))?;
    let text = text.trim_start_matches(BYTE_ORDER_MARK);

    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for (number, line) in (1..).zip(text.trim_end().lines()) {
        let Some((name, found)) = parse(line) else {
            let excerpt: String = line.chars().take(EXCERPT).collect();
            return Err(LIST.content(
                file,
                format!("`{excerpt}` on line {number}"),
                "a file name and 0, 1 or 2",
            ));
        };
        if !seen.insert(name) {
            let twice = format!("{name} for the second time on line {number}");
            return Err(LIST.content(file, twice, "each image once"));
        }
        if found == partition {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() {
        let found = format!(
            "{} images, none of them of the part {partition:?}",
            seen.len()
        );
        return Err(LIST.content(file, found, LIST.holds));
    }
    Ok(names)
}

fn parse(line: &str) -> Option<(&str, CelebAPartition)> {
    let mut words = line.split_whitespace();
    let (name, number) = (words.next()?, words.next()?);
    let partition = match number {
        "0" => CelebAPartition::Train,
        "1" => CelebAPartition::Validation,
        "2" => CelebAPartition::Test,
        _ => return None,
    };
    (words.next().is_none() && is_plain(name)).then_some((name, partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: impl AsRef<[u8]>) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list_eval_partition.txt");
        std::fs::write(&file, content).unwrap();
        read_list(&file, CelebAPartition::Test).map_err(|error| error.to_string())
    }

    #[test]
    fn a_part_is_taken_in_order() {
        let names = read("b.jpg 2\na.jpg 2\r\nc.jpg  0\nd.jpg 1\n\n");
        assert_eq!(names.unwrap(), ["b.jpg", "a.jpg"]);
        let marked = read("\u{feff}b.jpg 2\na.jpg 2");
        assert_eq!(marked.unwrap(), ["b.jpg", "a.jpg"]);
    }

    #[test]
    fn a_wrong_list_is_an_error() {
        for (content, expected) in [
            (
                "a.jpg 2\nb.jpg 3",
                "`b.jpg 3` on line 2, but expected a file name",
            ),
            ("a.jpg 2\n\nb.jpg 2", "`` on line 2"),
            ("a.jpg", "`a.jpg` on line 1"),
            ("a.jpg 2 2", "`a.jpg 2 2` on line 1"),
            ("../a.jpg 2", "`../a.jpg 2` on line 1"),
            (
                "image_id,partition\na.jpg,2",
                "`image_id,partition` on line 1",
            ),
            ("a.jpg 2\na.jpg 0", "a.jpg for the second time on line 2"),
            (
                "a.jpg 0\nb.jpg 1",
                "2 images, none of them of the part Test",
            ),
            ("", "0 images"),
        ] {
            let error = read(content).unwrap_err();
            assert!(error.contains(expected), "{content}: {error}");
            assert!(error.contains("list_eval_partition.txt: "), "{error}");
        }
        assert!(read([0xff, 0xfe]).unwrap_err().contains("no text"));
    }
}
