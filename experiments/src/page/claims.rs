//! What the paper claims, and what the measured numbers say of it.

use std::fmt;

use anyhow::Result;

use super::comparison::{Comparison, Order, told};
use crate::calibrations::ExitRule;
use crate::figures::{FigureFile, FigureName, LayerErrors, Reliability};
use crate::methods::Method;
use crate::preset::Preset;
use crate::report::ResultRow;
use crate::tables::{DrawnEntry, DrawnTable, MeanAndSpread, Results, TableName, metric_name};

/// A statement and what was measured of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The statement.
    pub statement: &'static str,
    /// Whether it holds.
    pub verdict: Verdict,
    /// The numbers.
    pub evidence: String,
}

/// Whether a statement holds on this data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Holds,
    /// It does not.
    Fails,
    /// The difference is no larger than that between seeds, or there is one seed only.
    Unclear,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Holds => "Holds",
            Self::Fails => "Does not hold",
            Self::Unclear => "Cannot be told",
        })
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

impl From<Order> for Verdict {
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

/// The largest calibration error of an estimate that can be relied on.
const RELIABLE: f64 = 0.05;

/// The statements that something was measured of.
///
/// # Errors
/// Where a file of the folder is damaged.
pub fn claims(results: &Results, preset: &Preset) -> Result<Vec<Claim>> {
    let table = |name: TableName| results.table(name);
    let main = TableName::of(preset).first().copied();
    let main = main.map(table).transpose()?.flatten();
    let errors = data::<LayerErrors>(results, FigureName::LayerErrors)?;
    let reliability = data::<Reliability>(results, FigureName::Reliability)?;
    let found = [
        errors.as_ref().and_then(depth_over_time),
        reliability.as_ref().map(reliable),
        main.as_ref().and_then(|main| little_loss(results, main)),
        main.as_ref()
            .and_then(|main| beats_static_depths(results, main)),
        main.as_ref().and_then(|main| time_is_saved(results, main)),
        table(TableName::Ual)?.and_then(|ual| ual_helps(results, &ual)),
        table(TableName::Ablations)?.and_then(|table| parts_help(results, &table)),
        table(TableName::Solvers)?.and_then(|table| goes_with_solvers(results, &table)),
        table(TableName::Methods)?.and_then(|table| best_at_equal_time(results, &table)),
    ];
    Ok(found.into_iter().flatten().collect())
}

/// The data of a figure.
fn data<T: serde::de::DeserializeOwned>(results: &Results, name: FigureName) -> Result<Option<T>> {
    let Some(file) = name.file_names().first() else {
        return Ok(None);
    };
    let figure = FigureFile::read(&results.figures(), file)?;
    Ok(figure
        .map(|figure| serde_json::from_value(figure.data))
        .transpose()?)
}

/// The rows of an entry, the metric's name and the mean of a number.
fn rows<'a>(results: &'a Results, entry: &'a DrawnEntry) -> Vec<&'a ResultRow> {
    results.qualities(entry).collect()
}

fn mean(rows: &[&ResultRow], number: fn(&ResultRow) -> f64) -> f64 {
    MeanAndSpread::of(rows.iter().map(|row| number(row))).map_or(f64::NAN, |mean| mean.mean)
}

fn metric(rows: &[&ResultRow]) -> String {
    rows.first()
        .map_or("FD".to_owned(), |row| metric_name(&row.features))
}

/// The rows of the first entry with such a method on the checkpoint itself.
fn of_method<'a>(
    results: &'a Results,
    table: &'a DrawnTable,
    suits: impl Fn(&Method) -> bool,
) -> Option<(&'a DrawnEntry, Vec<&'a ResultRow>)> {
    table.entries.iter().find_map(|entry| {
        let rows = rows(results, entry);
        let first = rows.first()?;
        let suits = first.variant.is_none() && first.setting.is_some_and(|method| suits(&method));
        suits.then_some((entry, rows))
    })
}

fn is_adadiff(method: &Method) -> bool {
    matches!(method, Method::AdaDiff { .. })
}

