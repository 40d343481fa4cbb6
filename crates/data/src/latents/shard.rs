//! A file of tensors: the items of a run of images, or the empty prompt's context.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use super::files::{StoredFile, open, unread, write_whole};
use super::{LatentError, LatentHeader, LatentStorage, Verify};

pub(super) const MOMENTS: &str = "moments";
pub(super) const MIRRORED_MOMENTS: &str = "mirrored_moments";
pub(super) const LABELS: &str = "labels";
pub(super) const CONTEXTS: &str = "contexts";
pub(super) const CONTEXT_STARTS: &str = "context_starts";
pub(super) const EMPTY_CONTEXT: &str = "context";

/// A tensor to be written: name, type, shape and bytes.
pub(super) type Tensor<'a> = (&'static str, Dtype, Vec<usize>, &'a [u8]);

/// Writes a file of tensors, without a copy of them in memory.
pub(super) fn write_tensors(file: &Path, tensors: Vec<Tensor>) -> Result<StoredFile, LatentError> {
    write_whole(file, |path| {
        let views = tensors.into_iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(dtype, shape, bytes).map_err(io::Error::other)?;
            Ok((name, view))
        });
        let views: Vec<_> = views.collect::<io::Result<_>>()?;
        safetensors::serialize_to_file(views, None, path).map_err(|error| match error {
            SafeTensorError::IoError(error) => error,
            error => io::Error::other(error),
        })
    })
}

/// A file of tensors, mapped into memory: what is read of it comes from the disk when it is used.
struct Tensors {
    file: PathBuf,
    map: Mmap,
    metadata: Metadata,
    /// Where the tensors begin.
    start: usize,
}

impl Tensors {
    fn open(file: PathBuf, stored: &StoredFile, verify: Verify) -> Result<Self, LatentError> {
        stored.check_size(&file)?;
        let opened = open(&file)?;
        // SAFETY: nobody writes to a file of a finished set: they are written under other names.
        // Who shortens one all the same stops this process with a signal, on its next access.
        let map = unsafe { Mmap::map(&opened) };
        let map = map.map_err(|source| unread(&file, source))?;
        if verify == Verify::Checksums {
            stored.check_content(&file, &map)?;
        }
        let (header, metadata) =
            SafeTensors::read_metadata(&map).map_err(|error| LatentError::Shard {
                file: file.clone(),
                reason: format!("is no intact safetensors file ({error})"),
            })?;
        Ok(Self {
            file,
            map,
            metadata,
            start: size_of::<u64>() + header,
        })
    }

    fn wrong(&self, reason: String) -> LatentError {
        LatentError::Shard {
            file: self.file.clone(),
            reason,
        }
    }

    /// The place of a tensor's bytes, where it has this type and shape.
    fn place(
        &self,
        name: &str,
        dtype: Dtype,
        shape: &[usize],
    ) -> Result<Range<usize>, LatentError> {
        let info = self.metadata.info(name);
        let info = info.ok_or_else(|| self.wrong(format!("has no tensor `{name}`")))?;
        if info.dtype != dtype || info.shape != shape {
            return Err(self.wrong(format!(
                "has a tensor `{name}` of {} {:?} instead of {dtype} {shape:?}",
                info.dtype, info.shape
            )));
        }
        let (start, end) = info.data_offsets;
        Ok(self.start + start..self.start + end)
    }

    fn integers(&self, name: &str, length: usize) -> Result<Vec<usize>, LatentError> {
        let place = self.place(name, Dtype::I64, &[length])?;
        let numbers = self.map[place].as_chunks().0.iter();
        let numbers = numbers.map(|&number| usize::try_from(i64::from_le_bytes(number)));
        let numbers: Result<_, _> = numbers.collect();
        numbers.map_err(|_| self.wrong(format!("has a negative number in `{name}`")))
    }
}

