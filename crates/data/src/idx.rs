//! The IDX format: a big-endian magic number, one size per dimension, then bytes.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::DataError;
use crate::expected::Expected;

/// What one kind of IDX file must look like.
pub(crate) struct IdxKind {
    /// What the file holds, in words.
    pub expected: Expected,
    /// The magic number: 0x08 for bytes, then the number of dimensions.
    pub magic: u32,
    /// The sizes of all dimensions but the first.
    pub item_shape: &'static [u32],
}

impl IdxKind {
    fn item_bytes(&self) -> usize {
        self.item_shape.iter().map(|&size| size as usize).product()
    }
}

/// Reads the items of a gzipped IDX stream; `file` names it in errors.
///
/// At most `most_items` items are read and memory grows with what arrives, whatever the header
/// claims.
///
/// # Errors
/// Where the compression is damaged, the header is another one, the content is shorter or longer
/// than the header says, or there are no items or more than `most_items`.
pub(crate) fn read_items(
    gz: impl Read,
    file: &Path,
    kind: &IdxKind,
    most_items: usize,
) -> Result<Vec<u8>, DataError> {
    let name = kind.expected.holds;
    let damaged = |source| kind.expected.damaged_gzip(file, source);
    let content =
        |found: String, expected: String| Err(kind.expected.content(file, found, expected));

    let mut stream = MultiGzDecoder::new(gz);
    let magic = read_u32(&mut stream).map_err(damaged)?;
    if magic != kind.magic {
        return content(
            format!("magic number {magic:#010x}"),
            format!("{:#010x} for {name}", kind.magic),
        );
    }
    let items = read_u32(&mut stream).map_err(damaged)? as usize;
    if items == 0 || items > most_items {
        return content(
            format!("a header that promises {items} items"),
            format!("between 1 and {most_items} for {name}"),
        );
    }
    for &expected in kind.item_shape {
        let found = read_u32(&mut stream).map_err(damaged)?;
        if found != expected {
            return content(
                format!("items with a side of {found}"),
                format!("a side of {expected} for {name}"),
            );
        }
    }

    // One byte more than promised is asked for, so that a longer stream is noticed.
    let promised = items * kind.item_bytes();
    let mut bytes = Vec::new();
    stream
        .take(promised as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(damaged)?;
    if bytes.len() != promised {
        let found = if bytes.len() < promised {
            format!("only {} bytes of content", bytes.len())
        } else {
            format!("more than {promised} bytes of content")
        };
        return content(
            found,
            format!("{promised}, as the header promises {items} items"),
        );
    }
    Ok(bytes)
}

fn read_u32(stream: &mut impl Read) -> std::io::Result<u32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const PAIRS: IdxKind = IdxKind {
        expected: Expected {
            holds: "pairs",
            help: "nowhere",
        },
        magic: 0x0000_0802,
        item_shape: &[2],
    };

    fn gz(words: &[u32], content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        for word in words {
            encoder.write_all(&word.to_be_bytes()).unwrap();
        }
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn read(gz: &[u8]) -> Result<Vec<u8>, DataError> {
        read_items(gz, Path::new("pairs.gz"), &PAIRS, 10)
    }

    fn message(gz: &[u8]) -> String {
        read(gz).unwrap_err().to_string()
    }

    #[test]
    fn reads_what_the_header_promises() {
        assert_eq!(
            read(&gz(&[0x802, 2, 2], &[1, 2, 3, 4])).unwrap(),
            [1, 2, 3, 4]
        );
    }

    #[test]
    fn wrong_headers_are_told_apart() {
        assert!(message(&gz(&[0x803, 2, 2], &[0; 4])).contains("expected 0x00000802 for pairs"));
        assert!(message(&gz(&[0x802, 2, 3], &[0; 6])).contains("expected a side of 2"));
        assert!(message(&gz(&[0x802, 0, 2], &[])).contains("promises 0 items"));
        assert!(message(&gz(&[0x802, 4_000_000_000, 2], &[0; 4])).contains("4000000000 items"));
    }

    #[test]
    fn content_must_be_as_long_as_promised() {
        assert!(message(&gz(&[0x802, 2, 2], &[0; 3])).contains("only 3 bytes"));
        assert!(message(&gz(&[0x802, 2, 2], &[0; 5])).contains("more than 4 bytes"));
    }

    #[test]
    fn damaged_compression_is_an_error() {
        let intact = gz(&[0x802, 2, 2], &[1, 2, 3, 4]);
        for length in 0..intact.len() {
            assert!(message(&intact[..length]).starts_with("pairs.gz: not an intact gzip file"));
        }
        let mut trailing = intact.clone();
        trailing.extend([7; 20]);
        assert!(message(&trailing).contains("not an intact gzip file"));
        let mut checksum = intact.clone();
        let last = checksum.len() - 6;
        checksum[last] ^= 1;
        assert!(message(&checksum).contains("not an intact gzip file"));
        assert!(message(b"plain text").contains("not an intact gzip file"));
    }
}
