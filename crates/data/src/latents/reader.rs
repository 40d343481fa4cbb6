//! Prepared latents, read.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::index::{Index, empty_context_file, shard_file};
use super::sampling::{SCALE_FACTOR, check_finite, draw};
use super::shard::{Shard, read_empty_context};
use super::{LatentError, LatentHeader, SkippedImage, Verify};
use crate::{Conditioning, ImageError, Label, TrainingSet, Visit, choose_caption};

/// The latents of a data set, as a [`LatentWriter`](super::LatentWriter) prepared them; never empty.
///
/// The files are mapped into memory, so that more may be open than memory holds. They must not
/// change while they are.
///
/// As a [`TrainingSet`] it draws another latent of an image, and takes another of its contexts, on
/// each visit. A visit that flips takes the mirrored image's moments where there are some, and the
/// image's own where there are none.
pub struct Latents {
    folder: PathBuf,
    index: Index,
    length: usize,
    shards: Vec<Shard>,
    empty_context: Option<Vec<f32>>,
    scale_factor: f32,
}

impl Latents {
    /// Opens a folder of finished latents.
    ///
    /// # Errors
    /// Where a file is missing, damaged or of another set, or the latents are not all there.
    pub fn open(folder: &Path, verify: Verify) -> Result<Self, LatentError> {
        let index = Index::read(folder)?;
        let header = &index.header;
        if !index.complete {
            return Err(LatentError::Unfinished {
                folder: folder.to_owned(),
                images: index.items() + index.skipped.len(),
                expected: header.source_images,
            });
        }
        let shards = index.shards.par_iter().enumerate();
        let shards = shards.map(|(number, shard)| {
            let file = shard_file(folder, number);
            Shard::open(file, shard.items, &shard.file, header, verify)
        });
        let shards: Vec<_> = shards.collect::<Result<_, _>>()?;
        let empty_context = match (&index.empty_context, header.context_shape) {
            (Some(stored), Some(shape)) => {
                let (file, storage) = (empty_context_file(folder), header.contexts_storage);
                Some(read_empty_context(file, stored, shape, storage, verify)?)
            }
            _ => None,
        };
        Ok(Self {
            folder: folder.to_owned(),
            length: index.items(),
            index,
            shards,
            empty_context,
            scale_factor: SCALE_FACTOR,
        })
    }

    /// The same latents, multiplied with another factor than [`SCALE_FACTOR`].
    pub fn with_scale_factor(self, scale_factor: f32) -> Self {
        Self {
            scale_factor,
            ..self
        }
    }

    /// What the latents are of.
    pub fn header(&self) -> &LatentHeader {
        &self.index.header
    }

    /// The images of the data set that have no latents, in order.
    pub fn skipped(&self) -> &[SkippedImage] {
        &self.index.skipped
    }

    /// The moments of an image, mean and log-variance, `[2 * channels, height, width]`.
    ///
    /// # Panics
    /// Where `index` is not below [`TrainingSet::len`], as all methods with an index do.
    pub fn moments(&self, index: usize) -> Vec<f32> {
        let (shard, item) = self.place(index);
        shard.moments(item, false, self.header())
    }

    /// The class of an image; none where images have no labels.
    pub fn label(&self, index: usize) -> Option<usize> {
        let (shard, item) = self.place(index);
        shard.label(item)
    }

    /// The number of an image's contexts; 0 where images have no captions.
    pub fn contexts(&self, index: usize) -> usize {
        let (shard, item) = self.place(index);
        shard.contexts(item)
    }

    /// The context of one of an image's captions, `[tokens, width]`.
    ///
    /// # Panics
    /// Where `caption` is not below [`Latents::contexts`] of the image.
    pub fn context(&self, index: usize, caption: usize) -> Vec<f32> {
        let (shard, item) = self.place(index);
        let context = shard.context(item, caption, self.header());
        context.unwrap_or_else(|| panic!("context {caption} of {}", shard.contexts(item)))
    }

    fn place(&self, index: usize) -> (&Shard, usize) {
        assert!(index < self.length, "item {index} of {}", self.length);
        let full = self.index.items_per_shard;
        (&self.shards[index / full], index % full)
    }
}

impl TrainingSet for Latents {
    fn len(&self) -> usize {
        self.length
    }

    fn shape(&self) -> [usize; 3] {
        let header = self.header();
        [header.channels, header.height, header.width]
    }

    fn name(&self, index: usize) -> String {
        let full = self.index.items_per_shard;
        let file = shard_file(&self.folder, index / full);
        format!("item {} of {}", index % full, file.display())
    }

    fn conditioning(&self) -> Conditioning {
        match (self.header().classes, self.header().context_shape) {
            (Some(classes), _) => Conditioning::Class { classes },
            (_, Some([tokens, width])) => Conditioning::Text { tokens, width },
            _ => Conditioning::None,
        }
    }

    fn empty_context(&self) -> Option<&[f32]> {
        self.empty_context.as_deref()
    }

    fn read(&self, index: usize, visit: Visit, values: &mut [f32]) -> Result<Label, ImageError> {
        let (shard, item) = self.place(index);
        let moments = shard.moments(item, visit.flip, self.header());
        draw(&moments, self.scale_factor, visit, values)?;
        if let Some(label) = shard.label(item) {
            return Ok(Label::Class(label));
        }
        let caption = choose_caption(visit.seed, visit.position, shard.contexts(item));
        let context = caption.and_then(|caption| shard.context(item, caption, self.header()));
        match context {
            None => Ok(Label::None),
            Some(context) => {
                check_finite(&context)?;
                Ok(Label::Context(context))
            }
        }
    }

    fn stored(&self, index: usize) -> Result<Vec<u8>, ImageError> {
        let shard = &self.index.shards[index / self.index.items_per_shard];
        Ok(shard.file.sha256.as_bytes().to_vec())
    }
}
