//! Which rows a table has.

use std::num::NonZeroUsize;

use adadiff_pipeline::ExitRule;
use clap::ValueEnum;

use crate::checkpoint::BaselineNetwork;
use crate::methods::{self, Method, MethodEntry, MethodKind, PAPER_REDUCTION};
use crate::presets::{Preset, SolverName, variant_names};
use crate::results::{PublishedFigures, TableName};
use crate::tables::spec::{Choice, RowSpec};

/// The rows of tables for a preset.
#[derive(Clone, Copy, Debug)]
pub struct TablePlan<'a> {
    pub preset: &'a Preset,
    /// Few rows only, which show that everything works.
    pub quick: bool,
    /// The methods that AdaDiff is compared with; all of them where none is named.
    pub methods: &'a [MethodKind],
}

impl TablePlan<'_> {
    pub fn entries(&self, name: TableName) -> Vec<RowSpec> {
        match name {
            TableName::Unconditional | TableName::Conditional => self.main(),
            TableName::Ual => self.ual(),
            TableName::Ablations => self.ablations(),
            TableName::Solvers => self.solvers(),
            TableName::Methods => self.methods(),
            TableName::BySample => self.by_sample(),
            TableName::TradeOff => self.trade_off(),
        }
    }

    /// The full network, which every time is compared with.
    pub fn baseline(&self) -> RowSpec {
        RowSpec::given(self.preset, Method::Full).beside(PublishedFigures::full(&self.preset.name))
    }

    pub fn adadiff(&self) -> RowSpec {
        RowSpec::given(self.preset, self.preset_method())
            .beside(PublishedFigures::adadiff(&self.preset.name))
    }

    /// The method of [`Self::adadiff`].
    pub fn preset_method(&self) -> Method {
        let sampling = &self.preset.sampling;
        Method::AdaDiff {
            rule: sampling.exit_rule,
            reduction: sampling.reduction,
        }
    }

    fn blocks(&self) -> usize {
        self.preset.model.backbone.blocks()
    }

    /// The full network, every way to leave early at the share of blocks that the paper skips, with static depths on
    /// both sides of it, and AdaDiff as the preset has it and with forecasts beyond that.
    fn main(&self) -> Vec<RowSpec> {
        let reduction = self.preset.sampling.reduction.min(PAPER_REDUCTION);
        let given = |method| RowSpec::given(self.preset, method);
        let below = ((1.0 - reduction) * self.blocks() as f64).floor() as usize;
        let mut entries = vec![self.baseline()];
        for depth in [below, below + 1] {
            if let Some(depth) = NonZeroUsize::new(depth) {
                entries.push(given(Method::StaticDepth { depth }));
            }
        }
        entries.push(given(Method::LearnedExit { reduction }));
        entries.push(given(Method::Saturation { reduction }));
        entries.push(given(Method::Published { reduction }));
        let by = |rule| Method::AdaDiff { rule, reduction };
        entries.push(
            RowSpec::on(self.preset, Some(DEE_DIFF), by(ExitRule::Threshold))
                .named(format!("DeeDiff ({})", self.words(Some(DEE_DIFF)))),
        );
        let own = self.preset.sampling.exit_rule;
        let rules = [
            ExitRule::Threshold,
            ExitRule::Allocated,
            ExitRule::Distance,
            ExitRule::Forecast,
        ];
        let others = rules.into_iter().filter(|&rule| rule != own && !self.quick);
        entries.extend(others.map(|rule| given(by(rule))));
        entries.push(self.adadiff());
        if own == ExitRule::Forecast && !self.quick {
            entries.extend(BEYOND.map(|reduction| {
                given(Method::AdaDiff {
                    rule: own,
                    reduction,
                })
            }));
        }
        entries.retain(|entry| self.is_asked_for(entry));
        entries
    }

    /// Whether a row of a main table is one of the full network, of AdaDiff as the preset has it, or of a method that
    /// is named: of all, where none is.
    fn is_asked_for(&self, row: &RowSpec) -> bool {
        let Choice::Given(method) = row.choice else {
            return true;
        };
        let kind = match method {
            Method::AdaDiff { rule, .. } => MethodKind::of_rule(rule),
            other => other.kind(),
        };
        let of_preset = [Method::Full, self.preset_method()].contains(&method);
        let named = row.variant.is_none() && self.methods.contains(&kind);
        self.methods.is_empty() || of_preset || named
    }

    /// The full network after each way of training.
    fn ual(&self) -> Vec<RowSpec> {
        let full = |variant| RowSpec::on(self.preset, variant, Method::Full);
        vec![
            full(Some(BACKBONE))
                .named("U-ViT alone")
                .beside(PublishedFigures::full(&self.preset.name)),
            full(Some("no-ual")).named("joint training without UAL"),
            full(None).named("joint training with UAL"),
        ]
    }

    /// AdaDiff and the full network of every network that lacks a part, and AdaDiff by other exit rules.
    fn ablations(&self) -> Vec<RowSpec> {
        let variants = variant_names().filter(|name| !is_companion(name));
        let networks = std::iter::once(None).chain(variants.map(Some));
        let rows = networks.flat_map(|variant| {
            let on = |method| RowSpec::on(self.preset, variant, method);
            let words = self.words(variant);
            let adaptive = self.preset_method();
            [
                on(Method::Full).named(format!("{words}: full model")),
                on(adaptive).named(format!("{words}: {adaptive}")),
            ]
        });
        let own = self.preset.sampling.exit_rule;
        let rules = ExitRule::value_variants().iter();
        let others = rules.filter(|&&rule| rule != own && !self.quick);
        rows.chain(others.map(|&rule| {
            let reduction = self.preset.sampling.reduction;
            let method = Method::AdaDiff { rule, reduction };
            RowSpec::given(self.preset, method)
                .named(format!("exit rule {}: {method}", rule.name()))
        }))
        .collect()
    }

    /// What distinguishes a network, in words.
    fn words(&self, variant: Option<&str>) -> String {
        let Some(name) = variant else {
            return "all parts".to_owned();
        };
        let changed = self.preset.variant(name).ok().flatten();
        let words = changed.and_then(|preset| methods::variant(&preset));
        words.unwrap_or_else(|| name.to_owned())
    }

    /// The full network and AdaDiff with every solver in several numbers of steps.
    fn solvers(&self) -> Vec<RowSpec> {
        let mut entries = vec![self.baseline(), self.adadiff()];
        if self.preset.sampling.steps > MOST_STEPS {
            // So many are what the paper takes, with one threshold for all of them.
            let rule = ExitRule::Threshold;
            let reduction = self.preset.sampling.reduction;
            let paper = RowSpec::given(self.preset, Method::AdaDiff { rule, reduction });
            entries.extend(Some(paper).filter(|paper| paper.choice != entries[1].choice));
        }
        // Where a preset's steps are few already, more of them show what that costs.
        let most = (2 * self.preset.sampling.steps).min(MOST_STEPS);
        let own = self.preset.sampling.solver;
        let mut solvers = vec![own];
        let on_latents = self.preset.latents.is_some();
        let others = SolverName::FAST.map(|name| name.config(on_latents));
        solvers.extend(
            others
                .into_iter()
                .filter(|solver| solver.name() != own.name()),
        );
        if self.quick {
            solvers.truncate(2);
        }
        for solver in solvers {
            for steps in [most, most / 2, most / 4] {
                if steps == 0 || self.quick && steps == most / 4 {
                    continue;
                }
                for entry in [
                    RowSpec::given(self.preset, Method::Full),
                    RowSpec::given(self.preset, self.preset_method()),
                ] {
                    let label = format!("{}, {steps} steps: {}", solver.name(), entry.label);
                    let entry = RowSpec {
                        solver,
                        steps,
                        ..entry.named(label)
                    };
                    let known = |other: &&RowSpec| {
                        (other.solver, other.steps, &other.choice)
                            == (entry.solver, entry.steps, &entry.choice)
                    };
                    if !entries.iter().any(|other| known(&other)) {
                        entries.push(entry);
                    }
                }
            }
        }
        entries
    }

    /// AdaDiff and every other method at its time.
    fn methods(&self) -> Vec<RowSpec> {
        let adadiff = self.adadiff();
        let mut entries = vec![self.baseline(), adadiff.clone()];
        for other in self.others() {
            entries.push(RowSpec {
                label: other.label.to_owned(),
                choice: Choice::EqualTime(other.kind),
                published: None,
                ..adadiff.clone()
            });
        }
        entries
    }

    /// The methods that AdaDiff as the preset has it is compared with.
    fn others(&self) -> impl Iterator<Item = &'static MethodEntry> {
        let own = MethodKind::of_rule(self.preset.sampling.exit_rule);
        let Self { quick, methods, .. } = *self;
        MethodEntry::adjustable().filter(move |entry| {
            let named = methods.is_empty() || methods.contains(&entry.kind);
            entry.kind != own && named && (!quick || QUICK_METHODS.contains(&entry.kind))
        })
    }

    /// At each budget depths that depend on the step alone, the rules that choose by sample within a step, and one that knows
    /// the true errors.
    fn by_sample(&self) -> Vec<RowSpec> {
        let budgets: &[f64] = if self.quick {
            &[0.45]
        } else {
            &[0.3, 0.45, 0.6]
        };
        let mut entries = vec![self.baseline()];
        for &reduction in budgets {
            let by = |rule| Method::AdaDiff { rule, reduction };
            let rules = [ExitRule::Schedule, ExitRule::Allocated, ExitRule::Distance].map(by);
            let methods = rules.into_iter().chain([Method::Oracle { reduction }]);
            entries.extend(methods.map(|method| RowSpec::given(self.preset, method)));
        }
        entries
    }

    /// Every method at settings from little to much saved.
    fn trade_off(&self) -> Vec<RowSpec> {
        let (blocks, steps) = (self.blocks(), self.preset.sampling.steps);
        let mut entries = vec![self.baseline()];
        let rule = self.preset.sampling.exit_rule;
        let shares: &[f64] = if self.quick {
            &[0.3, 0.6]
        } else {
            &[0.15, 0.3, 0.45, 0.6, 0.75]
        };
        let own = |&reduction| RowSpec::given(self.preset, Method::AdaDiff { rule, reduction });
        entries.extend(shares.iter().map(own));
        for other in self.others() {
            let shown = other.saving_each(shares, blocks, steps).into_iter();
            entries.extend(shown.map(|method| RowSpec::given(self.preset, method)));
        }
        entries
    }
}

/// Shares of blocks about where skipping them with forecasts begins to cost.
const BEYOND: [f64; 2] = [0.6, 0.65];

/// The first phase's network, which knows nothing of exits.
pub const BACKBONE: &str = "backbone";

/// DeeDiff's network: the backbone as it was, and a head of its own for every block.
const DEE_DIFF: &str = "frozen-backbone-own-heads";

/// Whether a variant is no network to draw from by itself, but one that a method needs.
fn is_companion(name: &str) -> bool {
    BaselineNetwork::ALL
        .iter()
        .any(|baseline| baseline.variant() == name)
}

/// More steps than this are many for a fast solver.
const MOST_STEPS: usize = 50;

/// The other methods of a quick run.
const QUICK_METHODS: [MethodKind; 3] = [
    MethodKind::StaticDepth,
    MethodKind::FewerSteps,
    MethodKind::FeatureCache,
];

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
