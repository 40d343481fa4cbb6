//! PublishedCheckpoint U-ViT and AdaDiff weights.

use adadiff_model::kernels::Kernels;
use adadiff_uem::AdaDiff;
use adadiff_weights::WeightFile;
use adadiff_weights::native::{WeightPrecision, save};
use anyhow::Result;

use super::Import;
use crate::checkpoint::published::{self, PublishedCheckpoint};
use crate::checkpoint::{BACKBONE_PHASE, JOINT_PHASE, PHASE_KEY, PRESET_KEY};

/// Loads a network that predicts noise, saves it as a checkpoint, and gives back what it is.
///
/// # Errors
/// Where the file does not hold such a network, or another than the preset describes.
pub(super) fn import<B: Kernels>(
    request: &Import,
    file: &WeightFile,
    device: &B::Device,
) -> Result<Vec<String>> {
    let published = PublishedCheckpoint {
        file,
        preset: request.preset.as_ref(),
        known: &request.known,
        heads: request.heads,
        text_tokens: request.text_tokens,
    };
    let found = published.recognise()?;
    let model: AdaDiff<B> = published::load(file, &found.preset, device)?;
    let phase = if found.has_estimators {
        JOINT_PHASE
    } else {
        BACKBONE_PHASE
    };
    let metadata = [
        (PHASE_KEY, phase.to_owned()),
        (PRESET_KEY, found.preset.to_toml()?),
    ];
    save(&model, WeightPrecision::Single, &metadata, &request.out)?;
    Ok(found.notes)
}
