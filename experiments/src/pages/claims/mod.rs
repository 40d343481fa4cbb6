//! What the paper claims, and what the measured numbers say of it.

mod accelerations;
mod estimates;
mod exits;
mod rows;

use std::fmt;

use adadiff_pipeline::ExitRule;
use anyhow::Result;

use super::comparison::Order;
use crate::figures::{BlockErrorFigure, FigureFile, FigureName, Reliability};
use crate::presets::{Preset, Protocol};
use crate::results::{RecordedTable, Results, TableName};
use accelerations::{best_at_equal_time, goes_with_solvers};
use estimates::{depth_over_time, parts_help, reliable, ual_helps};
use exits::{beats_static_depths, choosing_by_sample_pays, little_loss, time_is_saved};

/// A statement and what was measured of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub statement: String,
    pub verdict: ClaimVerdict,
    pub evidence: String,
}

/// Whether a statement holds on this data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimVerdict {
    Holds,
    Fails,
    /// The difference is no larger than that between seeds, or there is one seed only.
    Unclear,
}

impl fmt::Display for ClaimVerdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Holds => "Holds",
            Self::Fails => "Does not hold",
            Self::Unclear => "Cannot be told",
        })
    }
}

impl Claim {
    /// The statement about samples that were drawn in a protocol of their own.
    fn of_protocol(self, protocol: &Protocol) -> Self {
        let statement = format!("{protocol}: {}", self.statement);
        Self { statement, ..self }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {} {}",
            self.verdict, self.statement, self.evidence
        )
    }
}

impl From<Order> for ClaimVerdict {
    /// Where the first is said to be smaller.
    fn from(order: Order) -> Self {
        match order {
            Order::Smaller => Self::Holds,
            Order::Larger => Self::Fails,
            Order::Unclear => Self::Unclear,
        }
    }
}

/// The share of the full network's distance that counts as little loss.
const LITTLE: f64 = 0.1;

/// The statements that something was measured of.
///
/// # Errors
/// Where a file of the folder is damaged.
pub fn claims(results: &Results, preset: &Preset) -> Result<Vec<Claim>> {
    let table = |name: TableName| results.table(name);
    let name = TableName::for_preset(preset).first().copied();
    let main = name.map(table).transpose()?.flatten();
    let errors = data::<BlockErrorFigure>(results, FigureName::LayerErrors)?;
    let reliability = data::<Reliability>(results, FigureName::Reliability)?;
    let rule = preset.sampling.exit_rule;
    // Of the rule that the preset has, of the best one without forecasts and of the paper's.
    let other_loss = |wanted| {
        let main = main.as_ref().filter(|_| rule != wanted)?;
        little_loss(results, main, wanted)
    };
    let found = [
        errors.as_ref().and_then(depth_over_time),
        reliability.as_ref().map(reliable),
        main.as_ref()
            .and_then(|main| little_loss(results, main, rule)),
        other_loss(ExitRule::Distance),
        other_loss(ExitRule::Threshold),
        main.as_ref()
            .and_then(|main| beats_static_depths(results, main, rule)),
        main.as_ref()
            .and_then(|main| time_is_saved(results, main, rule)),
        table(TableName::BySample)?.and_then(|table| choosing_by_sample_pays(results, &table)),
        table(TableName::Ual)?.and_then(|ual| ual_helps(results, &ual)),
        table(TableName::Ablations)?.and_then(|table| parts_help(results, &table)),
        table(TableName::Solvers)?.and_then(|table| goes_with_solvers(results, &table)),
        table(TableName::Methods)?.and_then(|table| best_at_equal_time(results, &table)),
    ];
    let mut found: Vec<Claim> = found.into_iter().flatten().collect();
    for name in name.into_iter().chain([TableName::Methods]) {
        for table in results.tables(name)? {
            if let Some(protocol) = &table.protocol {
                let claims = in_protocol(results, &table, rule).into_iter();
                found.extend(claims.map(|claim| claim.of_protocol(protocol)));
            }
        }
    }
    Ok(found)
}

/// What a table says that was drawn otherwise than the preset says.
fn in_protocol(results: &Results, table: &RecordedTable, rule: ExitRule) -> Vec<Claim> {
    if table.table == TableName::Methods {
        return best_at_equal_time(results, table).into_iter().collect();
    }
    let mut rules = vec![rule, ExitRule::Threshold];
    rules.dedup();
    let losses = rules.into_iter();
    losses
        .filter_map(|rule| little_loss(results, table, rule))
        .collect()
}

fn data<T: serde::de::DeserializeOwned>(results: &Results, name: FigureName) -> Result<Option<T>> {
    let Some(file) = name.file_names().first() else {
        return Ok(None);
    };
    let figure = FigureFile::read(&results.figures(), file)?;
    Ok(figure
        .map(|figure| serde_json::from_value(figure.data))
        .transpose()?)
}

