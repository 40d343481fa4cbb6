//! The command `import`: published weights become this project's own.

mod diffusion;
mod parts;

use std::path::PathBuf;

use adadiff_backends::DeviceTask;
use adadiff_metrics::INCEPTION_LANDMARK;
use adadiff_model::UVitConfig;
use adadiff_model::autoencoder::AutoencoderConfig;
use adadiff_model::clip::{ClipTextConfig, ClipVisionConfig};
use adadiff_model::kernels::Kernels;
use adadiff_weights::{StoredTensor, WeightError, WeightFile};
use anyhow::{Result, bail, ensure};
use burn::tensor::Device;

use crate::networks::part_note;
use crate::presets::Preset;
use crate::terminal::say;

/// The most tensors that a note names.
const MOST_NAMED: usize = 3;

#[derive(Debug)]
pub struct Import {
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
    /// The dictionary or prefix in the file that holds the network; where it is found if absent.
    pub state_dict: Option<String>,
}

impl DeviceTask for Import {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        ensure!(
            !self.out.exists(),
            "{} exists already; name another file to write with --out",
            self.out.display()
        );
        let whole = WeightFile::open(&self.file)?;
        let file = match &self.state_dict {
            Some(part) => whole.within(part)?,
            None => whole.clone(),
        };
        let mut notes = vec![format!(
            "{}: {} file of {} tensors, {} values",
            self.file.display(),
            whole.format(),
            whole.tensors().len(),
            values(&whole),
        )];
        let (network, import) = find::<B>(&file)?;
        notes.extend(part_note(&network));
        notes.extend(without_use(&whole, &network));
        // What is read is stored before anything is printed: nobody may be there to read it.
        notes.extend(import(&self, &network, &device)?);
        notes.push(format!("written: {}", self.out.display()));
        say!("{}", notes.join("\n"))
    }
}

/// Loads a network from its part of a file, saves it, and gives back what it is, in lines.
type Importer<B> = fn(&Import, &WeightFile, &Device<B>) -> Result<Vec<String>>;

/// The part of a file that holds a network which is known here, and what imports it.
fn find<B: Kernels>(file: &WeightFile) -> Result<(WeightFile, Importer<B>)> {
    let known: [(&str, Importer<B>); 5] = [
        (UVitConfig::LANDMARK, diffusion::import::<B>),
        (AutoencoderConfig::LANDMARK, parts::autoencoder::<B>),
        (ClipTextConfig::LANDMARK, parts::text_model::<B>),
        (ClipVisionConfig::LANDMARK, parts::image_model::<B>),
        (INCEPTION_LANDMARK, parts::inception::<B>),
    ];
    for (landmark, import) in known {
        let network = file.network(landmark).map_err(|error| match error {
            error @ WeightError::Ambiguous { .. } => {
                anyhow::Error::from(error).context("--state-dict NAME chooses what is imported")
            }
            error => error.into(),
        })?;
        if network.shape(landmark).is_some() {
            return Ok((network.into_owned(), import));
        }
    }
    let names = file.tensors().keys();
    let names: Vec<_> = names.take(MOST_NAMED).cloned().collect();
    bail!(
        "{} holds no network that is known here: neither a U-ViT or AdaDiff, nor Stable Diffusion's \
         autoencoder, nor CLIP's text or image model, nor FID's Inception network; its tensors \
         start with {}",
        file.path().display(),
        names.join(", ")
    );
}

/// The tensors that no network needs, in a line.
fn without_use(whole: &WeightFile, network: &WeightFile) -> Option<String> {
    let beside = whole.tensors().len() - network.tensors().len();
    let others = network.no_weights();
    let mut parts = Vec::new();
    if beside > 0 {
        parts.push(format!("{beside} tensors elsewhere in the file"));
    }
    if !others.is_empty() {
        let count = others.len();
        let named = others[..count.min(MOST_NAMED)].join(", ");
        let more = if count > MOST_NAMED { " .." } else { "" };
        parts.push(format!("{count} that are no weights ({named}{more})"));
    }
    (!parts.is_empty()).then(|| format!("passed over: {}", parts.join(", ")))
}

/// Numbers in all tensors of a file.
fn values(file: &WeightFile) -> usize {
    let tensors = file.tensors().values();
    tensors.map(StoredTensor::values).sum()
}
