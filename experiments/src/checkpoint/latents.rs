//! Latents that were prepared, for training and as the source of contexts.

use std::path::Path;
use std::sync::Arc;

use adadiff_data::{Latents, NpyLatents, Split, TrainingSet, Verify, choose_caption};
use adadiff_pipeline::Contexts;
use anyhow::{Result, bail, ensure};

use crate::presets::{DataSet, Preset};

/// The seed of the choice among an image's captions at evaluation.
const EVALUATION_SEED: u64 = 0;

/// Opens a folder of latents for training: one that `prepare` wrote, every byte of it verified, or
/// one of `.npy` files that U-ViT's scripts wrote.
///
/// # Errors
/// Where the folder is neither, or its latents are not of the preset's data set.
pub fn open_latents(folder: &Path, preset: &Preset) -> Result<Arc<dyn TrainingSet>> {
    let Some(latents) = preset.latents else {
        bail!(
            "the preset '{}' trains on pixels: name the images with --data",
            preset.name
        );
    };
    let scale_factor = latents.scale_factor as f32;
    if folder.join("index.json").exists() {
        let latents = Latents::open(folder, Verify::Checksums)?;
        let source = source_name(preset);
        ensure!(
            latents.header().source == source,
            "{} holds latents of {}, where the preset '{}' is about {source}",
            folder.display(),
            latents.header().source,
            preset.name
        );
        return Ok(Arc::new(latents.with_scale_factor(scale_factor)));
    }
    Ok(match preset.data {
        DataSet::Coco { .. } => {
            let latents = NpyLatents::coco(folder, Split::Train)?;
            Arc::new(latents.with_scale_factor(scale_factor))
        }
        _ => Arc::new(NpyLatents::image_net(folder)?.with_scale_factor(scale_factor)),
    })
}

/// SHA-256 of the autoencoder's weights that the latents of a folder were made with; none where the
/// folder is one of `.npy` files, which do not tell.
///
/// # Errors
/// Where the folder is damaged.
pub fn autoencoder_of(folder: &Path) -> Result<Option<String>> {
    if !folder.join("index.json").exists() {
        return Ok(None);
    }
    let latents = Latents::open(folder, Verify::Sizes)?;
    Ok(Some(latents.header().autoencoder_sha256.clone()))
}

/// What latents say that they are of.
pub fn source_name(preset: &Preset) -> String {
    let [_, height, width] = preset.data.shape();
    format!("{} at {height} x {width}", preset.data.title())
}

/// The contexts of prepared latents, one caption of each image, always the same.
pub struct PreparedContexts {
    latents: Latents,
    size: [usize; 2],
    empty: Vec<f32>,
}

impl PreparedContexts {
    /// Opens a folder of latents that `prepare` wrote.
    ///
    /// # Errors
    /// Where the folder is damaged or holds no contexts.
    pub fn open(folder: &Path) -> Result<Self> {
        let latents = Latents::open(folder, Verify::Sizes)?;
        let empty = latents.empty_context().map(<[f32]>::to_vec);
        let (Some(size), Some(empty)) = (latents.header().context_shape, empty) else {
            bail!("{} holds no captions' contexts", folder.display());
        };
        Ok(Self {
            latents,
            size,
            empty,
        })
    }
}

impl Contexts for PreparedContexts {
    fn len(&self) -> usize {
        TrainingSet::len(&self.latents)
    }

    fn size(&self) -> [usize; 2] {
        self.size
    }

    fn context(&self, prompt: usize) -> Vec<f32> {
        let captions = self.latents.contexts(prompt);
        // Every image has at least one caption.
        let caption = choose_caption(EVALUATION_SEED, prompt as u64, captions).unwrap_or(0);
        self.latents.context(prompt, caption)
    }

    fn empty(&self) -> Vec<f32> {
        self.empty.clone()
    }
}
