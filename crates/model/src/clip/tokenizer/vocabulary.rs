//! CLIP's vocabulary file: a line about its version, then one merge of two tokens a line, the most
//! frequent first.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use tokenizers::models::bpe::{Merges, Vocab};

use super::TokenizerError;

/// What the last token of a word ends with.
pub(super) const END_OF_WORD: &str = "</w>";

/// Merges that CLIP uses; the published file lists many more.
const MERGES: usize = 49_152 - 256 - 2;

/// The most that is read of a file, unpacked. The published one has 3.2 MB.
const LONGEST: u64 = 16 << 20;

const GZIP: &[u8] = &[0x1f, 0x8b];

/// The tokens and the merges of CLIP.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// Every token but start and end of text, numbered from 0.
    pub(super) tokens: Vocab,
    pub(super) merges: Merges,
}

impl Vocabulary {
    /// Reads a file, packed by gzip or not.
    pub(super) fn open(path: &Path) -> Result<Self, TokenizerError> {
        let system = |source| TokenizerError::File {
            path: path.to_owned(),
            source,
        };
        let damaged = |reason: String| TokenizerError::Vocabulary {
            path: path.to_owned(),
            reason,
        };
        // Asked before opening, which may wait forever on what is no file.
        if !fs::metadata(path).map_err(system)?.is_file() {
            return Err(damaged("it is a folder or a device".into()));
        }
        let file = File::open(path).map_err(system)?;
        let bytes = unpack(file).map_err(|error| match error.kind() {
            ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => {
                damaged(format!("it cannot be unpacked ({error})"))
            }
            _ => system(error),
        })?;
        if bytes.len() as u64 > LONGEST {
            return Err(damaged(format!("it has more than {LONGEST} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_| damaged("it is no UTF-8 text".into()))?;
        Self::parse(&text).map_err(damaged)
    }

    /// Reads the lines of a file; the error says what is wrong with them.
    fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        if !lines.next().is_some_and(|line| line.contains("#version")) {
            return Err("its first line does not name a version".into());
        }
        let mut tokens = Vocab::new();
        let mut add = |token: String| {
            let id = tokens.len() as u32;
            tokens.insert(token, id).is_none()
        };
        for suffix in ["", END_OF_WORD] {
            for symbol in byte_symbols() {
                add(format!("{symbol}{suffix}"));
            }
        }
        let mut merges = Merges::with_capacity(MERGES);
        for (index, line) in lines.take(MERGES).enumerate() {
            let number = index + 2;
            let parts: Vec<_> = line.split_whitespace().collect();
            let &[first, second] = parts.as_slice() else {
                return Err(format!("line {number} does not hold two tokens"));
            };
            if !add(format!("{first}{second}")) {
                return Err(format!("line {number} makes a token that is there already"));
            }
            merges.push((first.to_owned(), second.to_owned()));
        }
        if merges.len() < MERGES {
            return Err(format!("it lists {} merges of {MERGES}", merges.len()));
        }
        Ok(Self { tokens, merges })
    }
}

/// Reads one byte more than is allowed of a file that may be packed.
fn unpack(file: File) -> std::io::Result<Vec<u8>> {
    let mut file = BufReader::new(file);
    let is_packed = file.fill_buf()?.starts_with(GZIP);
    let mut bytes = Vec::new();
    if is_packed {
        let mut unpacked = MultiGzDecoder::new(file).take(LONGEST + 1);
        unpacked.read_to_end(&mut bytes)?;
    } else {
        file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The characters that stand for the 256 bytes in the vocabulary, in its order: printable bytes of
/// Latin-1 stand for themselves, then come all others.
fn byte_symbols() -> impl Iterator<Item = char> {
    let printable = ('!'..='~').chain('¡'..='¬').chain('®'..='ÿ');
    printable.chain('\u{100}'..='\u{143}')
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// The text of a file in which pairs of bytes are merged, the pair `ab` as the first.
    pub(in super::super) fn file() -> String {
        let pairs = byte_symbols()
            .flat_map(|first| byte_symbols().map(move |second| (first, second)))
            .filter(|&pair| pair != ('a', 'b'));
        let pairs = std::iter::once(('a', 'b')).chain(pairs).take(MERGES);
        let lines: String = pairs
            .map(|(first, second)| format!("{first} {second}\n"))
            .collect();
        format!("#version: 0.2\n{lines}")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn opened(bytes: &[u8]) -> Result<Vocabulary, TokenizerError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vocabulary");
        fs::write(&path, bytes).unwrap();
        Vocabulary::open(&path)
    }

    fn refusal(bytes: &[u8]) -> String {
        let error = opened(bytes).unwrap_err();
        assert!(
            matches!(error, TokenizerError::Vocabulary { .. }),
            "{error}"
        );
        error.to_string()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn bytes_are_followed_by_ends_of_words_and_merges() {
        let text = testing::file() + "more than is used\n";
        for bytes in [text.clone().into_bytes(), packed(text.as_bytes())] {
            let Vocabulary { tokens, merges } = opened(&bytes).unwrap();
            assert_eq!(tokens.len(), 49_406);
            assert_eq!(merges.len(), 48_894);
            assert_eq!(tokens["!"], 0);
            assert_eq!(tokens["a"], 64);
            // The byte 0 is the first of those that do not stand for themselves.
            assert_eq!(tokens["Ā"], 188);
            assert_eq!(tokens["a</w>"], 256 + 64);
            assert_eq!(tokens["ab"], 512);
        }
    }

    #[test]
    fn other_files_are_refused_with_the_reason() {
        let text = testing::file();
        let packed_text = packed(text.as_bytes());
        for (bytes, reason) in [
            (b"".to_vec(), "first line"),
            (text.as_bytes()[14..].to_vec(), "first line"),
            (b"#version\na b\n".to_vec(), "1 merges of 48894"),
            (packed_text[..packed_text.len() / 2].to_vec(), "unpacked"),
            (b"\x1f\x8brandom bytes".to_vec(), "unpacked"),
            (b"#version\n\xff\xff \xff\n".to_vec(), "UTF-8"),
            (b"#version\na b\na b\n".to_vec(), "line 3"),
            (b"#version\na b c\n".to_vec(), "line 2"),
            (b"#version\n\n".to_vec(), "line 2"),
        ] {
            let refusal = refusal(&bytes);
            assert!(refusal.contains(reason), "{refusal}");
        }
    }

    #[test]
    fn a_file_that_unpacks_to_more_than_it_may_is_refused() {
        let zeros = vec![0; 1 << 20];
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..64 {
            encoder.write_all(&zeros).unwrap();
        }
        let refusal = refusal(&encoder.finish().unwrap());
        assert!(refusal.contains("more than 16777216 bytes"), "{refusal}");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Vocabulary::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("folder"), "{error}");
        let error = Vocabulary::open(&folder.path().join("none")).unwrap_err();
        assert!(matches!(error, TokenizerError::File { .. }), "{error}");
    }
}
