//! Published U-ViT and AdaDiff weights: which network they are of, and its preset.

use adadiff_model::kernels::Kernels;
use adadiff_model::{ImportHints, UVitConfig};
use adadiff_pipeline::ExitRule;
use adadiff_uem::{AdaDiff, AdaDiffConfig, EstimatorForm};
use adadiff_weights::WeightFile;
use anyhow::{Result, bail, ensure};

use crate::presets::Preset;

/// Width of an attention head in all published networks but one.
const HEAD_WIDTH: usize = 64;

/// Width and heads of the published network whose heads are wider, U-ViT-H.
const HUGE: (usize, usize) = (1152, 16);

/// A file of published weights, and what is known of them beside it.
#[derive(Debug)]
pub struct PublishedCheckpoint<'a> {
    /// The network's part of the file.
    pub file: &'a WeightFile,
    /// The preset that they must suit.
    pub preset: Option<&'a Preset>,
    /// Where none is given, the one of these with the file's network, or else the first with the
    /// network changed to it.
    pub known: &'a [Preset],
    /// Attention heads, which no file tells; as published for the width where absent.
    pub heads: Option<usize>,
    /// Tokens of a text context; 77 where absent.
    pub text_tokens: Option<usize>,
}

/// What a file of published weights holds.
#[derive(Debug)]
pub struct Recognised {
    /// The preset of the network that was found.
    pub preset: Preset,
    /// Whether it has estimators, so that samples can leave by them.
    pub has_estimators: bool,
    /// What was found, in lines for the user.
    pub notes: Vec<String>,
}

/// The part of a file that holds a network which predicts noise; absent where it holds none.
///
/// # Errors
/// Where it holds several of which nothing tells which is meant.
pub fn noise_predictor(file: &WeightFile) -> Result<Option<WeightFile>> {
    let found = file.network(UVitConfig::LANDMARK)?;
    let is_one = found.shape(UVitConfig::LANDMARK).is_some();
    Ok(is_one.then(|| found.into_owned()))
}

fn has_estimators(file: &WeightFile) -> bool {
    let mut names = file.tensors().keys();
    names.any(|name| name.starts_with("lte_classifer."))
}

/// Loads the network of a preset: a published AdaDiff whole, or a published backbone with untrained
/// estimators.
///
/// # Errors
/// Where the file holds another network.
pub fn load<B: Kernels>(
    file: &WeightFile,
    preset: &Preset,
    device: &B::Device,
) -> Result<AdaDiff<B>> {
    let file = &*file.network(UVitConfig::LANDMARK)?;
    if has_estimators(file) {
        return Ok(preset.model.import(file, device)?);
    }
    let model: AdaDiff<B> = preset.model.init(preset.joint_training.seed, device)?;
    let backbone = preset.model.backbone.import(file, device)?;
    Ok(model.with_backbone(backbone))
}

impl PublishedCheckpoint<'_> {
    /// Tells the network from the tensors, and finds its preset.
    ///
    /// # Errors
    /// Where the file does not hold such a network, or another than the preset describes.
    pub fn recognise(&self) -> Result<Recognised> {
        let mut notes = Vec::new();
        let hints = ImportHints {
            heads: self.heads(&mut notes)?,
            text_tokens: self.text_tokens,
        };
        let has_estimators = has_estimators(self.file);
        let found = if has_estimators {
            AdaDiffConfig::infer(self.file, hints)?
        } else {
            AdaDiffConfig {
                estimator: self
                    .preset
                    .map_or(EstimatorForm::default(), |preset| preset.model.estimator),
                ..AdaDiffConfig::new(UVitConfig::infer(self.file, hints)?)
            }
        };
        notes.push(format!("network: {}", describe(&found.backbone)));
        let preset = self.preset_of(found, &mut notes)?;
        notes.push(if has_estimators {
            "estimators: one behind each block, of the published form".to_owned()
        } else {
            "estimators: none in the file; those of the checkpoint are untrained, so that \
                      it samples with --full or --depth alone"
                .to_owned()
        });
        Ok(Recognised {
            preset,
            has_estimators,
            notes,
        })
    }

    /// The heads that were given, in the preset or as published.
    fn heads(&self, notes: &mut Vec<String>) -> Result<usize> {
        let given = self
            .heads
            .or(self.preset.map(|preset| preset.model.backbone.heads));
        if let Some(heads) = given {
            return Ok(heads);
        }
        // A file without this tensor is refused where its network is inferred.
        let width = self
            .file
            .shape("pos_embed")
            .and_then(|shape| shape.last().copied())
            .unwrap_or(HEAD_WIDTH);
        let heads = match (width, width % HEAD_WIDTH) {
            (width, _) if width == HUGE.0 => HUGE.1,
            (width, 0) => width / HEAD_WIDTH,
            _ => bail!(
                "{} holds a network of width {width}, which was not published: name its preset \
                 with --preset, or its attention heads to `import` with --heads",
                self.file.path().display()
            ),
        };
        notes.push(format!(
            "attention heads: {heads}, as published for width {width} (--heads of `import` changes \
             it)"
        ));
        Ok(heads)
    }

    /// The preset with the network that was found.
    fn preset_of(&self, found: AdaDiffConfig, notes: &mut Vec<String>) -> Result<Preset> {
        let Some(preset) = self.preset else {
            return self.known_preset(found, notes);
        };
        let expected = preset.model.clone();
        ensure!(
            expected.estimator == found.estimator && is_same(&expected.backbone, &found.backbone),
            "{} holds another network than the preset describes: {} with estimators of the form \
             {:?}, instead of {} with {:?}",
            self.file.path().display(),
            describe(&found.backbone),
            found.estimator,
            describe(&expected.backbone),
            expected.estimator,
        );
        Ok(preset.clone())
    }

    /// The preset whose network was found, or the first one with the network that was found.
    fn known_preset(&self, found: AdaDiffConfig, notes: &mut Vec<String>) -> Result<Preset> {
        let mut known = self.known.iter();
        let same = known.find(|preset| is_same(&preset.model.backbone, &found.backbone));
        let Some(mut preset) = same.or(self.known.first()).cloned() else {
            bail!("there is no preset to go by: name one with --preset");
        };
        if same.is_some() {
            notes.push(format!("preset: {}", preset.name));
        } else if let Some(name) = self.file.path().file_stem() {
            preset.name = name.to_string_lossy().into_owned();
            // Of its images nothing is known, which others would ask for.
            preset.sampling.exit_rule = ExitRule::Allocated;
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
