//! Latents, prepared and written.

use std::fs;
use std::mem;
use std::path::{Path, PathBuf};

use adadiff_storage::{FolderLock, StorageError};
use safetensors::Dtype;

use super::files::{StoredFile, remove_unfinished, unwritten};
use super::index::{Index, ShardEntry, SkippedImage, empty_context_file, index_file, shard_file};
use super::shard::{
    CONTEXT_STARTS, CONTEXTS, EMPTY_CONTEXT, LABELS, MIRRORED_MOMENTS, MOMENTS, write_tensors,
};
use super::{LatentError, LatentHeader, LatentStorage};

/// What is prepared of one image.
#[derive(Clone, Copy, Debug)]
pub struct LatentItem<'a> {
    /// Mean and log-variance of its latent, `[2 * channels, height, width]`.
    pub moments: &'a [f32],
    /// Those of its mirror image; present where the header says so.
    pub mirrored_moments: Option<&'a [f32]>,
    /// Its class; present where the header has classes.
    pub label: Option<usize>,
    /// The contexts of its captions, `[captions, tokens, width]`; empty where the header has none.
    pub contexts: &'a [f32],
}

/// Writes the latents of a data set, image by image and in order; the items of one shard are in
/// memory.
///
/// Where a process is killed or the disk is full, the shards that are complete stay, and
/// [`LatentWriter::create_or_resume`] goes on after them. In the end the folder is, byte for byte,
/// that of a run that nothing interrupted. The writer itself loses nothing by an error either:
/// [`LatentWriter::next_image`] says what comes next, and a shard that could not be written is
/// tried again.
#[derive(Debug)]
pub struct LatentWriter {
    folder: PathBuf,
    index: Index,
    /// What the next shard has so far.
    pending: Pending,
    /// Held as long as the writer is.
    lock: FolderLock,
}

/// The tensors of a shard, as they will be stored.
#[derive(Debug, Default)]
struct Pending {
    items: usize,
    moments: Vec<u8>,
    mirrored_moments: Vec<u8>,
    labels: Vec<u8>,
    contexts: Vec<u8>,
    /// The number of contexts before each item.
    context_starts: Vec<u8>,
    context_count: usize,
}

