//! The networks that stand before and behind a diffusion model.
//!
//! Each is saved with its configuration in the file's header, so that it needs no second file.

use adadiff_metrics::Inception;
use adadiff_model::autoencoder::{AutoencoderConfig, AutoencoderHints};
use adadiff_model::clip::{ClipTextConfig, ClipTextHints, ClipVisionConfig, ClipVisionHints};
use adadiff_model::kernels::Kernels;
use adadiff_weights::WeightFile;
use adadiff_weights::native::{WeightPrecision, save};
use anyhow::Result;

use super::Import;
use crate::networks::{CONFIG_KEY, NETWORK_KEY};

/// Stable Diffusion's autoencoder.
pub(super) fn autoencoder<B: Kernels>(
    request: &Import,
    file: &WeightFile,
    device: &B::Device,
) -> Result<Vec<String>> {
    let config = AutoencoderConfig::infer(file, AutoencoderHints::default())?;
    let notes = vec![format!(
        "network: KL autoencoder of {} levels, {} channels, {} times smaller latents of {} \
         channels, scale factor {} (not in the file)",
        config.channel_multipliers.len(),
        config.channels,
        config.reduction(),
        config.latent_channels,
        config.scale_factor,
    )];
    let model = config.import::<B>(file, device)?;
    let metadata = [
        (NETWORK_KEY, "autoencoder".to_owned()),
        (CONFIG_KEY, serde_json::to_string(&config)?),
    ];
    save(&model, WeightPrecision::Single, &metadata, &request.out)?;
    Ok(notes)
}

/// CLIP's text model.
pub(super) fn text_model<B: Kernels>(
    request: &Import,
    file: &WeightFile,
    device: &B::Device,
) -> Result<Vec<String>> {
    let hints = ClipTextHints {
        heads: request.heads,
        ..ClipTextHints::default()
    };
    let config = ClipTextConfig::infer(file, hints)?;
    let mut notes = vec![format!(
        "network: CLIP text model of {} layers, width {}, {} heads (not in the file), {} tokens of \
         {} ids",
        config.layers, config.width, config.heads, config.tokens, config.vocabulary,
    )];
    let placed = file.place(config.placements()?)?;
    let left_out = placed.left_out().len();
    if left_out > 0 {
        notes.push(format!("left out: {left_out} tensors of the image model"));
    }
    let model = placed.load_into::<B, _>(config.init(device)?)?;
    let metadata = [
        (NETWORK_KEY, "clip_text".to_owned()),
        (CONFIG_KEY, serde_json::to_string(&config)?),
    ];
    save(&model, WeightPrecision::Single, &metadata, &request.out)?;
    Ok(notes)
}

/// CLIP's image model, of a file without its text model.
pub(super) fn image_model<B: Kernels>(
    request: &Import,
    file: &WeightFile,
    device: &B::Device,
) -> Result<Vec<String>> {
    let hints = ClipVisionHints {
        heads: request.heads,
        ..ClipVisionHints::default()
    };
    let config = ClipVisionConfig::infer(file, hints)?;
    let notes = vec![format!(
        "network: CLIP image model of {} layers, width {}, {} heads (not in the file), for {} \
         pixels in patches of {}",
        config.layers, config.width, config.heads, config.image_size, config.patch_size,
    )];
    let model = config.import::<B>(file, device)?;
    let metadata = [
        (NETWORK_KEY, "clip_vision".to_owned()),
        (CONFIG_KEY, serde_json::to_string(&config)?),
    ];
    save(&model, WeightPrecision::Single, &metadata, &request.out)?;
    Ok(notes)
}

/// FID's Inception network, which has no configuration.
pub(super) fn inception<B: Kernels>(
    request: &Import,
    file: &WeightFile,
    device: &B::Device,
) -> Result<Vec<String>> {
    let notes = vec!["network: FID's Inception network".to_owned()];
    let model = Inception::<B>::import(file, device)?;
    let metadata = [(NETWORK_KEY, "inception".to_owned())];
    save(&model, WeightPrecision::Single, &metadata, &request.out)?;
    Ok(notes)
}
