//! The comparison's methods without their settings: a new one is a variant of [`Method`] and of
//! [`MethodKind`], a row of [`METHODS`] and an arm of [`Method::prepare`].

use std::num::NonZeroUsize;

use clap::ValueEnum;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Method;
use DecisionScope::{Batch, Sample};
use adadiff_model::DecisionScope;
use adadiff_pipeline::ExitRule;

/// A method without its setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum MethodKind {
    /// Every block for every sample and step.
    Full,
    /// AdaDiff: early exit per sample and step by estimated uncertainty.
    AdaDiff,
    /// AdaDiff with one threshold for all times, the paper's own form.
    PaperRule,
    /// AdaDiff whose blocks are shared out by how far each image moves.
    Allocated,
    /// AdaDiff whose blocks are shared out by how far all images are from the data.
    Distance,
    /// The same number of blocks for every sample and step.
    StaticDepth,
    /// The published code's exit: the whole batch by its mean uncertainty.
    Published,
    /// CALM: early exit where hidden states hardly change any more.
    Saturation,
    /// BERxiT: early exit by a learned estimate that does not know the time.
    LearnedExit,
    /// A shallow network first, the full one afterwards.
    DuoDiff,
    /// ASE: a depth that falls towards noise, by hand.
    DepthDrop,
    /// The full network in fewer solver steps.
    FewerSteps,
    /// Inner blocks' results that are used again in later steps.
    FeatureCache,
    /// Blocks on fewer tokens.
    TokenMerging,
    /// Corrections of the input that are used again; every sample decides for itself.
    EasyCache,
    /// The same, decided once for a batch, as in published code.
    EasyCacheBatch,
    /// Hidden states that are forecast between runs of all blocks.
    TaylorSeer,
    /// Forecasts that the last block verifies; every sample decides for itself.
    #[serde(rename = "speca")]
    #[value(name = "speca")]
    SpeCa,
    /// The same, decided once for a batch, as in published code.
    #[serde(rename = "speca_batch")]
    #[value(name = "speca_batch")]
    SpeCaBatch,
    /// AdaDiff whose samples leave with forecasts of the blocks that they skip.
    Forecast,
    /// Blocks that are run again where the first one moves a sample otherwise than before.
    FirstBlockCache,
    /// The same with more blocks at both ends.
    DbCache,
    /// AdaDiff's blocks shared out by images, with true errors in the place of estimates; saves no time.
    Oracle,
}

/// A row of [`METHODS`].
#[derive(Debug)]
pub struct MethodEntry {
    pub kind: MethodKind,
    /// Its name in rows of results.
    row: &'static str,
    /// Its name in tables.
    pub label: &'static str,
    pub curve: &'static str,
    /// The curve's look, by its place in the legend.
    pub look: usize,
    pub knob: Knob,
}