impl LatentWriter {
    /// Starts a set of latents in a folder, which is made if need be, or goes on with one of the
    /// same header.
    ///
    /// # Errors
    /// - [`LatentError::Differs`] where the folder holds latents of another header,
    ///   [`LatentError::Finished`] where all are there, [`LatentError::InUse`] where another
    ///   process prepares them.
    /// - Where the header contradicts itself, or what is in the folder is damaged or cannot be
    ///   written.
    pub fn create_or_resume(
        folder: &Path,
        header: LatentHeader,
        items_per_shard: usize,
    ) -> Result<Self, LatentError> {
        header.check()?;
        if items_per_shard == 0 {
            let reason = "shards of no items".to_owned();
            return Err(LatentError::Header { reason });
        }
        // Before anything is written, so that a folder of other latents stays as it is.
        unfinished_index(folder, &header, items_per_shard)?;
        fs::create_dir_all(folder).map_err(|source| unwritten(folder, source))?;
        let lock = lock(folder)?;
        // Once more, as another process may have gone on until now.
        let index = match unfinished_index(folder, &header, items_per_shard)? {
            Some(index) => index,
            None if shard_file(folder, 0).exists() => {
                return Err(LatentError::Missing {
                    file: index_file(folder),
                    help: "copy it to the shards that lie there, or remove the folder",
                });
            }
            None => {
                let index = Index::new(header, items_per_shard);
                index.write(folder)?;
                index
            }
        };
        for (number, shard) in index.shards.iter().enumerate() {
            shard.file.check_size(&shard_file(folder, number))?;
        }
        remove_unfinished(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            index,
            pending: Pending::default(),
            lock,
        })
    }

    /// The index in the data set of the image that comes next.
    pub fn next_image(&self) -> usize {
        self.index.items() + self.pending.items + self.index.skipped.len()
    }

    /// The images that were passed over.
    pub fn skipped(&self) -> &[SkippedImage] {
        &self.index.skipped
    }

    /// Adds the latents of the next image, and writes a shard where they complete it.
    ///
    /// # Errors
    /// - [`LatentError::Item`] where the item does not fit the header or has numbers that are not
    ///   finite as they are stored.
    /// - [`LatentError::Write`] where the shard cannot be written, which has the item all the same,
    ///   or the one before still cannot.
    pub fn push(&mut self, item: LatentItem) -> Result<(), LatentError> {
        self.check_next()?;
        self.write_full_shard()?;
        let image = self.next_image();
        check_item(&item, &self.index.header)
            .map_err(|reason| LatentError::Item { image, reason })?;
        self.pending.push(&item, &self.index.header);
        self.write_full_shard()
    }

    /// Passes over the next image, which cannot be used.
    ///
    /// # Errors
    /// Where there is no next image.
    pub fn skip(&mut self, name: String, reason: String) -> Result<(), LatentError> {
        self.check_next()?;
        let index = self.next_image();
        self.index.skipped.push(SkippedImage {
            index,
            name,
            reason,
        });
        Ok(())
    }

    /// Writes what is left, after the last image; with the context of the empty prompt, `[tokens,
    /// width]`, where there are contexts.
    ///
    /// # Errors
    /// Where images are missing, all were skipped, the context does not fit the header, or
    /// something cannot be written.
    pub fn finish(mut self, empty_context: Option<&[f32]>) -> Result<(), LatentError> {
        let header = &self.index.header;
        let (done, images) = (self.next_image(), header.source_images);
        let end = |reason: String| Err(LatentError::End { reason });
        if done < images {
            return end(format!("{done} of {images} images"));
        }
        if self.index.skipped.len() == images {
            return end("no image that can be used".to_owned());
        }
        let length = empty_context.map_or(0, <[f32]>::len);
        if length != header.context_size() {
            let expected = header.context_size();
            return end(format!(
                "an empty context of {length} values instead of {expected}"
            ));
        }
        if let Some(context) = empty_context {
            let storage = header.contexts_storage;
            if !context.iter().all(|&value| storage.holds(value)) {
                return end("an empty context with numbers that are not finite".to_owned());
            }
        }

        if self.pending.items > 0 {
            self.write_shard()?;
        }
        let header = &self.index.header;
        if let (Some(context), Some(shape)) = (empty_context, header.context_shape) {
            let storage = header.contexts_storage;
            let mut bytes = Vec::new();
            storage.encode(context, &mut bytes);
            let tensor = (
                EMPTY_CONTEXT,
                storage.dtype(),
                shape.to_vec(),
                bytes.as_slice(),
            );
            let stored = write_tensors(&empty_context_file(&self.folder), vec![tensor])?;
            self.index.empty_context = Some(stored);
        }
        self.index.complete = true;
        self.index.write(&self.folder)?;
        let removed = self.lock.remove();
        removed.map_err(|source| unwritten(&self.folder, source))
    }

    fn check_next(&self) -> Result<(), LatentError> {
        let (image, images) = (self.next_image(), self.index.header.source_images);
        if image < images {
            return Ok(());
        }
        Err(LatentError::Item {
            image,
            reason: format!("no place in a data set of {images} images"),
        })
    }

    fn write_full_shard(&mut self) -> Result<(), LatentError> {
        if self.pending.items < self.index.items_per_shard {
            return Ok(());
        }
        self.write_shard()?;
        self.index.write(&self.folder)
    }

    /// Writes the pending items as a shard, which the index has from its next writing on.
    fn write_shard(&mut self) -> Result<(), LatentError> {
        let file = shard_file(&self.folder, self.index.shards.len());
        let stored = self.pending.write(&file, &self.index.header)?;
        self.index.shards.push(ShardEntry {
            items: mem::take(&mut self.pending).items,
            file: stored,
        });
        Ok(())
    }
}

impl Pending {
    fn push(&mut self, item: &LatentItem, header: &LatentHeader) {
        let storage = header.moments_storage;
        storage.encode(item.moments, &mut self.moments);
        if let Some(moments) = item.mirrored_moments {
            storage.encode(moments, &mut self.mirrored_moments);
        }
        if let Some(label) = item.label {
            push_integer(&mut self.labels, label);
        }
        if header.context_shape.is_some() {
            push_integer(&mut self.context_starts, self.context_count);
            header
                .contexts_storage
                .encode(item.contexts, &mut self.contexts);
            self.context_count += item.contexts.len() / header.context_size();
        }
        self.items += 1;
    }