/// The rows of AdaDiff as the preset has it: of several exit rules the one that is no variant of the
/// comparison, excess before the paper's threshold.
fn adadiff<'a>(
    results: &'a Results,
    table: &'a DrawnTable,
) -> Option<(&'a DrawnEntry, Vec<&'a ResultRow>)> {
    let with = |wanted: ExitRule| {
        let suits = move |method: &Method| matches!(method, Method::AdaDiff { rule, .. } if *rule == wanted);
        of_method(results, table, suits)
    };
    with(ExitRule::Excess)
        .or_else(|| with(ExitRule::Threshold))
        .or_else(|| of_method(results, table, is_adadiff))
}

fn full<'a>(
    results: &'a Results,
    table: &'a DrawnTable,
) -> Option<(&'a DrawnEntry, Vec<&'a ResultRow>)> {
    of_method(results, table, |method| *method == Method::Full)
}

fn depth_over_time(errors: &LayerErrors) -> Option<Claim> {
    let blocks = errors.evaluations.first()?.squared_errors.len();
    let half = (blocks / 2).checked_sub(1)?;
    let third = errors.evaluations.len().div_ceil(3);
    let mean = |evaluations: &[crate::figures::EvaluationErrors]| {
        let errors = evaluations
            .iter()
            .map(|evaluation| evaluation.squared_errors[half]);
        errors.sum::<f64>() / evaluations.len() as f64
    };
    let noise = mean(&errors.evaluations[..third]);
    let image = mean(&errors.evaluations[errors.evaluations.len() - third..]);
    Some(Claim {
        statement: "Steps near noise need fewer blocks than steps near the image.",
        verdict: match noise < image {
            true => Verdict::Holds,
            false => Verdict::Fails,
        },
        evidence: format!(
            "After {} of {blocks} blocks the squared error against the last block is {noise:.4} in \
             the first third of the steps and {image:.4} in the last third ({} samples).",
            half + 1,
            errors.samples
        ),
    })
}

fn reliable(reliability: &Reliability) -> Claim {
    let error = reliability.calibration_error;
    Claim {
        statement: "The estimators know the error that is really made.",
        verdict: match error <= RELIABLE {
            true => Verdict::Holds,
            false => Verdict::Fails,
        },
        evidence: format!(
            "The expected calibration error over all blocks is {error:.4} on {} {}; {RELIABLE} counts \
             as reliable.",
            reliability.samples, reliability.images
        ),
    }
}

fn little_loss(results: &Results, table: &DrawnTable) -> Option<Claim> {
    let (_, full) = full(results, table)?;
    let (entry, adaptive) = adadiff(results, table)?;
    let comparison = Comparison::of(&adaptive, &full)?;
    let reduction = mean(&adaptive, |row| row.block_reduction);
    let loss = comparison.ratio() - 1.0;
    Some(Claim {
        statement: "AdaDiff runs 40 to 48 % fewer layers at little loss.",
        verdict: match reduction >= 0.4 && loss <= LITTLE {
            true => Verdict::Holds,
            false => Verdict::Fails,
        },
        evidence: format!(
            "{} skips {:.1} % of the blocks; {} goes from {} to {}, {:+.0} % ({:.0} % counts as \
             little).",
            entry.label,
            100.0 * reduction,
            metric(&full),
            told(comparison.second),
            told(comparison.first),
            100.0 * loss,
            100.0 * LITTLE
        ),
    })
}

