//! What a table is made of: rows before they are measured, and after.

use std::num::NonZeroUsize;

use adadiff_pipeline::ExitRule;
use adadiff_sampler::SolverConfig;
use serde::{Deserialize, Serialize};

use super::published::Published;
use crate::methods::Method;
use crate::preset::Preset;

/// A row before it is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name in the table.
    pub label: String,
    /// The network; absent for the checkpoint itself.
    pub variant: Option<String>,
    /// How samples are drawn.
    pub choice: Choice,
    /// The solver.
    pub solver: SolverConfig,
    /// Solver steps.
    pub steps: usize,
    /// What was published of it.
    pub published: Option<Published>,
}

/// A method, or one that is still to be chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// This one.
    Given(Method),
    /// The one of a family whose measured time is nearest to AdaDiff's.
    EqualTime(Family),
}

/// A method without its knob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// The same number of blocks for every sample and step.
    StaticDepth,
    /// The published code's exit of a whole batch.
    Published,
    /// CALM.
    Saturation,
    /// BERxiT.
    LearnedExit,
    /// A shallow network first.
    DuoDiff,
    /// ASE's depths over time.
    DepthDrop,
    /// Fewer solver steps.
    FewerSteps,
    /// Features that are used again.
    FeatureCache,
    /// Tokens that are merged.
    TokenMerging,
    /// AdaDiff with one threshold for all times, the paper's own form.
    PaperRule,
    /// AdaDiff whose blocks are shared out by how far each image moves.
    Allocated,
    /// AdaDiff whose blocks are shared out by how far all images are from the data.
    Distance,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 12] = [
        Self::PaperRule,
        Self::Allocated,
        Self::Distance,
        Self::StaticDepth,
        Self::Published,
        Self::Saturation,
        Self::LearnedExit,
        Self::DuoDiff,
        Self::DepthDrop,
        Self::FewerSteps,
        Self::FeatureCache,
        Self::TokenMerging,
    ];

    /// Its name in a table.
    pub fn label(self) -> &'static str {
        match self {
            Self::StaticDepth => "static depth",
            Self::Published => "AdaDiff, batch mean (published code)",
            Self::Saturation => "CALM (saturation)",
            Self::LearnedExit => "BERxiT (learned exit)",
            Self::DuoDiff => "DuoDiff",
            Self::DepthDrop => "ASE (depths over time)",
            Self::FewerSteps => "fewer steps",
            Self::FeatureCache => "feature cache",
            Self::TokenMerging => "token merging",
            Self::PaperRule => "AdaDiff, one threshold (paper)",
            Self::Allocated => "AdaDiff, allocated by images",
            Self::Distance => "AdaDiff, allocated by distance",
        }
    }

    /// The settings of its knob on a network of `blocks` blocks in `steps` steps, from little to much
    /// saved.
    pub fn settings(self, blocks: usize, steps: usize) -> Vec<Method> {
        let count = |number: usize| NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN);
        let shares = (1..=18).map(|twentieth| f64::from(twentieth) / 20.0);
        match self {
            Self::StaticDepth => {
                let depths = (1..blocks).rev();
                depths
                    .map(|depth| Method::StaticDepth {
                        depth: count(depth),
                    })
                    .collect()
            }
            Self::FewerSteps => {
                let fewer = (1..steps).rev();
                fewer
                    .map(|steps| Method::FewerSteps {
                        steps: count(steps),
                    })
                    .collect()
            }
            Self::FeatureCache => {
                let intervals = 2..=steps.max(2);
                let caching = |interval| Method::FeatureCache {
                    interval: count(interval),
                };
                intervals.map(caching).collect()
            }
            Self::TokenMerging => {
                let ratios = shares.filter(|&share| share <= 0.75);
                ratios.map(|ratio| Method::TokenMerging { ratio }).collect()
            }
            Self::DuoDiff => shares
                .chain([1.0])
                .map(|switch| Method::DuoDiff { switch })
                .collect(),
            Self::PaperRule => shares.map(by(ExitRule::Threshold)).collect(),
            Self::Allocated => shares.map(by(ExitRule::Allocated)).collect(),
            Self::Distance => shares.map(by(ExitRule::Distance)).collect(),
            Self::Published => shares
                .map(|reduction| Method::Published { reduction })
                .collect(),
            Self::Saturation => shares
                .map(|reduction| Method::Saturation { reduction })
                .collect(),
            Self::LearnedExit => shares
                .map(|reduction| Method::LearnedExit { reduction })
                .collect(),
            Self::DepthDrop => shares
                .map(|reduction| Method::DepthDrop { reduction })
                .collect(),
        }
    }
}

