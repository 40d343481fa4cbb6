//! What stands before and behind a network on latents or text: prompts and decoder.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use adadiff_model::kernels::Kernels;
use anyhow::{Context, Result};

use crate::checkpoint::Checkpoint;
use crate::network_file::open_autoencoder;
use crate::study::{Contexts, LatentDecoder, Study};

/// Where prompts and decoder are found.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The weights of the autoencoder.
    pub autoencoder: Option<PathBuf>,
}

impl Surroundings {
    /// The study of a checkpoint among them.
    ///
    /// # Errors
    /// Where a file is damaged, or latents have no decoder.
    pub fn study<'a, B: Kernels>(
        &self,
        checkpoint: Checkpoint,
        device: &B::Device,
        stop: &'a AtomicBool,
    ) -> Result<Study<'a, B>> {
        let decoder = match checkpoint.preset.latents {
            None => None,
            Some(latents) => {
                let path = self.autoencoder.as_deref().context(
                    "the network draws latents: name the weights of Stable Diffusion's \
                     autoencoder, which turns them into images, with --autoencoder FILE",
                )?;
                let autoencoder = open_autoencoder(path, latents.scale_factor, device)?;
                Some(LatentDecoder::new(autoencoder, device.clone()))
            }
        };
        let contexts: Option<Arc<dyn Contexts>> = None;
        Ok(Study::new(checkpoint, device.clone(), stop)?
            .with_decoder(decoder)
            .with_contexts(contexts))
    }
}
