//! The headers of NumPy's arrays, `.npy` (numpy's `lib/format.py`, versions 1 to 3).
//!
//! A dictionary of three keys needs no parser of Python's expressions, nor a limit on how deep a file nests
//! them.

use std::io::{self, Read};

use thiserror::Error;

/// The first bytes of an array.
pub const MAGIC: &[u8] = b"\x93NUMPY";

/// The most bytes of a dictionary; NumPy writes 118 for an array of a few axes.
const LONGEST: usize = 4096;

/// To how many bytes NumPy fills up what is before the values.
const ALIGNMENT: usize = 64;

/// What describes an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type of the values, such as `<f4`.
    pub descr: String,
    /// Whether the first axis is the fastest.
    pub is_fortran: bool,
    /// The sizes of the axes.
    pub shape: Vec<usize>,
}

/// Why an array is not understood. It continues a sentence such as "the file is".
#[derive(Debug, Error)]
pub enum HeaderError {
    /// It starts otherwise.
    #[error("no file of numpy's")]
    Magic,
    /// It ends within the header.
    #[error("an array that is cut off")]
    CutOff,
    /// It is of a version that is not known.
    #[error("an array of numpy's format {0}")]
    Version(u8),
    /// The header is longer than any.
    #[error("an array with a header of {0} bytes")]
    Length(usize),
    /// The header is not that of an array of numbers.
    #[error("an array whose header is damaged")]
    Damaged,
    /// It cannot be read.
    #[error("an array that cannot be read: {0}")]
    Read(io::Error),
}

impl From<io::Error> for HeaderError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutOff,
            _ => Self::Read(error),
        }
    }
}

impl Header {
    /// Reads what is before the values, and tells of how many bytes it is.
    ///
    /// # Errors
    /// Where it cannot be read or is not understood.
    pub fn read(reader: &mut impl Read) -> Result<(Self, usize), HeaderError> {
        let mut magic = Vec::new();
        reader.take(MAGIC.len() as u64).read_to_end(&mut magic)?;
        if !MAGIC.starts_with(&magic) {
            return Err(HeaderError::Magic);
        }
        let mut bytes = |count: usize| {
            let mut bytes = vec![0; count];
            reader.read_exact(&mut bytes).map(|()| bytes)
        };
        let version = bytes(2)?[0];
        let size_of_length = match version {
            1 => 2,
            2 | 3 => 4,
            other => return Err(HeaderError::Version(other)),
        };
        let length = bytes(size_of_length)?;
        let length = length
            .iter()
            .rev()
            .fold(0_usize, |length, &byte| length << 8 | usize::from(byte));
        if length > LONGEST {
            return Err(HeaderError::Length(length));
        }
        let text = String::from_utf8(bytes(length)?).map_err(|_| HeaderError::Damaged)?;
        let header = Parser(&text).header().ok_or(HeaderError::Damaged)?;
        Ok((header, MAGIC.len() + 2 + size_of_length + length))
    }

    /// What NumPy writes before the values, in version 1.
    pub fn to_bytes(&self) -> Vec<u8> {
        let order = if self.is_fortran { "True" } else { "False" };
        let shape: String = self.shape.iter().map(|size| format!("{size}, ")).collect();
        let shape = match self.shape.len() {
            0 | 1 => shape.trim_end(),
            _ => shape.trim_end_matches(", "),
        };
        let mut text = format!(
            "{{'descr': '{}', 'fortran_order': {order}, 'shape': ({shape}), }}",
            self.descr
        );
        let before = MAGIC.len() + 4;
        let padded = (before + text.len() + 1).next_multiple_of(ALIGNMENT);
        text.push_str(&" ".repeat(padded - before - text.len() - 1));
        text.push('\n');
        let length = (text.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &length, text.as_bytes()].concat()
    }
}

/// The rest of a dictionary.
struct Parser<'a>(&'a str);

impl<'a> Parser<'a> {
    fn header(&mut self) -> Option<Header> {
        let (mut descr, mut is_fortran, mut shape) = (None, None, None);
        self.token("{")?;
        while self.token("}").is_none() {
            let key = self.quoted()?;
            self.token(":")?;
            match key {
                "descr" => descr = Some(self.quoted()?.to_owned()),
                "fortran_order" => is_fortran = Some(self.boolean()?),
                "shape" => shape = Some(self.tuple()?),
                _ => return None,
            }
            if self.token(",").is_none() && !self.0.starts_with('}') {
                return None;
            }
        }
        let header = Header {
            descr: descr?,
            is_fortran: is_fortran?,
            shape: shape?,
        };
        self.0.trim().is_empty().then_some(header)
    }

