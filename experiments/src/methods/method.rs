//! A method of a comparison, as data.

use std::fmt;
use std::num::NonZeroUsize;

use adadiff_model::DecisionScope;
use adadiff_pipeline::ExitRule;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::{MethodEntry, MethodKind};
use crate::checkpoint::BaselineNetwork;

/// A way to draw samples with less work than the full network takes, and its one knob.
///
/// AdaDiff's variants (DeeDiff's own heads, frozen backbone, scalar uncertainty, and the ablations of
/// the losses and of the estimator) are networks of their own, each trained from its own preset, and
/// sampled by [`Method::AdaDiff`]: [`variant`](super::variant) names them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Method {
    /// Every block for every sample and step.
    Full,
    /// The same number of blocks for every sample and step.
    StaticDepth {
        /// Blocks to run.
        depth: NonZeroUsize,
    },
    /// Early exit per sample and step by estimated uncertainty.
    #[serde(rename = "adadiff")]
    AdaDiff {
        /// What the uncertainty is compared with.
        rule: ExitRule,
        /// The share of blocks to skip.
        reduction: f64,
    },
    /// The published code's exit: the whole batch leaves together, by the mean uncertainty of all its
    /// samples.
    Published {
        /// The share of blocks to skip.
        reduction: f64,
    },
    /// Early exit where hidden states hardly change any more (CALM, Schuster et al. 2022).
    Saturation {
        /// The share of blocks to skip.
        reduction: f64,
    },
    /// Early exit by a learned estimate that does not know the time (BERxiT, Xin et al. 2021).
    LearnedExit {
        /// The share of blocks to skip.
        reduction: f64,
    },
    /// A shallow network in the first steps, the full one afterwards (DuoDiff, Fernández et al. 2024).
    DuoDiff {
        /// The share of evaluations, from noise on, that the shallow network makes.
        switch: f64,
    },
    /// A depth that falls towards noise, by hand (ASE, Moon et al. 2024).
    DepthDrop {
        /// The share of blocks to skip.
        reduction: f64,
    },
    /// The full network in fewer solver steps.
    FewerSteps {
        /// Network evaluations for each sample.
        steps: NonZeroUsize,
    },
    /// The inner blocks' change of the hidden state is used again in the next steps (DeepCache, Ma et
    /// al. 2024).
    FeatureCache {
        /// Evaluations from one run of all blocks to the next; 1 caches nothing.
        interval: NonZeroUsize,
    },
    /// Blocks run on fewer tokens, the most alike of them merged (ToMe, Bolya & Hoffman 2023).
    TokenMerging {
        /// The share of image tokens that is merged into others; 0 merges none.
        ratio: f64,
    },
    /// The network's last correction of its input is used again while the output is expected to have
    /// changed little (EasyCache, Zhou et al. 2025).
    EasyCache {
        /// The relative change up to which it is; 0 caches nothing.
        tolerance: f64,
        /// Who decides together; published code decides for a batch.
        scope: DecisionScope,
    },
    /// Hidden states are forecast between runs of all blocks (TaylorSeer Lite, Liu et al. 2025).
    TaylorSeer {
        /// Evaluations from one run of all blocks to the next; 1 forecasts nothing.
        interval: NonZeroUsize,
        /// The order of the Taylor series.
        order: usize,
    },
    /// Hidden states are forecast as long as the last block bears the forecast out (SpeCa, Liu et al. 2025).
    #[serde(rename = "speca")]
    SpeCa {
        /// The relative error up to which it does, in the first step.
        tolerance: f64,
        /// Who decides together; published code decides for a batch.
        scope: DecisionScope,
    },
    /// Where the first block moves a sample about as it did when all blocks ran, the inner ones are not run, and
    /// what they added then is added again (first-block cache of ParaAttention and diffusers).
    FirstBlockCache {
        /// The relative difference that is tolerated.
        tolerance: f64,
    },
    /// The same with more blocks at both ends, after a warm-up (DBCache of cache-dit).
    DbCache {
        /// The relative difference that is tolerated.
        tolerance: f64,
    },
    /// Early exit as by [`ExitRule::Allocated`], where a sample knows how far each block's prediction is from the last
    /// one's. All blocks run to tell; those that it leaves after are counted.
    Oracle {
        /// The share of blocks to skip.
        reduction: f64,
    },
}

/// The share of blocks that AdaDiff skips in the paper's main comparison, 40 to 48 % by data set.
pub const PAPER_REDUCTION: f64 = 0.45;