/// Whether the first is smaller in all comparisons; one that is larger decides.
fn all(orders: &[Order]) -> Option<ClaimVerdict> {
    if orders.is_empty() {
        return None;
    }
    Some(if orders.contains(&Order::Larger) {
        ClaimVerdict::Fails
    } else if orders.contains(&Order::Unclear) {
        ClaimVerdict::Unclear
    } else {
        ClaimVerdict::Holds
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::methods::Method;
    use crate::tables::examples::{example, table_of};

    /// The main table's example, in a folder, and a preset with its rule.
    fn measured() -> (TempDir, Results, RecordedTable, Preset) {
        let folder = tempfile::tempdir().unwrap();
        let (results, table) = example(folder.path(), TableName::Conditional);
        let mut preset = Preset::fashion_mnist().unwrap();
        preset.sampling.exit_rule = ExitRule::Distance;
        (folder, results, table, preset)
    }

    #[test]
    fn statements_are_filled_with_measured_numbers() {
        let (_folder, results, _, preset) = measured();
        let found = claims(&results, &preset).unwrap();
        let found: Vec<String> = found.iter().map(Claim::to_string).collect();
        assert_eq!(
            found,
            [
                "Does not hold: AdaDiff runs 40 to 48 % fewer layers at little loss. AdaDiff skips \
                 45.0 % of the blocks; FD (fashion-cnn) goes from 4.25 ± 0.35 to 5.50, +29 % (10 % \
                 counts as little).",
                "Holds: Skipped blocks save their time. 45.0 % fewer blocks draw an image 2.00 times \
                 as fast, 110 % of the speed-up that blocks alone would allow.",
            ]
        );
    }

    #[test]
    fn samples_that_were_drawn_otherwise_have_statements_of_their_own() {
        let (_folder, results, table, preset) = measured();
        let own = claims(&results, &preset).unwrap();
        results
            .write_table(&RecordedTable {
                protocol: Some(Protocol {
                    solver: "euler_maruyama".into(),
                    steps: 1000,
                }),
                ..table
            })
            .unwrap();
        let found = claims(&results, &preset).unwrap();
        assert_eq!(found[..own.len()], own);
        let [other] = &found[own.len()..] else {
            panic!("one statement was expected after {own:?}: {found:?}")
        };
        assert_eq!(
            other.statement,
            "euler_maruyama in 1000 steps: AdaDiff runs 40 to 48 % fewer layers at little loss."
        );
        assert_eq!(other.evidence, own[0].evidence);
    }

    #[test]
    fn choosing_by_sample_is_held_against_depths_over_time_at_each_budget() {
        let folder = tempfile::tempdir().unwrap();
        let by = |rule, reduction| Method::AdaDiff { rule, reduction };
        let oracle = Method::Oracle { reduction: 0.45 };
        let results = table_of(
            folder.path(),
            TableName::BySample,
            &[
                (Method::Full, [7.0, 7.2]),
                (by(ExitRule::Schedule, 0.3), [8.0, 8.2]),
                (by(ExitRule::Allocated, 0.3), [7.5, 7.7]),
                (by(ExitRule::Schedule, 0.45), [10.0, 10.2]),
                (by(ExitRule::Allocated, 0.45), [10.1, 10.3]),
                (oracle, [8.0, 8.0]),
            ],
        );
        let found = claims(&results, &Preset::fashion_mnist().unwrap()).unwrap();
        let found: Vec<String> = found.iter().map(Claim::to_string).collect();
        assert_eq!(
            found,
            [
                "Cannot be told: Choosing blocks by sample is better than as many by step alone. FD \
                 (fashion-cnn): at 30 % 8.10 ± 0.14 by step alone, 7.60 ± 0.14 by sample; at 45 % \
                 10.10 ± 0.14 by step alone, 10.20 ± 0.14 by sample, 8.00 ± 0.00 by true errors."
            ]
        );
    }

    #[test]
    fn what_was_not_measured_is_not_claimed() {
        let folder = tempfile::tempdir().unwrap();
        let results = Results::open(folder.path()).unwrap();
        let preset = Preset::fashion_mnist().unwrap();
        assert!(claims(&results, &preset).unwrap().is_empty());
    }

    #[test]
    fn one_better_method_decides() {
        use Order::*;
        assert_eq!(all(&[Smaller, Larger, Unclear]), Some(ClaimVerdict::Fails));
        assert_eq!(all(&[Smaller, Unclear]), Some(ClaimVerdict::Unclear));
        assert_eq!(all(&[Smaller, Smaller]), Some(ClaimVerdict::Holds));
        assert_eq!(all(&[]), None);
    }
}
