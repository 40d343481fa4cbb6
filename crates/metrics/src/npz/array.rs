//! An array in an archive or in a file of its own: its description, then its values.

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use adadiff_images::npy::{Header, MAGIC};
use adadiff_storage::open_file;
use zip::ZipArchive;
use zip::result::ZipError;

use super::NpzError;

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 16;

/// Characters of the longest text that is read: a SHA-256 has 64.
const LONGEST_TEXT: usize = 256;

/// An array's name when `numpy.savez` is given none.
pub(super) const NAME: &str = "arr_0";

/// A file that was opened.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    content: Content,
}

/// The bytes of an archive.
trait Bytes: Read + Seek + fmt::Debug + Send + Sync {}

impl<T: Read + Seek + fmt::Debug + Send + Sync> Bytes for T {}

#[derive(Debug)]
enum Content {
    /// `.npz`.
    Arrays(ZipArchive<Box<dyn Bytes>>),
    /// `.npy`, which stands for an archive of one array of the usual name.
    SingleArray,
}

/// The type of an array's values, least significant byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// `<f8`.
    Double,
    /// `<f4`.
    Single,
    /// `|u1`.
    Byte,
    /// `<U`, a text of so many characters of 32 bits.
    Text(usize),
}

/// An array whose values are yet to be read.
pub(super) struct Array<'a> {
    path: &'a Path,
    name: String,
    pub(super) element: Element,
    pub(super) shape: Vec<usize>,
    /// Whether the first axis is the fastest.
    pub(super) is_fortran: bool,
    /// Number of values.
    count: usize,
    content: Box<dyn Read + 'a>,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self, NpzError> {
        let system = |source| NpzError::File {
            path: path.to_owned(),
            source,
        };
        let mut file = BufReader::new(open_file(path).map_err(system)?);
        let content = if file.fill_buf().map_err(system)?.starts_with(MAGIC) {
            Content::SingleArray
        } else {
            let file: Box<dyn Bytes> = Box::new(file);
            let zip = ZipArchive::new(file).map_err(|error| zip_error(path, error))?;
            Content::Arrays(zip)
        };
        Ok(Self {
            path: path.to_owned(),
            content,
        })
    }

    /// An archive of several arrays in memory, which errors call `name`.
    pub(super) fn in_memory(bytes: &'static [u8], name: &Path) -> Result<Self, NpzError> {
        let bytes: Box<dyn Bytes> = Box::new(Cursor::new(bytes));
        let zip = ZipArchive::new(bytes).map_err(|error| zip_error(name, error))?;
        Ok(Self {
            path: name.to_owned(),
            content: Content::Arrays(zip),
        })
    }

    /// Whether there is an array of a name.
    pub(super) fn has(&self, name: &str) -> bool {
        match &self.content {
            Content::Arrays(zip) => zip.index_for_name(&entry(name)).is_some(),
            Content::SingleArray => name == NAME,
        }
    }

    pub(super) fn unusable(&self, reason: impl Into<String>) -> NpzError {
        unusable(&self.path, reason)
    }

    /// Opens an array and reads its description.
    pub(super) fn array(&mut self, name: &str) -> Result<Array<'_>, NpzError> {
        let path = self.path.as_path();
        let (mut content, size) = self.content.open(path, name)?;
        let (header, before) = Header::read(&mut content).map_err(|error| {
            let reason = format!("the description of {name} is damaged: it is {error}");
            unusable(path, reason)
        })?;
        let element = Element::new(&header.descr)
            .map_err(|reason| unusable(path, format!("the values of {name} are {reason}")))?;
        let count = header
            .shape
            .iter()
            .try_fold(1_usize, |count, &size| count.checked_mul(size));
        let stated = count.and_then(|count| {
            let values = count.checked_mul(element.bytes())?;
            values.checked_add(before)
        });
        let Some(count) = count.filter(|_| stated.map(|stated| stated as u64) == Some(size)) else {
            return Err(unusable(
                path,
                format!(
                    "{name} is said to be of shape {:?}, which does not go with its {size} bytes",
                    header.shape
                ),
            ));
        };
        Ok(Array {
            path,
            name: name.to_owned(),
            element,
            is_fortran: header.is_fortran,
            shape: header.shape,
            count,
            content,
        })
    }
}

impl Content {
    /// Opens an array of the file at `path`, and tells its bytes.
    fn open<'a>(
        &'a mut self,
        path: &Path,
        name: &str,
    ) -> Result<(Box<dyn Read + 'a>, u64), NpzError> {
        match self {
            Self::Arrays(zip) => {
                let Some(index) = zip.index_for_name(&entry(name)) else {
                    let names: Vec<_> = zip.file_names().flatten().take(10).collect();
                    let names = names.join(", ");
                    return Err(unusable(
                        path,
                        format!("it has no array {name}; it holds {names}"),
                    ));
                };
                let file = zip.by_index(index);
                let file = file.map_err(|error| zip_error(path, error))?;
                let size = file.size();
                Ok((Box::new(file), size))
            }
            Self::SingleArray if name == NAME => {
                let file = open_file(path).and_then(|file| Ok((file.metadata()?.len(), file)));
                let (size, file) = file.map_err(|source| NpzError::File {
                    path: path.to_owned(),
                    source,
                })?;
                Ok((Box::new(BufReader::new(file)), size))
            }
            Self::SingleArray => Err(unusable(
                path,
                format!("it is a single array, not an archive with {name}"),
            )),
        }
    }
}

