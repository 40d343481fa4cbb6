//! An array in an archive or in a file of its own: its description, then its values.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use ndarray_npy::npy::header::{Header, Layout};
use zip::ZipArchive;
use zip::result::ZipError;

use super::NpzError;

/// Bytes of a description that are read; NumPy writes 118 for an array of a few axes.
const LONGEST_HEADER: usize = 4096;

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 16;

/// An array's name when `numpy.savez` is given none.
pub(super) const NAME: &str = "arr_0";

/// The first bytes of an array.
const MAGIC: &[u8] = b"\x93NUMPY";

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
        // Asked before opening, which may wait forever on what is no file.
        if !fs::metadata(path).map_err(system)?.is_file() {
            return Err(unusable(path, "it is a folder or a device"));
        }
        let mut file = BufReader::new(File::open(path).map_err(system)?);
        let content = match file.fill_buf().map_err(system)?.starts_with(MAGIC) {
            true => Content::SingleArray,
            false => {
                let file: Box<dyn Bytes> = Box::new(file);
                let zip = ZipArchive::new(file).map_err(|error| zip_error(path, error))?;
                Content::Arrays(zip)
            }
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
        let mut bytes = Vec::new();
        let header = read_header(&mut content, &mut bytes).map_err(|reason| {
            unusable(
                path,
                format!("the description of {name} is damaged: {reason}"),
            )
        })?;
        let described = header.type_descriptor.as_string();
        let element = match described.map(String::as_str) {
            Some("<f8") => Element::Double,
            Some("<f4") => Element::Single,
            Some("|u1" | "<u1") => Element::Byte,
            _ => {
                return Err(unusable(
                    path,
                    format!("the values of {name} are neither <f8, <f4 nor |u1"),
                ));
            }
        };
        let count = header
            .shape
            .iter()
            .try_fold(1_usize, |count, &size| count.checked_mul(size));
        let stated = count.and_then(|count| {
            let values = count.checked_mul(element.bytes())?;
            values.checked_add(bytes.len())
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
            is_fortran: header.layout == Layout::Fortran,
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
                    let names: Vec<_> = zip.file_names().take(10).collect();
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
                let file = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
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
    fn bytes(self) -> usize {
        match self {
            Self::Double => 8,
            Self::Single => 4,
            Self::Byte => 1,
        }
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

/// Reads what describes an array into `bytes`, and what it says.
fn read_header(content: &mut impl Read, bytes: &mut Vec<u8>) -> Result<Header, String> {
    let mut extend = |bytes: &mut Vec<u8>, length: usize| {
        let start = bytes.len();
        bytes.resize(start + length, 0);
        let read = content.read_exact(&mut bytes[start..]);
        read.map_err(|error| error.to_string())
    };
    // Magic bytes, version, length of the text in 2 bytes, since version 2 in 4.
    extend(bytes, 10)?;
    let mut length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    if bytes[6] > 1 {
        extend(bytes, 2)?;
        length |= usize::from(u16::from_le_bytes([bytes[10], bytes[11]])) << 16;
    }
    if length > LONGEST_HEADER {
        return Err(format!("it is said to have {length} bytes"));
    }
    extend(bytes, length)?;
    // A dictionary and a tuple. The parser recurses into more, and tries again and again.
    let opened = bytes.iter().filter(|byte| b"([{".contains(byte)).count();
    if opened > 2 {
        return Err("it is not that of an array of numbers".into());
    }
    Header::from_reader(&mut bytes.as_slice()).map_err(|error| error.to_string())
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