/// The order of SpeCa's Taylor series.
pub const SPECA_ORDER: usize = 4;

/// The largest order of a Taylor series.
const MOST_ORDER: usize = 10;

impl Method {
    /// Checks that the knob makes sense.
    ///
    /// # Errors
    /// Says what the knob may be.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Self::AdaDiff { reduction, .. }
            | Self::Published { reduction }
            | Self::Saturation { reduction }
            | Self::LearnedExit { reduction }
            | Self::DepthDrop { reduction }
            | Self::Oracle { reduction } => ensure!(
                reduction > 0.0 && reduction < 1.0,
                "a share of blocks to skip lies between 0 and 1, found {reduction}"
            ),
            Self::DuoDiff { switch } => ensure!(
                (0.0..=1.0).contains(&switch),
                "the share of evaluations of the shallow network lies in 0..=1, found {switch}"
            ),
            Self::TokenMerging { ratio } => ensure!(
                (0.0..=0.75).contains(&ratio),
                "the share of merged tokens lies in 0..=0.75, as one token of four is kept in any \
                 case; found {ratio}"
            ),
            Self::EasyCache { tolerance, .. } | Self::SpeCa { tolerance, .. } => ensure!(
                tolerance.is_finite() && tolerance >= 0.0,
                "a tolerance is a number from 0 on, found {tolerance}"
            ),
            Self::TaylorSeer { order, .. } => ensure!(
                order <= MOST_ORDER,
                "the order of a Taylor series lies in 0..={MOST_ORDER}, found {order}"
            ),
            Self::FirstBlockCache { tolerance } | Self::DbCache { tolerance } => ensure!(
                tolerance > 0.0 && tolerance.is_finite(),
                "the difference that is tolerated is positive, found {tolerance}"
            ),
            Self::Full
            | Self::StaticDepth { .. }
            | Self::FewerSteps { .. }
            | Self::FeatureCache { .. } => {}
        }
        Ok(())
    }

    /// The method's kind in a row of results.
    pub fn kind(&self) -> MethodKind {
        match self {
            Self::Full => MethodKind::Full,
            Self::StaticDepth { .. } => MethodKind::StaticDepth,
            Self::AdaDiff { .. } => MethodKind::AdaDiff,
            Self::Published { .. } => MethodKind::Published,
            Self::Saturation { .. } => MethodKind::Saturation,
            Self::LearnedExit { .. } => MethodKind::LearnedExit,
            Self::DuoDiff { .. } => MethodKind::DuoDiff,
            Self::DepthDrop { .. } => MethodKind::DepthDrop,
            Self::FewerSteps { .. } => MethodKind::FewerSteps,
            Self::FeatureCache { .. } => MethodKind::FeatureCache,
            Self::TokenMerging { .. } => MethodKind::TokenMerging,
            Self::EasyCache { scope, .. } => match scope {
                DecisionScope::Sample => MethodKind::EasyCache,
                DecisionScope::Batch => MethodKind::EasyCacheBatch,
            },
            Self::TaylorSeer { .. } => MethodKind::TaylorSeer,
            Self::SpeCa { scope, .. } => match scope {
                DecisionScope::Sample => MethodKind::SpeCa,
                DecisionScope::Batch => MethodKind::SpeCaBatch,
            },
            Self::FirstBlockCache { .. } => MethodKind::FirstBlockCache,
            Self::DbCache { .. } => MethodKind::DbCache,
            Self::Oracle { .. } => MethodKind::Oracle,
        }
    }

    /// The method in the list of all, where AdaDiff's exit rules stand apart.
    pub fn entry(&self) -> &'static MethodEntry {
        let kind = match *self {
            Self::AdaDiff { rule, .. } => MethodKind::of_rule(rule),
            _ => self.kind(),
        };
        kind.entry()
    }

    /// The second network that the method needs.
    pub fn baseline(&self) -> Option<BaselineNetwork> {
        match self {
            Self::DuoDiff { .. } => Some(BaselineNetwork::Shallow),
            Self::LearnedExit { .. } => Some(BaselineNetwork::LearnedExit),
            _ => None,
        }
    }

    /// The share of blocks that the method was asked to skip, where that is its knob.
    pub fn reduction(&self) -> Option<f64> {
        match *self {
            Self::AdaDiff { reduction, .. }
            | Self::Published { reduction }
            | Self::Saturation { reduction }
            | Self::LearnedExit { reduction }
            | Self::DepthDrop { reduction }
            | Self::Oracle { reduction } => Some(reduction),
            _ => None,
        }
    }
}