/// An array's name as a file in an archive.
fn entry(name: &str) -> String {
    format!("{name}.npy")
}

impl Element {
    /// The type that NumPy describes so; the error continues a sentence on the values.
    fn new(descr: &str) -> Result<Self, &'static str> {
        match descr {
            "<f8" => Ok(Self::Double),
            "<f4" => Ok(Self::Single),
            "|u1" | "<u1" => Ok(Self::Byte),
            "|O" => Err(
                "objects of Python (a pickle), not numbers, and are not read; save the arrays in them, \
                 as with numpy.savez(file, mu=mu, sigma=sigma)",
            ),
            _ => {
                let length = descr
                    .strip_prefix("<U")
                    .and_then(|length| length.parse().ok());
                let length = length.filter(|&length| length <= LONGEST_TEXT);
                length.map(Self::Text).ok_or("neither <f8, <f4 nor |u1")
            }
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Double => 8,
            Self::Single => 4,
            Self::Byte => 1,
            Self::Text(length) => 4 * length,
        }
    }

    /// Whether values are floating-point numbers.
    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::Double | Self::Single)
    }
}

impl Array<'_> {
    pub(super) fn unusable(&self, reason: impl Into<String>) -> NpzError {
        unusable(self.path, reason)
    }

    /// Reads the next `length` bytes of an array of bytes.
    pub(super) fn read_bytes(&mut self, length: usize) -> Result<Vec<u8>, NpzError> {
        let mut bytes = Vec::new();
        let read = (&mut self.content)
            .take(length as u64)
            .read_to_end(&mut bytes);
        match read {
            Ok(found) if found == length => Ok(bytes),
            Ok(_) => Err(self.fault(io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(self.fault(error)),
        }
    }

    /// Reads the next `count` numbers.
    pub(super) fn read_numbers(&mut self, count: usize) -> Result<Vec<f64>, NpzError> {
        let mut values = Vec::new();
        let size = self.element.bytes();
        let mut rest = count * size;
        while rest > 0 {
            let bytes = self.read_bytes(rest.min(CHUNK))?;
            rest -= bytes.len();
            match self.element {
                Element::Double => {
                    let numbers = bytes.as_chunks::<8>().0.iter();
                    values.extend(numbers.map(|&bytes| f64::from_le_bytes(bytes)));
                }
                Element::Single => {
                    let numbers = bytes.as_chunks::<4>().0.iter();
                    values.extend(numbers.map(|&bytes| f64::from(f32::from_le_bytes(bytes))));
                }
                Element::Byte => values.extend(bytes.into_iter().map(f64::from)),
                Element::Text(_) => {
                    return Err(self.unusable(format!("{} holds a text", self.name)));
                }
            }
        }
        Ok(values)
    }

    /// Reads all numbers.
    pub(super) fn read_all_numbers(mut self) -> Result<Vec<f64>, NpzError> {
        let values = self.read_numbers(self.count)?;
        self.finish()?;
        Ok(values)
    }

    /// Reads a single text.
    pub(super) fn read_text(mut self) -> Result<String, NpzError> {
        let (Element::Text(length), 1) = (self.element, self.count) else {
            return Err(self.unusable(format!("{} is no text", self.name)));
        };
        let bytes = self.read_bytes(4 * length)?;
        let characters = bytes.as_chunks::<4>().0.iter();
        let characters = characters.map(|&bytes| char::from_u32(u32::from_le_bytes(bytes)));
        let text: Option<String> = characters.collect();
        let Some(text) = text else {
            return Err(self.unusable(format!("{} is no text", self.name)));
        };
        self.finish()?;
        // NumPy fills up with zeros.
        Ok(text.trim_end_matches('\0').to_owned())
    }

    /// Requires that all values were read, and that they are those that were written: the
    /// archive's check sum is compared at the end.
    pub(super) fn finish(mut self) -> Result<(), NpzError> {
        match self.content.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.unusable(format!("{} goes on after its values", self.name))),
            Err(error) => Err(self.fault(error)),
        }
    }

    fn fault(&self, error: io::Error) -> NpzError {
        self.unusable(format!("the values of {} are damaged: {error}", self.name))
    }
}

fn unusable(path: &Path, reason: impl Into<String>) -> NpzError {
    NpzError::Unusable {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

fn zip_error(path: &Path, error: ZipError) -> NpzError {
    match error {
        ZipError::Io(source) if source.kind() != io::ErrorKind::UnexpectedEof => NpzError::File {
            path: path.to_owned(),
            source,
        },
        error => unusable(path, error.to_string()),
    }
}