/// Reads the empty prompt's context.
pub(super) fn read_empty_context(
    file: PathBuf,
    stored: &StoredFile,
    [tokens, width]: [usize; 2],
    storage: LatentStorage,
    verify: Verify,
) -> Result<Vec<f32>, LatentError> {
    let tensors = Tensors::open(file, stored, verify)?;
    let place = tensors.place(EMPTY_CONTEXT, storage.dtype(), &[tokens, width])?;
    let context = storage.decode(&tensors.map[place]);
    if context.iter().all(|value| value.is_finite()) {
        return Ok(context);
    }
    Err(tensors.wrong("has numbers that are not finite".to_owned()))
}

/// The items of a run of images.
pub(super) struct Shard {
    map: Mmap,
    /// Where the first item's moments begin.
    moments: usize,
    mirrored_moments: Option<usize>,
    labels: Option<Vec<usize>>,
    contexts: Option<Contexts>,
}

struct Contexts {
    /// Where the first context begins.
    place: usize,
    /// The number of each item's first context, and of all.
    starts: Vec<usize>,
}

impl Shard {
    pub fn open(
        file: PathBuf,
        items: usize,
        stored: &StoredFile,
        header: &LatentHeader,
        verify: Verify,
    ) -> Result<Self, LatentError> {
        let tensors = Tensors::open(file, stored, verify)?;
        let moments = |name| {
            let shape = [items, 2 * header.channels, header.height, header.width];
            let place = tensors.place(name, header.moments_storage.dtype(), &shape)?;
            Ok(place.start)
        };
        let shard = Self {
            moments: moments(MOMENTS)?,
            mirrored_moments: if header.mirrored {
                Some(moments(MIRRORED_MOMENTS)?)
            } else {
                None
            },
            labels: match header.classes {
                Some(classes) => Some(labels(&tensors, items, classes)?),
                None => None,
            },
            contexts: match header.context_shape {
                Some(shape) => Some(contexts(&tensors, items, shape, header.contexts_storage)?),
                None => None,
            },
            map: tensors.map,
        };
        Ok(shard)
    }

    /// The moments of an item, or of its image's mirror image where they are asked for and exist.
    pub fn moments(&self, item: usize, mirrored: bool, header: &LatentHeader) -> Vec<f32> {
        let storage = header.moments_storage;
        let bytes = header.moments_size() * storage.bytes();
        let mirrored = self.mirrored_moments.filter(|_| mirrored);
        let first = mirrored.unwrap_or(self.moments);
        storage.decode(&self.map[first + item * bytes..][..bytes])
    }

    pub fn label(&self, item: usize) -> Option<usize> {
        self.labels.as_ref().map(|labels| labels[item])
    }

    /// The number of an item's contexts.
    pub fn contexts(&self, item: usize) -> usize {
        let starts = self.contexts.as_ref().map(|contexts| &contexts.starts);
        starts.map_or(0, |starts| starts[item + 1] - starts[item])
    }

    /// One of an item's contexts; none where it has not so many.
    pub fn context(&self, item: usize, number: usize, header: &LatentHeader) -> Option<Vec<f32>> {
        let contexts = self.contexts.as_ref()?;
        let storage = header.contexts_storage;
        let bytes = header.context_size() * storage.bytes();
        let context = contexts.starts[item] + number;
        let place = contexts.place + context * bytes;
        (context < contexts.starts[item + 1]).then(|| storage.decode(&self.map[place..][..bytes]))
    }
}

fn labels(tensors: &Tensors, items: usize, classes: usize) -> Result<Vec<usize>, LatentError> {
    let labels = tensors.integers(LABELS, items)?;
    match labels.iter().find(|&&label| label >= classes) {
        None => Ok(labels),
        Some(label) => Err(tensors.wrong(format!("has a label {label} of {classes} classes"))),
    }
}

fn contexts(
    tensors: &Tensors,
    items: usize,
    [tokens, width]: [usize; 2],
    storage: LatentStorage,
) -> Result<Contexts, LatentError> {
    let starts = tensors.integers(CONTEXT_STARTS, items + 1)?;
    let end = starts[items];
    let place = tensors
        .place(CONTEXTS, storage.dtype(), &[end, tokens, width])?
        .start;
    if starts[0] != 0 || !starts.is_sorted_by(|start, next| start < next) {
        return Err(tensors.wrong("has an item without contexts".to_owned()));
    }
    Ok(Contexts { place, starts })
}