/// What is set of a method, and the method with a setting.
#[derive(Clone, Copy, Debug)]
pub enum Knob {
    None,
    /// Blocks to run.
    Depth(fn(NonZeroUsize) -> Method),
    Steps(fn(NonZeroUsize) -> Method),
    /// Evaluations from one run of all blocks to the next.
    Interval(fn(NonZeroUsize) -> Method),
    /// A share of what the full network does, up to the second number.
    Share(fn(f64) -> Method, f64),
    /// An error that is tolerated; what it saves depends on the samples, so that these are tried.
    Tolerance(fn(f64) -> Method, &'static [f64]),
}

/// The largest share of blocks to skip that equal times are looked for at.
const MOST: f64 = 0.9;

/// All methods, in the order of tables and of [`MethodKind`]'s variants.
pub static METHODS: [MethodEntry; 23] = [
    entry(
        MethodKind::Full,
        "full",
        "full model",
        ("full model", 0),
        Knob::None,
    ),
    entry(
        MethodKind::AdaDiff,
        "adadiff",
        "AdaDiff",
        ("AdaDiff", 2),
        Knob::None,
    ),
    entry(
        MethodKind::PaperRule,
        "adadiff",
        "AdaDiff, one threshold (paper)",
        ("AdaDiff, one threshold", 3),
        Knob::Share(|reduction| by(ExitRule::Threshold, reduction), MOST),
    ),
    entry(
        MethodKind::Allocated,
        "adadiff",
        "AdaDiff, allocated by images",
        ("AdaDiff, by images", 14),
        Knob::Share(|reduction| by(ExitRule::Allocated, reduction), MOST),
    ),
    entry(
        MethodKind::Distance,
        "adadiff",
        "AdaDiff, allocated by distance",
        ("AdaDiff, by distance", 2),
        Knob::Share(|reduction| by(ExitRule::Distance, reduction), MOST),
    ),
    entry(
        MethodKind::StaticDepth,
        "static",
        "static depth",
        ("static depth", 1),
        Knob::Depth(|depth| Method::StaticDepth { depth }),
    ),
    entry(
        MethodKind::Published,
        "published",
        "AdaDiff, batch mean (published code)",
        ("AdaDiff, batch mean", 4),
        Knob::Share(|reduction| Method::Published { reduction }, MOST),
    ),
    entry(
        MethodKind::Saturation,
        "saturation",
        "CALM (saturation)",
        ("CALM", 5),
        Knob::Share(|reduction| Method::Saturation { reduction }, MOST),
    ),
    entry(
        MethodKind::LearnedExit,
        "learned_exit",
        "BERxiT (learned exit)",
        ("BERxiT", 6),
        Knob::Share(|reduction| Method::LearnedExit { reduction }, MOST),
    ),
    entry(
        MethodKind::DuoDiff,
        "duo_diff",
        "DuoDiff",
        ("DuoDiff", 7),
        Knob::Share(|switch| Method::DuoDiff { switch }, 1.0),
    ),
    entry(
        MethodKind::DepthDrop,
        "depth_drop",
        "ASE (depths over time)",
        ("ASE", 8),
        Knob::Share(|reduction| Method::DepthDrop { reduction }, MOST),
    ),
    entry(
        MethodKind::FewerSteps,
        "fewer_steps",
        "fewer steps",
        ("fewer steps", 9),
        Knob::Steps(|steps| Method::FewerSteps { steps }),
    ),
    entry(
        MethodKind::FeatureCache,
        "feature_cache",
        "feature cache",
        ("feature cache", 10),
        Knob::Interval(|interval| Method::FeatureCache { interval }),
    ),
    entry(
        MethodKind::TokenMerging,
        "token_merging",
        "token merging",
        ("token merging", 11),
        Knob::Share(|ratio| Method::TokenMerging { ratio }, 0.75),
    ),
    entry(
        MethodKind::EasyCache,
        "easy_cache",
        "EasyCache, by sample",
        ("EasyCache", 13),
        Knob::Tolerance(|tolerance| easy_cache(tolerance, Sample), &EASY_CACHE),
    ),
    entry(
        MethodKind::EasyCacheBatch,
        "easy_cache_batch",
        "EasyCache, by batch (published code)",
        ("EasyCache, by batch", 12),
        Knob::Tolerance(|tolerance| easy_cache(tolerance, Batch), &EASY_CACHE),
    ),
    entry(
        MethodKind::TaylorSeer,
        "taylor_seer",
        "TaylorSeer",
        ("TaylorSeer", 15),
        Knob::Interval(|interval| Method::TaylorSeer {
            interval,
            order: TAYLOR_SEER_ORDER,
        }),
    ),
    entry(
        MethodKind::SpeCa,
        "speca",
        "SpeCa, by sample",
        ("SpeCa", 16),
        Knob::Tolerance(|tolerance| speca(tolerance, Sample), &SPECA),
    ),
    entry(
        MethodKind::SpeCaBatch,
        "speca_batch",
        "SpeCa, by batch (published code)",
        ("SpeCa, by batch", 17),
        Knob::Tolerance(|tolerance| speca(tolerance, Batch), &SPECA),
    ),
    entry(
        MethodKind::Forecast,
        "adadiff",
        "exit and forecast",
        ("exit and forecast", 18),
        Knob::Share(|reduction| by(ExitRule::Forecast, reduction), MOST),
    ),
    entry(
        MethodKind::FirstBlockCache,
        "first_block_cache",
        "first-block cache",
        ("first-block cache", 19),
        Knob::Tolerance(
            |tolerance| Method::FirstBlockCache { tolerance },
            &MOVEMENTS,
        ),
    ),
    entry(
        MethodKind::DbCache,
        "db_cache",
        "DBCache",
        ("DBCache", 20),
        Knob::Tolerance(|tolerance| Method::DbCache { tolerance }, &MOVEMENTS),
    ),
    entry(
        MethodKind::Oracle,
        "oracle",
        "oracle",
        ("oracle", 21),
        Knob::None,
    ),
];

/// Tolerances of EasyCache, the published ones 0.05, 0.1 and 0.2 among them.
const EASY_CACHE: [f64; 8] = [0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2];

/// Tolerances of SpeCa, the published 0.1 among them.
const SPECA: [f64; 7] = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0];

