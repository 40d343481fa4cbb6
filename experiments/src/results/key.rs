//! What a measured number depends on: equal keys are never measured twice.

use adadiff_pipeline::{Calibration, ExitRule, ReferenceId};
use adadiff_sampler::SolverConfig;
use adadiff_storage::sha256_hex;
use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::methods::Method;
use crate::presets::Preset;

/// A network by what it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkKey {
    /// What distinguishes it from AdaDiff as the preset has it; absent for the checkpoint itself.
    pub variant: Option<String>,
    /// The SHA-256 of the preset as TOML, without what a key names itself: solver, steps, batch, seed,
    /// samples, exit rule and share of blocks to skip.
    pub preset_sha256: String,
    /// The SHA-256 of the weights.
    pub checkpoint_sha256: String,
    /// The SHA-256 of the weights' calibrations beside them: of those for the same budget for AdaDiff with forecasts,
    /// and of all without forecasts for any other method.
    pub calibration_sha256: String,
}

/// How samples are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawKey {
    /// The experiment's name.
    pub experiment: String,
    pub network: NetworkKey,
    pub method: Method,
    /// The SHA-256 of the weights of the second network that the method needs.
    #[serde(rename = "companion_sha256")]
    pub baseline_sha256: Option<String>,
    /// What the exit rule `distance` is calibrated by, where the user named it.
    #[serde(default, rename = "yardstick", skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<ReferenceId>,
    pub solver: SolverConfig,
    pub steps: usize,
    pub batch: usize,
    pub samples: usize,
    pub seed: u64,
    pub device: String,
    /// The type of numbers that the network computes in.
    pub dtype: String,
    /// The version of the crate that measured.
    pub crate_version: String,
}

/// What the quality of samples depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityKey {
    pub draw: DrawKey,
    /// The features that they are judged by.
    pub features: String,
    /// The SHA-256 of the statistics that they are compared with.
    pub reference_sha256: String,
}

/// What the time of samples depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimingKey {
    /// The samples of one turn.
    pub draw: DrawKey,
    /// Turns of every method.
    pub rounds: usize,
}

/// The keys of a network, which differ by the calibrations that methods use.
#[derive(Clone, Debug)]
pub struct NetworkKeys {
    without_forecasts: NetworkKey,
    forecasts: Vec<Calibration>,
}

impl NetworkKeys {
    /// The keys of a checkpoint.
    ///
    /// # Errors
    /// Never in practice: every key can be written.
    pub fn new(checkpoint: &Checkpoint, variant: Option<&str>) -> Result<Self> {
        let weights = Some(checkpoint.sha256.as_str());
        let calibrations = checkpoint.calibrations.of_weights(weights).cloned();
        let (forecasts, others): (Vec<_>, Vec<_>) =
            calibrations.partition(|calibration| calibration.exits.rule() == ExitRule::Forecast);
        Ok(Self {
            without_forecasts: NetworkKey {
                variant: variant.map(str::to_owned),
                preset_sha256: preset_sha256(&checkpoint.preset)?,
                checkpoint_sha256: checkpoint.sha256.clone(),
                calibration_sha256: sha256_hex(&serde_json::to_vec(&others)?),
            },
            forecasts,
        })
    }

    /// The key for a method.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of(&self, method: Method) -> Result<NetworkKey> {
        let mut key = self.without_forecasts.clone();
        if let Method::AdaDiff {
            rule: ExitRule::Forecast,
            reduction,
        } = method
        {
            let used = self.forecasts.iter();
            let used: Vec<_> = used.filter(|known| known.reduction == reduction).collect();
            key.calibration_sha256 = sha256_hex(&serde_json::to_vec(&used)?);
        }
        Ok(key)
    }
}

/// The digest of a preset without what every key names itself.
fn preset_sha256(preset: &Preset) -> Result<String> {
    let mut preset = preset.clone();
    let sampling = &mut preset.sampling;
    sampling.solver = Preset::fashion_mnist()?.sampling.solver;
    sampling.steps = 1;
    sampling.batch = 1;
    sampling.seed = 0;
    sampling.samples = None;
    // As the first rows have them.
    sampling.exit_rule = ExitRule::Distance;
    sampling.reduction = 0.45;
    Ok(sha256_hex(preset.to_toml()?.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_of_the_bundled_checkpoint_is_found_again() {
        // As the lines under docs/study have it.
        let keys = NetworkKeys::new(&Checkpoint::bundled().unwrap(), None).unwrap();
        let key = keys.of(Method::Full).unwrap();
        let known = "71176af1735bd725d98930276603a556f84e86f58f86e64de99d83fd9925bf5c";
        assert_eq!(key.calibration_sha256, known);
    }

    #[test]
    fn what_a_key_names_itself_does_not_change_the_digest_of_the_preset() {
        let preset = Preset::fashion_mnist().unwrap();
        let digest = preset_sha256(&preset).unwrap();
        let mut other = preset.clone();
        other.sampling.seed = 7;
        other.sampling.steps = 3;
        other.sampling.reduction = 0.6;
        other.sampling.exit_rule = ExitRule::Allocated;
        assert_eq!(preset_sha256(&other).unwrap(), digest);
        other.sampling.guidance = 1.5;
        assert_ne!(preset_sha256(&other).unwrap(), digest);
        let mut other = preset;
        other.model.backbone.heads = 2;
        assert_ne!(preset_sha256(&other).unwrap(), digest);
    }
}
