//! The networks that stand before and behind a diffusion model, from their files: this project's
//! own, as `import` writes them, or the published ones.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use adadiff_metrics::{INCEPTION_LANDMARK, Inception};
use adadiff_model::autoencoder::{Autoencoder, AutoencoderConfig, AutoencoderHints};
use adadiff_model::clip::{
    ClipText, ClipTextConfig, ClipTextHints, ClipVision, ClipVisionConfig, ClipVisionHints,
};
use adadiff_model::kernels::Kernels;
use adadiff_storage::open_file;
use adadiff_weights::WeightFile;
use adadiff_weights::native::{load, metadata};
use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::terminal::note;

/// The key of the kind of network in the header of a weights file.
pub const NETWORK_KEY: &str = "network";

/// The key of its configuration, in JSON.
pub const CONFIG_KEY: &str = "config";

/// A file of this project's own, with the configuration in its header.
struct OwnFile {
    bytes: Vec<u8>,
    config: Option<String>,
}

impl OwnFile {
    /// Reads `path`, where it is a file of this project's own; absent where it is another one.
    fn read(path: &Path, network: &str) -> Result<Option<Self>> {
        let explain = || format!("cannot read the file {}", path.display());
        if !may_be_safetensors(path).with_context(explain)? {
            return Ok(None);
        }
        let bytes = fs::read(path).with_context(explain)?;
        // Other files are read, and complained of, as published ones.
        let Ok(mut header) = metadata(&bytes, path) else {
            return Ok(None);
        };
        match header.remove(NETWORK_KEY) {
            None => Ok(None),
            Some(kind) if kind == network => Ok(Some(Self {
                bytes,
                config: header.remove(CONFIG_KEY),
            })),
            Some(kind) => bail!(
                "{} holds the network '{kind}', where '{network}' is needed",
                path.display()
            ),
        }
    }

    fn config<C: DeserializeOwned>(&self, path: &Path) -> Result<C> {
        let config = self.config.as_deref().unwrap_or_default();
        serde_json::from_str(config)
            .with_context(|| format!("the configuration inside {} is not usable", path.display()))
    }
}

/// Whether a file starts like safetensors do; a published one of another format may be large.
fn may_be_safetensors(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    open_file(path)?.take(9).read_to_end(&mut head)?;
    Ok(head.get(8) == Some(&b'{'))
}

/// Which part of its file a network was found in, in a line for the user; none for the whole file.
pub fn part_note(network: &WeightFile) -> Option<String> {
    if network.part().is_empty() {
        return None;
    }
    let mut note = format!("read: the tensors under '{}'", network.part());
    if !network.passed_over().is_empty() {
        let others = network.passed_over().join("', '");
        note += &format!(
            ", the averaged weights; not read: the same network under '{others}' (--state-dict of \
             `import` chooses another)"
        );
    }
    Some(note)
}

/// The part of a published file that holds the network which has the tensor `landmark`; which part
/// that is, is told on the standard error.
///
/// # Errors
/// Where the file cannot be read, or holds several such networks of which nothing tells which is
/// meant.
pub fn open_part(path: &Path, landmark: &str) -> Result<WeightFile> {
    let file = WeightFile::open(path)?;
    let network = file.network(landmark)?.into_owned();
    if let Some(note) = part_note(&network) {
        note!("{}: {note}", path.display());
    }
    Ok(network)
}

/// FID's Inception network.
///
/// # Errors
/// Where the file holds anything else.
pub fn open_inception<B: Kernels>(path: &Path, device: &B::Device) -> Result<Inception<B>> {
    match OwnFile::read(path, "inception")? {
        Some(file) => Ok(load(Inception::init(device), file.bytes, path)?),
        None => Ok(Inception::import(
            &open_part(path, INCEPTION_LANDMARK)?,
            device,
        )?),
    }
}

/// A KL autoencoder, whose latents are multiplied by `scale_factor`.
///
/// # Errors
/// Where the file holds anything else.
pub fn open_autoencoder<B: Kernels>(
    path: &Path,
    scale_factor: f64,
    device: &B::Device,
) -> Result<Autoencoder<B>> {
    match OwnFile::read(path, "autoencoder")? {
        Some(file) => {
            let config = AutoencoderConfig {
                scale_factor,
                ..file.config(path)?
            };
            Ok(load(config.init(device)?, file.bytes, path)?)
        }
        None => {
            let file = open_part(path, AutoencoderConfig::LANDMARK)?;
            let config = AutoencoderConfig {
                scale_factor,
                ..AutoencoderConfig::infer(&file, AutoencoderHints::default())?
            };
            Ok(config.import(&file, device)?)
        }
    }
}

/// CLIP's text model and its configuration.
///
/// # Errors
/// Where the file holds anything else.
pub fn open_text_model<B: Kernels>(
    path: &Path,
    device: &B::Device,
) -> Result<(ClipTextConfig, ClipText<B>)> {
    match OwnFile::read(path, "clip_text")? {
        Some(file) => {
            let config: ClipTextConfig = file.config(path)?;
            let model = load(config.init(device)?, file.bytes, path)?;
            Ok((config, model))
        }
        None => {
            let file = open_part(path, ClipTextConfig::LANDMARK)?;
            let config = ClipTextConfig::infer(&file, ClipTextHints::default())?;
            let model = config.import(&file, device)?;
            Ok((config, model))
        }
    }
}

/// CLIP's image model.
///
/// # Errors
/// Where the file holds anything else.
pub fn open_clip_vision<B: Kernels>(path: &Path, device: &B::Device) -> Result<ClipVision<B>> {
    match OwnFile::read(path, "clip_vision")? {
        Some(file) => {
            let config: ClipVisionConfig = file.config(path)?;
            Ok(load(config.init(device)?, file.bytes, path)?)
        }
        None => {
            let file = open_part(path, ClipVisionConfig::LANDMARK)?;
            let config = ClipVisionConfig::infer(&file, ClipVisionHints::default())?;
            Ok(config.import(&file, device)?)
        }
    }
}