/// The order of TaylorSeer that is compared; published are 3 and 4.
const TAYLOR_SEER_ORDER: usize = 3;

/// Thresholds of the block caches, the published ones from 0.05 to 0.2 among them.
const MOVEMENTS: [f64; 8] = [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8];

const fn entry(
    kind: MethodKind,
    row: &'static str,
    label: &'static str,
    (curve, look): (&'static str, usize),
    knob: Knob,
) -> MethodEntry {
    MethodEntry {
        kind,
        row,
        label,
        curve,
        look,
        knob,
    }
}

/// AdaDiff by an exit rule.
const fn by(rule: ExitRule, reduction: f64) -> Method {
    Method::AdaDiff { rule, reduction }
}

const fn easy_cache(tolerance: f64, scope: DecisionScope) -> Method {
    Method::EasyCache { tolerance, scope }
}

const fn speca(tolerance: f64, scope: DecisionScope) -> Method {
    Method::SpeCa { tolerance, scope }
}

impl MethodKind {
    /// The row of [`METHODS`].
    pub fn entry(self) -> &'static MethodEntry {
        &METHODS[self as usize]
    }

    /// AdaDiff by an exit rule, as comparisons tell it from others.
    pub fn of_rule(rule: ExitRule) -> Self {
        match rule {
            ExitRule::Threshold => Self::PaperRule,
            ExitRule::Allocated => Self::Allocated,
            ExitRule::Distance => Self::Distance,
            ExitRule::Forecast => Self::Forecast,
            _ => Self::AdaDiff,
        }
    }
}