fn beats_static_depths(results: &Results, table: &DrawnTable) -> Option<Claim> {
    let (_, adaptive) = adadiff(results, table)?;
    let blocks = mean(&adaptive, |row| row.blocks_mean);
    // The next deeper network, which runs no fewer blocks.
    let deeper = table.entries.iter().filter_map(|entry| {
        let rows = rows(results, entry);
        let is_static = matches!(rows.first()?.setting, Some(Method::StaticDepth { .. }));
        let depth = mean(&rows, |row| row.blocks_mean);
        (is_static && depth >= blocks).then_some((depth, entry, rows))
    });
    let (_, entry, fixed) = deeper.min_by(|a, b| a.0.total_cmp(&b.0))?;
    let comparison = Comparison::of(&adaptive, &fixed)?;
    Some(Claim {
        statement: "Choosing blocks by sample and step is better than a fixed depth.",
        verdict: comparison.order().into(),
        evidence: format!(
            "{} is {} with {blocks:.2} blocks on average, and {} at {}.",
            metric(&adaptive),
            told(comparison.first),
            told(comparison.second),
            entry.label
        ),
    })
}

fn time_is_saved(results: &Results, table: &DrawnTable) -> Option<Claim> {
    let (entry, adaptive) = adadiff(results, table)?;
    let time = results.time(entry)?;
    let reduction = mean(&adaptive, |row| row.block_reduction);
    let efficiency = time.speedup() * (1.0 - reduction);
    Some(Claim {
        statement: "Skipped blocks save their time.",
        verdict: match efficiency >= 1.0 - LITTLE {
            true => Verdict::Holds,
            false => Verdict::Fails,
        },
        evidence: format!(
            "{:.1} % fewer blocks draw an image {:.2} times as fast, {:.0} % of the speed-up that \
             blocks alone would allow.",
            100.0 * reduction,
            time.speedup(),
            100.0 * efficiency
        ),
    })
}

fn ual_helps(results: &Results, table: &DrawnTable) -> Option<Claim> {
    let of_variant = |variant: Option<&str>| {
        table.entries.iter().find_map(|entry| {
            let rows = rows(results, entry);
            (rows.first()?.variant.as_deref() == variant).then_some(rows)
        })
    };
    let with = of_variant(None)?;
    let without = of_variant(Some("no-ual"))?;
    let comparison = Comparison::of(&with, &without)?;
    Some(Claim {
        statement: "UAL makes the full network better.",
        verdict: comparison.order().into(),
        evidence: format!(
            "{} of the full network is {} with UAL and {} without.",
            metric(&with),
            told(comparison.first),
            told(comparison.second)
        ),
    })
}

fn parts_help(results: &Results, table: &DrawnTable) -> Option<Claim> {
    let (_, whole) = of_method(results, table, is_adadiff)?;
    let mut evidence = Vec::new();
    let mut orders = Vec::new();
    for entry in &table.entries {
        let rows = rows(results, entry);
        let Some(first) = rows.first() else { continue };
        if first.variant.is_none() || !first.setting.is_some_and(|method| is_adadiff(&method)) {
            continue;
        }
        let Some(comparison) = Comparison::of(&whole, &rows) else {
            continue;
        };
        orders.push(comparison.order());
        evidence.push(format!("{}: {}", entry.label, told(comparison.second)));
    }
    let verdict = all(&orders)?;
    Some(Claim {
        statement: "Every part of the method makes AdaDiff better.",
        verdict,
        evidence: format!(
            "{} with all parts is {}; {}.",
            metric(&whole),
            MeanAndSpread::of(whole.iter().map(|row| row.frechet_distance)).map(told)?,
            evidence.join("; ")
        ),
    })
}