    /// Takes a word, with the blanks on both sides.
    fn token(&mut self, word: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(word)?.trim_start();
        Some(())
    }

    fn quoted(&mut self) -> Option<&'a str> {
        let quote = self
            .0
            .chars()
            .next()
            .filter(|quote| "'\"".contains(*quote))?;
        let (text, rest) = self.0[1..].split_once(quote)?;
        self.0 = rest;
        Some(text)
    }

    fn boolean(&mut self) -> Option<bool> {
        let found = self.token("True").is_some();
        if !found {
            self.token("False")?;
        }
        Some(found)
    }

    /// Sizes, of which Python 2 wrote an `L` behind long ones.
    fn tuple(&mut self) -> Option<Vec<usize>> {
        self.token("(")?;
        let (sizes, rest) = self.0.split_once(')')?;
        self.0 = rest;
        let sizes = sizes.trim();
        let listed = sizes.strip_suffix(',').unwrap_or(sizes);
        if listed.is_empty() {
            return sizes.is_empty().then(Vec::new);
        }
        let size = |text: &str| {
            let text = text.trim();
            let digits = text.strip_suffix('L').unwrap_or(text);
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse().ok()).flatten()
        };
        let found: Vec<_> = listed.split(',').map(size).collect::<Option<_>>()?;
        // One in brackets without a comma is no tuple.
        (found.len() > 1 || sizes.ends_with(',')).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Header, usize), String> {
        let length = (text.len() as u16).to_le_bytes();
        let bytes = [MAGIC, &[1, 0], &length, text.as_bytes(), &[7; 3]].concat();
        Header::read(&mut bytes.as_slice()).map_err(|error| error.to_string())
    }

    fn header(descr: &str, is_fortran: bool, shape: &[usize]) -> Header {
        Header {
            descr: descr.to_owned(),
            is_fortran,
            shape: shape.to_vec(),
        }
    }

    #[test]
    fn headers_of_all_writers_are_read() {
        for (text, expected) in [
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 32), }   \n",
                header("<f4", false, &[8, 32]),
            ),
            (
                "{'descr': '<f8', 'fortran_order': True, 'shape': (200L, 8L)}",
                header("<f8", true, &[200, 8]),
            ),
            (
                "{\"shape\":(3,),\"fortran_order\":False,\"descr\":\"|u1\"}",
                header("|u1", false, &[3]),
            ),
            (
                "{'descr': '|O', 'fortran_order': False, 'shape': (), }",
                header("|O", false, &[]),
            ),
        ] {
            assert_eq!(read(text), Ok((expected, 10 + text.len())), "{text}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for text in [
            "",
            "{}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (+3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, L)}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f4',, 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} and more",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': 1}",
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error, "an array whose header is damaged", "{text}");
        }
        let found = |bytes: &[u8]| Header::read(&mut &*bytes).unwrap_err().to_string();
        assert_eq!(found(b"\x89PNG\r\n"), "no file of numpy's");
        assert_eq!(found(b"\x93NUMPY\x09\x00"), "an array of numpy's format 9");
        let long = b"\x93NUMPY\x02\x00\xff\xff\xff\xff";
        assert_eq!(found(long), "an array with a header of 4294967295 bytes");
    }

    #[test]
    fn what_is_written_is_what_numpy_writes() {
        for (shape, text) in [(&[][..], "()"), (&[7], "(7,)"), (&[2, 3], "(2, 3)")] {
            let header = header("<f8", false, shape);
            let bytes = header.to_bytes();
            assert_eq!(bytes.len() % ALIGNMENT, 0);
            let expected = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {text}, }}");
            assert!(bytes[10..].starts_with(expected.as_bytes()));
            assert!(bytes.ends_with(b" \n"));
            let length = bytes.len();
            assert_eq!(
                Header::read(&mut bytes.as_slice()).unwrap(),
                (header, length)
            );
            for length in 0..length {
                let error = Header::read(&mut &bytes[..length]).unwrap_err();
                assert!(matches!(error, HeaderError::CutOff), "{length}: {error}");
            }
        }
    }
}