/// AdaDiff by an exit rule, for a share of blocks to skip.
fn by(rule: ExitRule) -> impl Fn(f64) -> Method {
    move |reduction| Method::AdaDiff { rule, reduction }
}

impl Family {
    /// Whether it is AdaDiff by this exit rule.
    pub fn is(self, rule: ExitRule) -> bool {
        match self {
            Self::PaperRule => rule == ExitRule::Threshold,
            Self::Allocated => rule == ExitRule::Allocated,
            Self::Distance => rule == ExitRule::Distance,
            _ => false,
        }
    }

    /// The setting that saves about this share of a network of `blocks` blocks in `steps` steps.
    pub fn saving(self, share: f64, blocks: usize, steps: usize) -> Method {
        let count =
            |number: f64| NonZeroUsize::new(number.round() as usize).unwrap_or(NonZeroUsize::MIN);
        let reduction = share;
        match self {
            Self::StaticDepth => Method::StaticDepth {
                depth: count((1.0 - share) * blocks as f64),
            },
            Self::FewerSteps => Method::FewerSteps {
                steps: count((1.0 - share) * steps as f64),
            },
            // One that keeps every step's own blocks caches nothing.
            Self::FeatureCache => Method::FeatureCache {
                interval: count((1.0 / (1.0 - share)).max(2.0)),
            },
            Self::TokenMerging => Method::TokenMerging { ratio: share },
            Self::DuoDiff => Method::DuoDiff { switch: share },
            Self::PaperRule => by(ExitRule::Threshold)(reduction),
            Self::Allocated => by(ExitRule::Allocated)(reduction),
            Self::Distance => by(ExitRule::Distance)(reduction),
            Self::Published => Method::Published { reduction },
            Self::Saturation => Method::Saturation { reduction },
            Self::LearnedExit => Method::LearnedExit { reduction },
            Self::DepthDrop => Method::DepthDrop { reduction },
        }
    }
}

impl Entry {
    /// A method on the checkpoint itself, as its preset samples.
    pub fn given(preset: &Preset, method: Method) -> Self {
        Self::on(preset, None, method)
    }

    /// A method on a network.
    pub fn on(preset: &Preset, variant: Option<&str>, method: Method) -> Self {
        Self {
            label: method.to_string(),
            variant: variant.map(str::to_owned),
            choice: Choice::Given(method),
            solver: preset.sampling.solver,
            steps: preset.sampling.steps,
            published: None,
        }
    }

    /// The same with another name.
    pub fn named(self, label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            ..self
        }
    }

    /// The same with what was published of it.
    pub fn beside(self, published: Option<Published>) -> Self {
        Self { published, ..self }
    }
}

/// A row as it is drawn: which lines of the results it shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawnEntry {
    /// Its name in the table.
    pub label: String,
    /// What was published of it.
    pub published: Option<Published>,
    /// The short names of its lines of quality, one for each seed.
    pub quality: Vec<String>,
    /// The short name of its line of time, where it was measured.
    pub timing: Option<String>,
    /// The short name of the line that tells how its knob was chosen.
    pub matched: Option<String>,
    /// Why it was not measured.
    pub missing: Option<String>,
}

impl DrawnEntry {
    /// A row of which nothing is measured yet.
    pub fn unmeasured(entry: &Entry) -> Self {
        Self {
            label: entry.label.clone(),
            published: entry.published.clone(),
            quality: Vec::new(),
            timing: None,
            matched: None,
            missing: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_one_and_saves_more_than_the_one_before() {
        for family in Family::ALL {
            let settings = family.settings(13, 20);
            assert!(settings.len() > 10, "{family:?}");
            for method in &settings {
                method.validate().unwrap();
            }
        }
        let depths = Family::StaticDepth.settings(3, 20);
        assert_eq!(
            depths.iter().map(Method::to_string).collect::<Vec<_>>(),
            ["static depth 2", "static depth 1"]
        );
        assert_eq!(Family::FewerSteps.settings(3, 2).len(), 1);
    }

    #[test]
    fn settings_save_the_share_that_is_asked_for() {
        let labels = |family: Family| {
            [0.15, 0.45, 0.75].map(|share| family.saving(share, 13, 20).to_string())
        };
        assert_eq!(
            labels(Family::StaticDepth),
            ["static depth 11", "static depth 7", "static depth 3"]
        );
        assert_eq!(
            labels(Family::FewerSteps),
            ["17 steps", "11 steps", "5 steps"]
        );
        let two = "feature cache, all blocks every 2 steps";
        let four = "feature cache, all blocks every 4 steps";
        assert_eq!(labels(Family::FeatureCache), [two, two, four]);
        for family in Family::ALL {
            family.saving(0.75, 13, 20).validate().unwrap();
        }
    }
}