fn goes_with_solvers(results: &Results, table: &DrawnTable) -> Option<Claim> {
    let full: Vec<(&DrawnEntry, Vec<&ResultRow>)> = table
        .entries
        .iter()
        .map(|entry| (entry, rows(results, entry)))
        .filter(|(_, rows)| {
            rows.first()
                .is_some_and(|row| row.setting == Some(Method::Full))
        })
        .collect();
    let mut losses = Vec::new();
    for entry in &table.entries {
        let adaptive = rows(results, entry);
        let Some(first) = adaptive.first() else {
            continue;
        };
        if !first.setting.is_some_and(|method| is_adadiff(&method)) {
            continue;
        }
        let beside = full.iter().find(|(_, rows)| {
            rows.first()
                .is_some_and(|row| (&row.solver, row.steps) == (&first.solver, first.steps))
        });
        let comparison = beside.and_then(|(_, full)| Comparison::of(&adaptive, full));
        if let Some(comparison) = comparison {
            let name = format!("{} in {} steps", first.solver, first.steps);
            losses.push((name, comparison.ratio() - 1.0));
        }
    }
    let worst = losses.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let best = losses.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let little = losses.iter().filter(|(_, loss)| *loss <= LITTLE).count();
    Some(Claim {
        statement: "Exits go together with fast solvers and few steps.",
        verdict: match little == losses.len() {
            true => Verdict::Holds,
            false => Verdict::Fails,
        },
        evidence: format!(
            "In {little} of {} settings AdaDiff's distance is at most {:.0} % above the full \
             network's with the same solver and steps: {:+.0} % at best ({}), {:+.0} % at worst ({}).",
            losses.len(),
            100.0 * LITTLE,
            100.0 * best.1,
            best.0,
            100.0 * worst.1,
            worst.0
        ),
    })
}

fn best_at_equal_time(results: &Results, table: &DrawnTable) -> Option<Claim> {
    let (target, adaptive) = adadiff(results, table)?;
    let mut orders = Vec::new();
    let mut evidence = Vec::new();
    for entry in &table.entries {
        let rows = rows(results, entry);
        if entry.label == target.label || entry.matched.is_none() {
            continue;
        }
        let Some(comparison) = Comparison::of(&adaptive, &rows) else {
            continue;
        };
        orders.push(comparison.order());
        evidence.push(format!("{} {}", entry.label, told(comparison.second)));
    }
    let verdict = all(&orders)?;
    let own = MeanAndSpread::of(adaptive.iter().map(|row| row.frechet_distance))?;
    Some(Claim {
        statement: "At equal measured time AdaDiff is better than every other method.",
        verdict,
        evidence: format!(
            "{}: {} {}; {}.",
            metric(&adaptive),
            target.label,
            told(own),
            evidence.join("; ")
        ),
    })
}

/// Whether the first is smaller in all comparisons; one that is larger decides.
fn all(orders: &[Order]) -> Option<Verdict> {
    if orders.is_empty() {
        return None;
    }
    Some(if orders.contains(&Order::Larger) {
        Verdict::Fails
    } else if orders.contains(&Order::Unclear) {
        Verdict::Unclear
    } else {
        Verdict::Holds
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::EvaluationErrors;
    use crate::tables::examples::example;

    #[test]
    fn statements_are_filled_with_measured_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let (results, _) = example(folder.path(), TableName::Conditional);
        let preset = Preset::fashion_mnist().unwrap();
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
    fn what_was_not_measured_is_not_claimed() {
        let folder = tempfile::tempdir().unwrap();
        let results = Results::open(folder.path()).unwrap();
        let preset = Preset::fashion_mnist().unwrap();
        assert!(claims(&results, &preset).unwrap().is_empty());
    }

    #[test]
    fn errors_at_half_depth_are_compared_between_noise_and_image() {
        let evaluation = |error| EvaluationErrors {
            timestep: 1.0,
            squared_errors: vec![0.9, error, 0.1, 0.0],
        };
        let errors = LayerErrors {
            samples: 4,
            evaluations: [0.1, 0.3, 0.5].map(evaluation).to_vec(),
        };
        let claim = depth_over_time(&errors).unwrap();
        assert_eq!(claim.verdict, Verdict::Holds);
        assert!(
            claim.evidence.contains("0.1000 in the first third"),
            "{}",
            claim.evidence
        );
        assert!(
            claim.evidence.contains("0.5000 in the last third"),
            "{}",
            claim.evidence
        );
    }

    #[test]
    fn one_better_method_decides() {
        use Order::*;
        assert_eq!(all(&[Smaller, Larger, Unclear]), Some(Verdict::Fails));
        assert_eq!(all(&[Smaller, Unclear]), Some(Verdict::Unclear));
        assert_eq!(all(&[Smaller, Smaller]), Some(Verdict::Holds));
        assert_eq!(all(&[]), None);
    }
}