    fn write(&self, file: &Path, header: &LatentHeader) -> Result<StoredFile, LatentError> {
        let items = self.items;
        let mut context_starts = self.context_starts.clone();
        let storage = header.moments_storage.dtype();
        let shape = [items, 2 * header.channels, header.height, header.width].to_vec();
        let mut tensors = vec![(MOMENTS, storage, shape.clone(), self.moments.as_slice())];
        if header.mirrored {
            tensors.push((MIRRORED_MOMENTS, storage, shape, &self.mirrored_moments));
        }
        if header.classes.is_some() {
            tensors.push((LABELS, Dtype::I64, vec![items], &self.labels));
        }
        if let Some([tokens, width]) = header.context_shape {
            push_integer(&mut context_starts, self.context_count);
            let storage = header.contexts_storage.dtype();
            let shape = vec![self.context_count, tokens, width];
            tensors.push((CONTEXTS, storage, shape, &self.contexts));
            tensors.push((CONTEXT_STARTS, Dtype::I64, vec![items + 1], &context_starts));
        }
        write_tensors(file, tensors)
    }
}

fn push_integer(bytes: &mut Vec<u8>, integer: usize) {
    // Labels and counts of contexts are far below 2^63.
    bytes.extend((integer as i64).to_le_bytes());
}

/// Says what of an item does not fit the header.
fn check_item(item: &LatentItem, header: &LatentHeader) -> Result<(), String> {
    let check = |values: &[f32], storage: LatentStorage, what: &str| match values
        .iter()
        .find(|&&value| !storage.holds(value))
    {
        None => Ok(()),
        Some(value) => Err(format!("{what} with {value}, which cannot be stored")),
    };
    let moments = |moments: &[f32], what: &str| {
        let (length, expected) = (moments.len(), header.moments_size());
        if length != expected {
            return Err(format!("{length} values of {what} instead of {expected}"));
        }
        check(moments, header.moments_storage, what)
    };
    moments(item.moments, "moments")?;
    match (item.mirrored_moments, header.mirrored) {
        (Some(mirrored), true) => moments(mirrored, "mirrored moments")?,
        (None, false) => {}
        (Some(_), false) => return Err("mirrored moments, which the header has not".to_owned()),
        (None, true) => return Err("no mirrored moments".to_owned()),
    }
    match (item.label, header.classes) {
        (Some(label), Some(classes)) if label < classes => {}
        (None, None) => {}
        (label, classes) => return Err(format!("the label {label:?} of {classes:?} classes")),
    }
    let (length, size) = (item.contexts.len(), header.context_size());
    let fits = match header.context_shape {
        None => length == 0,
        Some(_) => length > 0 && length.is_multiple_of(size),
    };
    if !fits {
        return Err(format!("{length} values of contexts of {size}"));
    }
    check(item.contexts, header.contexts_storage, "a context")
}

/// The index of a folder of these latents, which are not complete; none where there is none yet.
fn unfinished_index(
    folder: &Path,
    header: &LatentHeader,
    items_per_shard: usize,
) -> Result<Option<Index>, LatentError> {
    let Some(index) = Index::find(folder)? else {
        return Ok(None);
    };
    let shards = || {
        let [found, expected] = [index.items_per_shard, items_per_shard];
        let name = "items_per_shard".to_owned();
        (found != expected).then(|| (name, found.to_string(), expected.to_string()))
    };
    let folder = folder.to_owned();
    if let Some((field, found, expected)) = index.header.difference(header).or_else(shards) {
        return Err(LatentError::Differs {
            folder,
            field,
            found,
            expected,
        });
    }
    if index.complete {
        return Err(LatentError::Finished { folder });
    }
    Ok(Some(index))
}

/// Keeps other processes away from a folder.
fn lock(folder: &Path) -> Result<FolderLock, LatentError> {
    FolderLock::try_new(folder).map_err(|error| match error {
        StorageError::File { path, source, .. } => unwritten(&path, source),
        _ => LatentError::InUse {
            folder: folder.to_owned(),
        },
    })
}
