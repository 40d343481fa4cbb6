//! What stands before and behind a network on latents or text: prompts and decoder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Contexts, LatentDecoder, ReferenceSource};
use adadiff_storage::sha256_file;
use anyhow::{Context, Result, bail, ensure};

use crate::checkpoint::Checkpoint;
use crate::checkpoint::LoadedCheckpoint;
use crate::checkpoint::latents::{PreparedContexts, autoencoder_of};
use crate::checkpoint::text_encoder::{Prompts, TextEncoder};
use crate::evaluator::DataSetReference;
use crate::networks::open_autoencoder;
use crate::presets::Preset;

/// Where prompts and decoder are found.
#[derive(Clone, Debug, Default)]
pub struct ComponentFiles {
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
    /// What samples are judged by, and the exit rule [`Distance`](adadiff_pipeline::ExitRule::Distance) is calibrated
    /// by.
    pub reference: DataSetReference,
}

impl ComponentFiles {
    /// Loads a checkpoint among them.
    ///
    /// # Errors
    /// Where a file is damaged, or latents have no decoder.
    pub fn load<B: Kernels>(
        &self,
        checkpoint: Checkpoint,
        device: &B::Device,
    ) -> Result<LoadedCheckpoint<B>> {
        if let (Some(expected), Some(path)) = (&checkpoint.autoencoder_sha256, &self.autoencoder) {
            ensure!(
                *expected == sha256_file(path)?,
                "{} was trained on latents of another autoencoder than {}",
                checkpoint.path.display(),
                path.display()
            );
        }
        self.attach(LoadedCheckpoint::new(checkpoint, device.clone())?, device)
    }

    /// Places a checkpoint among them.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn attach<B: Kernels>(
        &self,
        loaded: LoadedCheckpoint<B>,
        device: &B::Device,
    ) -> Result<LoadedCheckpoint<B>> {
        Ok(self.open(loaded.preset(), device)?.attach(loaded))
    }

    /// Opens what the network of `preset` needs of them.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn open<B: Kernels>(&self, preset: &Preset, device: &B::Device) -> Result<Components<B>> {
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
        Ok(Components {
            decoder,
            contexts,
            reference: Arc::new(self.reference.of_calibrations(preset.data)),
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

/// Decoder and contexts, where a network needs them, and what calibrations measure by.
pub struct Components<B: Kernels> {
    decoder: Option<LatentDecoder<B>>,
    contexts: Option<Arc<dyn Contexts>>,
    reference: Arc<dyn ReferenceSource<B>>,
}

impl<B: Kernels> Components<B> {
    /// Places a checkpoint among them.
    pub fn attach(&self, loaded: LoadedCheckpoint<B>) -> LoadedCheckpoint<B> {
        loaded.with_components(
            self.decoder.clone(),
            self.contexts.clone(),
            self.reference.clone(),
        )
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
