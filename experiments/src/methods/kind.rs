//! Methods as rows of results name them.

use serde::{Deserialize, Serialize};

/// How blocks are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MethodKind {
    /// Every block for every sample and step.
    Full,
    /// The same number of blocks for every sample and step.
    Static,
    /// Early exit per sample and step by estimated uncertainty.
    Adadiff,
    /// Early exit of the whole batch by its mean uncertainty, as the published code has it.
    Published,
    /// Early exit where hidden states hardly change any more: CALM.
    Saturation,
    /// Early exit by a learned estimate that does not know the time: BERxiT.
    #[serde(rename = "learned_exit")]
    LearnedExit,
    /// A shallow network first, the full one afterwards.
    #[serde(rename = "duo_diff")]
    DuoDiff,
    /// A depth that falls towards noise, by hand: ASE.
    #[serde(rename = "depth_drop")]
    DepthDrop,
    /// The full network in fewer steps.
    #[serde(rename = "fewer_steps")]
    FewerSteps,
    /// Inner blocks' results that are used again in later steps.
    #[serde(rename = "feature_cache")]
    FeatureCache,
    /// Blocks on fewer tokens.
    #[serde(rename = "token_merging")]
    TokenMerging,
}
