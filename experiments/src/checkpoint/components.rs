//! What stands before and behind a network on latents or text: prompts and decoder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use adadiff_model::kernels::Kernels;
use adadiff_storage::sha256_file;
use anyhow::{Context, Result, bail, ensure};

use crate::checkpoint::Checkpoint;
use crate::checkpoint::latents::{PreparedContexts, autoencoder_of};
use crate::checkpoint::networks::open_autoencoder;
use crate::checkpoint::text_encoder::{Prompts, TextEncoder};
use crate::judge::Yardstick;
use crate::presets::Preset;
use crate::study::{Contexts, LatentDecoder, Study};

/// Where prompts and decoder are found.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The weights of the autoencoder.
    pub autoencoder: Option<PathBuf>,
    /// A folder of prepared latents, whose captions' contexts samples are drawn for.
    pub latents: Option<PathBuf>,
    /// Prompts to draw samples for in their place.
    pub prompts: Vec<String>,
    /// The weights of the text model, for prompts.
    pub text_model: Option<PathBuf>,
    /// The vocabulary of its tokenizer.
    pub vocabulary: Option<PathBuf>,
    /// What the exit rule [`Distance`](crate::ExitRule::Distance) is calibrated by.
    pub yardstick: Yardstick,
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
        if let (Some(expected), Some(path)) = (&checkpoint.autoencoder_sha256, &self.autoencoder) {
            ensure!(
                *expected == sha256_file(path)?,
                "{} was trained on latents of another autoencoder than {}",
                checkpoint.path.display(),
                path.display()
            );
        }
        self.place(Study::new(checkpoint, device.clone(), stop)?, device)
    }

    /// Places a study among them.
    ///
    /// # Errors
    /// As [`Self::study`].
    pub fn place<'a, B: Kernels>(
        &self,
        study: Study<'a, B>,
        device: &B::Device,
    ) -> Result<Study<'a, B>> {
        Ok(self.open(&study.preset, device)?.place(study))
    }

    /// Opens what the network of `preset` needs of them.
    ///
    /// # Errors
    /// As [`Self::study`].
    pub fn open<B: Kernels>(&self, preset: &Preset, device: &B::Device) -> Result<Opened<B>> {
        let decoder = match preset.latents {
            None => None,
            Some(latents) => {
                let path = self.autoencoder.as_deref().context(
                    "the network draws latents: name the weights of Stable Diffusion's \
                     autoencoder, which turns them into images, with --autoencoder FILE",
                )?;
                self.check_autoencoder(path)?;
                let autoencoder = open_autoencoder(path, latents.scale_factor, device)?;
                Some(LatentDecoder::new(autoencoder, device.clone()))
            }
        };
        let contexts = match preset.model.backbone.text {
            Some(_) => Some(self.contexts::<B>(device)?),
            None => None,
        };
        Ok(Opened {
            decoder,
            contexts,
            yardstick: self.yardstick.clone(),
        })
    }

    /// Checks that the latents that were named are of the autoencoder that was named.
    fn check_autoencoder(&self, autoencoder: &Path) -> Result<()> {
        let Some(folder) = self.latents.as_deref() else {
            return Ok(());
        };
        let Some(expected) = autoencoder_of(folder)? else {
            return Ok(());
        };
        ensure!(
            expected == sha256_file(autoencoder)?,
            "{} holds latents of another autoencoder than {}",
            folder.display(),
            autoencoder.display()
        );
        Ok(())
    }

    fn contexts<B: Kernels>(&self, device: &B::Device) -> Result<Arc<dyn Contexts>> {
        if self.prompts.is_empty() {
            let folder = self.latents.as_deref().context(
                "the network is conditioned on text: name latents that `prepare` wrote, with \
                 their captions' contexts, with --latents DIR",
            )?;
            return Ok(Arc::new(PreparedContexts::open(folder)?));
        }
        let (Some(model), Some(vocabulary)) = (&self.text_model, &self.vocabulary) else {
            bail!(
                "prompts are encoded by CLIP's text model: name its weights with --text-model and \
                 its vocabulary, bpe_simple_vocab_16e6.txt.gz or merges.txt, with --vocabulary"
            );
        };
        let encoder = TextEncoder::<B>::open(model, vocabulary, device)?;
        Ok(Arc::new(Prompts::new(&encoder, &self.prompts)?))
    }
}

/// Decoder and contexts, where a network needs them, and the yardstick.
pub struct Opened<B: Kernels> {
    decoder: Option<LatentDecoder<B>>,
    contexts: Option<Arc<dyn Contexts>>,
    yardstick: Yardstick,
}

impl<B: Kernels> Opened<B> {
    /// Places a study among them.
    pub fn place<'a>(&self, study: Study<'a, B>) -> Study<'a, B> {
        study
            .with_decoder(self.decoder.clone())
            .with_contexts(self.contexts.clone())
            .with_yardstick(self.yardstick.clone())
    }

    /// Channels, height and width of the images that the network of `preset` draws.
    pub fn image_shape(&self, preset: &Preset) -> [usize; 3] {
        let shape = preset.model.backbone.image_shape();
        match &self.decoder {
            Some(decoder) => decoder.image_shape(shape),
            None => shape,
        }
    }
}