impl MethodEntry {
    /// The methods that something is set of, which comparisons try at several settings.
    pub fn adjustable() -> impl Iterator<Item = &'static Self> {
        METHODS
            .iter()
            .filter(|entry| !matches!(entry.knob, Knob::None))
    }

    /// The settings on a network of `blocks` blocks in `steps` steps, from little to much saved.
    pub fn settings(&self, blocks: usize, steps: usize) -> Vec<Method> {
        let counts = |range: &mut dyn Iterator<Item = usize>,
                      method: fn(NonZeroUsize) -> Method| {
            range.filter_map(NonZeroUsize::new).map(method).collect()
        };
        match self.knob {
            Knob::None => Vec::new(),
            Knob::Depth(method) => counts(&mut (1..blocks).rev(), method),
            Knob::Steps(method) => counts(&mut (1..steps).rev(), method),
            Knob::Interval(method) => counts(&mut (2..=steps.max(2)), method),
            Knob::Share(method, most) => {
                let shares = (1..=18).map(|twentieth| f64::from(twentieth) / 20.0);
                let shares = shares.chain([1.0]).filter(|&share| share <= most);
                shares.map(method).collect()
            }
            Knob::Tolerance(method, tolerances) => tolerances
                .iter()
                .map(|&tolerance| method(tolerance))
                .collect(),
        }
    }

    /// Settings that save about these shares of a network of `blocks` blocks in `steps` steps; all of
    /// them, where what they save is not known before.
    pub fn saving_each(&self, shares: &[f64], blocks: usize, steps: usize) -> Vec<Method> {
        if let Knob::Tolerance(..) = self.knob {
            return self.settings(blocks, steps);
        }
        let shares = shares.iter();
        let mut methods: Vec<Method> = shares
            .filter_map(|&share| self.saving(share, blocks, steps))
            .collect();
        methods.dedup();
        methods
    }

    /// The setting that saves about this share of a network of `blocks` blocks in `steps` steps.
    fn saving(&self, share: f64, blocks: usize, steps: usize) -> Option<Method> {
        let count =
            |number: f64| NonZeroUsize::new(number.round() as usize).unwrap_or(NonZeroUsize::MIN);
        Some(match self.knob {
            Knob::None | Knob::Tolerance(..) => return None,
            Knob::Depth(method) => method(count((1.0 - share) * blocks as f64)),
            Knob::Steps(method) => method(count((1.0 - share) * steps as f64)),
            // One that keeps every step's own blocks caches nothing.
            Knob::Interval(method) => method(count((1.0 / (1.0 - share)).max(2.0))),
            Knob::Share(method, _) => method(share),
        })
    }
}

/// The names in rows of results, where AdaDiff has one for all its exit rules.
pub mod row_name {
    use serde::de::Error;

    use super::*;

    /// Writes a row's method.
    ///
    /// # Errors
    /// None but the format's.
    pub fn serialize<S: Serializer>(kind: &MethodKind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.entry().row)
    }

    /// Reads a row's method.
    ///
    /// # Errors
    /// For a name that no method has.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MethodKind, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = METHODS.iter().find(|entry| entry.row == name);
        found
            .map(|entry| entry.kind)
            .ok_or_else(|| D::Error::custom(format!("there is no method '{name}'")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_one_and_saves_more_than_the_one_before() {
        for entry in MethodEntry::adjustable() {
            let settings = entry.settings(13, 20);
            let few = matches!(entry.knob, Knob::Tolerance(..));
            assert!(few || settings.len() > 10, "{entry:?}");
            for method in &settings {
                method.validate().unwrap();
                assert_eq!(method.entry().kind, entry.kind);
            }
        }
        let depths = MethodKind::StaticDepth.entry().settings(3, 20);
        assert_eq!(
            depths.iter().map(Method::to_string).collect::<Vec<_>>(),
            ["static depth 2", "static depth 1"]
        );
        assert_eq!(MethodKind::FewerSteps.entry().settings(3, 2).len(), 1);
    }

    #[test]
    fn settings_save_the_share_that_is_asked_for() {
        let labels = |kind: MethodKind| {
            let saving = |share| kind.entry().saving(share, 13, 20).unwrap().to_string();
            [0.15, 0.45, 0.75].map(saving)
        };
        assert_eq!(
            labels(MethodKind::StaticDepth),
            ["static depth 11", "static depth 7", "static depth 3"]
        );
        assert_eq!(
            labels(MethodKind::FewerSteps),
            ["17 steps", "11 steps", "5 steps"]
        );
        let two = "feature cache, all blocks every 2 steps";
        let four = "feature cache, all blocks every 4 steps";
        assert_eq!(labels(MethodKind::FeatureCache), [two, two, four]);
        for entry in MethodEntry::adjustable() {
            for method in entry.saving_each(&[0.15, 0.75], 13, 20) {
                method.validate().unwrap();
            }
        }
    }

    #[test]
    fn kinds_keep_their_places_and_names() {
        for (place, entry) in METHODS.iter().enumerate() {
            assert_eq!(entry.kind as usize, place, "{entry:?}");
        }
    }
}
