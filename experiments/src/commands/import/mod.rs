//! The command `import`: published weights become this project's own.

mod diffusion;
mod parts;

use std::path::PathBuf;

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use adadiff_weights::WeightFile;
use anyhow::{Result, bail, ensure};

use crate::checkpoint::published::predicts_noise;
use crate::presets::Preset;

/// What to import.
#[derive(Debug)]
pub struct Import {
    /// The published file.
    pub file: PathBuf,
    /// The file to write.
    pub out: PathBuf,
    /// The preset that a diffusion model is for.
    pub preset: Option<Preset>,
    /// Where none is given, the one of these with the file's network, or else the first with the
    /// network changed to it.
    pub known: Vec<Preset>,
    /// Attention heads, which no file tells; as published for the width where absent.
    pub heads: Option<usize>,
    /// Tokens of a diffusion model's text context; 77 where absent.
    pub text_tokens: Option<usize>,
}

impl DeviceTask for Import {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        ensure!(
            !self.out.exists(),
            "{} exists already; name another file to write with --out",
            self.out.display()
        );
        let file = WeightFile::open(&self.file)?;
        println!(
            "{}: {} file of {} tensors, {} values",
            self.file.display(),
            file.format(),
            file.tensors().len(),
            values(&file),
        );
        let has = |name: &str| file.shape(name).is_some();
        if predicts_noise(&file) {
            diffusion::import::<B>(&self, &file, &device)?;
        } else if has("encoder.conv_in.weight") {
            parts::autoencoder::<B>(&self, &file, &device)?;
        } else if has("text_model.embeddings.token_embedding.weight") {
            parts::text_model::<B>(&self, &file, &device)?;
        } else if has("vision_model.embeddings.patch_embedding.weight") {
            parts::image_model::<B>(&self, &file, &device)?;
        } else if has("Conv2d_1a_3x3.conv.weight") {
            parts::inception::<B>(&self, &file, &device)?;
        } else {
            let names: Vec<_> = file.tensors().keys().take(3).cloned().collect();
            bail!(
                "{} holds no network that is known here: neither a U-ViT or AdaDiff, nor Stable \
                 Diffusion's autoencoder, nor CLIP's text or image model, nor FID's Inception \
                 network; its tensors start with {}",
                self.file.display(),
                names.join(", ")
            );
        }
        println!("written: {}", self.out.display());
        Ok(())
    }
}

/// Numbers in all tensors of a file.
fn values(file: &WeightFile) -> usize {
    let tensors = file.tensors().values();
    tensors
        .map(|tensor| tensor.shape.iter().product::<usize>())
        .sum()
}