/// The label of a table's row.
impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target =
            |name: &str, reduction: f64| format!("{name}, target {:.0} %", 100.0 * reduction);
        let label = match *self {
            Self::Full => "full model".to_owned(),
            Self::StaticDepth { depth } => format!("static depth {depth}"),
            Self::AdaDiff { rule, reduction } => match rule {
                ExitRule::Forecast => target("exit and forecast", reduction),
                ExitRule::Threshold => target("AdaDiff", reduction),
                rule => target(&format!("AdaDiff ({})", rule.name()), reduction),
            },
            Self::Published { reduction } => target("AdaDiff (batch mean)", reduction),
            Self::Saturation { reduction } => target("CALM", reduction),
            Self::LearnedExit { reduction } => target("BERxiT", reduction),
            Self::DuoDiff { switch } => {
                format!("DuoDiff, {:.0} % of the steps shallow", 100.0 * switch)
            }
            Self::DepthDrop { reduction } => target("ASE", reduction),
            Self::FewerSteps { steps } => format!("{steps} steps"),
            Self::FeatureCache { interval } => {
                format!("feature cache, all blocks every {interval} steps")
            }
            Self::TokenMerging { ratio } => {
                format!("token merging, {:.0} % merged", 100.0 * ratio)
            }
            Self::EasyCache { tolerance, scope } => {
                format!("EasyCache{}, tolerance {tolerance}", of(scope))
            }
            Self::TaylorSeer { interval, order } => {
                format!("TaylorSeer, all blocks every {interval} steps, order {order}")
            }
            Self::SpeCa { tolerance, scope } => {
                format!("SpeCa{}, tolerance {tolerance}", of(scope))
            }
            Self::FirstBlockCache { tolerance } => {
                format!("first-block cache, tolerance {tolerance}")
            }
            Self::DbCache { tolerance } => format!("DBCache, tolerance {tolerance}"),
            Self::Oracle { reduction } => target("oracle", reduction),
        };
        formatter.write_str(&label)
    }
}

/// Who decides together, where that is not each sample for itself.
fn of(scope: DecisionScope) -> &'static str {
    match scope {
        DecisionScope::Sample => "",
        DecisionScope::Batch => " (batch)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_named_in_files_and_tables() {
        let two = NonZeroUsize::MIN.saturating_add(1);
        for (method, json, label) in [
            (Method::Full, r#"{"name":"full"}"#, "full model"),
            (
                Method::AdaDiff {
                    rule: ExitRule::Allocated,
                    reduction: 0.45,
                },
                r#"{"name":"adadiff","rule":"allocated","reduction":0.45}"#,
                "AdaDiff (allocated), target 45 %",
            ),
            (
                Method::FeatureCache { interval: two },
                r#"{"name":"feature_cache","interval":2}"#,
                "feature cache, all blocks every 2 steps",
            ),
            (
                Method::DuoDiff { switch: 0.5 },
                r#"{"name":"duo_diff","switch":0.5}"#,
                "DuoDiff, 50 % of the steps shallow",
            ),
            (
                Method::TaylorSeer {
                    interval: two,
                    order: 3,
                },
                r#"{"name":"taylor_seer","interval":2,"order":3}"#,
                "TaylorSeer, all blocks every 2 steps, order 3",
            ),
            (
                Method::SpeCa {
                    tolerance: 0.1,
                    scope: DecisionScope::Batch,
                },
                r#"{"name":"speca","tolerance":0.1,"scope":"batch"}"#,
                "SpeCa (batch), tolerance 0.1",
            ),
        ] {
            assert_eq!(serde_json::to_string(&method).unwrap(), json);
            assert_eq!(serde_json::from_str::<Method>(json).unwrap(), method);
            assert_eq!(method.to_string(), label);
        }
    }

    #[test]
    fn senseless_knobs_are_refused() {
        for method in [
            Method::Saturation { reduction: 0.0 },
            Method::Published { reduction: 1.0 },
            Method::DuoDiff { switch: 1.5 },
            Method::TokenMerging { ratio: 0.8 },
            Method::EasyCache {
                tolerance: -0.1,
                scope: DecisionScope::Sample,
            },
            Method::DepthDrop {
                reduction: f64::NAN,
            },
        ] {
            assert!(method.validate().is_err(), "{method:?}");
        }
        assert!(Method::TokenMerging { ratio: 0.0 }.validate().is_ok());
    }
}
