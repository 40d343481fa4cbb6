//! Published U-ViT and AdaDiff weights.

use adadiff_model::kernels::Kernels;
use adadiff_model::{ImportHints, UVitConfig};
use adadiff_train::weights::{Precision, save};
use adadiff_uem::{AdaDiff, AdaDiffConfig, EstimatorForm};
use adadiff_weights::WeightFile;
use anyhow::{Result, bail, ensure};

use super::Import;
use crate::checkpoint::{BACKBONE_PHASE, PHASE_KEY, PRESET_KEY};
use crate::preset::Preset;

/// The training phase of weights that have estimators.
const JOINT_PHASE: &str = "joint";

/// Width of an attention head in all published networks but one.
const HEAD_WIDTH: usize = 64;

/// Width and heads of the published network whose heads are wider, U-ViT-H.
const HUGE: (usize, usize) = (1152, 16);

/// Loads a network that predicts noise, saves it as a checkpoint, and prints what it is.
///
/// # Errors
/// Where the file does not hold such a network, or another than the preset describes.
pub(super) fn import<B: Kernels>(
    request: &Import,
    file: &WeightFile,
    device: &B::Device,
) -> Result<()> {
    let hints = ImportHints {
        heads: request.heads(file)?,
        text_tokens: request.text_tokens,
    };
    let has_estimators = file
        .tensors()
        .keys()
        .any(|name| name.starts_with("lte_classifer."));
    let found = match has_estimators {
        true => AdaDiffConfig::infer(file, hints)?,
        false => AdaDiffConfig {
            estimator: request
                .preset
                .as_ref()
                .map_or(EstimatorForm::default(), |preset| preset.model.estimator),
            ..AdaDiffConfig::new(UVitConfig::infer(file, hints)?)
        },
    };
    println!("network: {}", describe(&found.backbone));
    let preset = request.preset_of(found)?;
    let (model, phase): (AdaDiff<B>, _) = match has_estimators {
        true => (preset.model.import(file, device)?, JOINT_PHASE),
        false => {
            let model: AdaDiff<B> = preset.model.init(preset.joint_training.seed, device)?;
            let backbone = preset.model.backbone.import(file, device)?;
            (model.with_backbone(backbone), BACKBONE_PHASE)
        }
    };
    match has_estimators {
        true => println!("estimators: one behind each block, of the published form"),
        false => println!(
            "estimators: none in the file; those of the checkpoint are untrained, so that it \
             samples with --full or --depth alone"
        ),
    }
    let metadata = [
        (PHASE_KEY, phase.to_owned()),
        (PRESET_KEY, preset.to_toml()?),
    ];
    Ok(save(&model, Precision::Single, &metadata, &request.out)?)
}

impl Import {
    /// The heads that were given, in the preset or as published.
    fn heads(&self, file: &WeightFile) -> Result<usize> {
        let given = self.heads.or(self
            .preset
            .as_ref()
            .map(|preset| preset.model.backbone.heads));
        if let Some(heads) = given {
            return Ok(heads);
        }
        // A file without this tensor is refused where its network is inferred.
        let width = file
            .shape("pos_embed")
            .and_then(|shape| shape.last().copied())
            .unwrap_or(HEAD_WIDTH);
        let heads = match (width, width % HEAD_WIDTH) {
            (width, _) if width == HUGE.0 => HUGE.1,
            (width, 0) => width / HEAD_WIDTH,
            _ => bail!(
                "{} holds a network of width {width}, which was not published: name its attention \
                 heads with --heads",
                self.file.display()
            ),
        };
        println!("attention heads: {heads}, as published for width {width} (--heads changes it)");
        Ok(heads)
    }

    /// The preset with the network that was found.
    fn preset_of(&self, found: AdaDiffConfig) -> Result<Preset> {
        let Some(preset) = &self.preset else {
            return self.known_preset(found);
        };
        let expected = preset.model.clone();
        ensure!(
            expected.estimator == found.estimator && is_same(&expected.backbone, &found.backbone),
            "{} holds another network than the preset describes: {} with estimators of the form \
             {:?}, instead of {} with {:?}",
            self.file.display(),
            describe(&found.backbone),
            found.estimator,
            describe(&expected.backbone),
            expected.estimator,
        );
        Ok(preset.clone())
    }

    /// The preset whose network was found, or the first one with the network that was found.
    fn known_preset(&self, found: AdaDiffConfig) -> Result<Preset> {
        let mut known = self.known.iter();
        let same = known.find(|preset| is_same(&preset.model.backbone, &found.backbone));
        let Some(mut preset) = same.or(self.known.first()).cloned() else {
            bail!("there is no preset to go by: name one with --preset");
        };
        if same.is_some() {
            println!("preset: {}", preset.name);
        } else if let Some(name) = self.file.file_stem() {
            preset.name = name.to_string_lossy().into_owned();
        }
        preset.model = found;
        Ok(preset)
    }
}

/// Whether two networks are the same; several MLP ratios have the same width.
fn is_same(expected: &UVitConfig, found: &UVitConfig) -> bool {
    let ratio_of_found = UVitConfig {
        mlp_ratio: found.mlp_ratio,
        ..expected.clone()
    };
    expected.mlp_width() == found.mlp_width() && ratio_of_found == *found
}

/// A network in one line.
fn describe(config: &UVitConfig) -> String {
    let UVitConfig {
        image_size,
        channels,
        patch_size,
        width,
        heads,
        ..
    } = config;
    let mut parts = vec![
        format!("U-ViT for {channels}x{image_size}x{image_size}"),
        format!("patch {patch_size}"),
        format!("width {width}"),
        format!("{} blocks (depth {})", config.blocks(), config.depth),
        format!("{heads} heads"),
        format!("MLP width {}", config.mlp_width()),
    ];
    parts.extend(config.classes.map(|classes| format!("{classes} classes")));
    parts.extend(
        config
            .text
            .map(|text| format!("{} text tokens of width {}", text.tokens, text.width)),
    );
    for (has, what) in [
        (config.qkv_bias, "query, key and value bias"),
        (config.time_mlp, "time MLP"),
        (!config.long_skips, "no long skips"),
        (!config.final_convolution, "no final convolution"),
    ] {
        parts.extend(has.then(|| what.to_owned()));
    }
    parts.join(", ")
}
