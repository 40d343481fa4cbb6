//! Statements about leaving early, against the full network and fixed depths.

use adadiff_pipeline::ExitRule;

use super::super::comparison::{Comparison, mean_and_spread};
use super::rows::{adadiff, change, full, mean, metric, of_method, rows};
use super::{Claim, ClaimVerdict, LITTLE, all};
use crate::methods::Method;
use crate::results::{RecordedTable, Results};

pub fn little_loss(results: &Results, table: &RecordedTable, rule: ExitRule) -> Option<Claim> {
    let (_, full) = full(results, table)?;
    let (entry, adaptive) = adadiff(results, table, rule)?;
    let comparison = Comparison::new(&adaptive, &full)?;
    let reduction = mean(&adaptive, |row| row.block_reduction);
    let loss = comparison.ratio() - 1.0;
    let is_half = rule == ExitRule::Forecast && reduction >= 0.5;
    let least = if is_half { 0.5 } else { 0.4 };
    Some(Claim {
        statement: match rule {
            ExitRule::Threshold => {
                "AdaDiff with the paper's one threshold runs 40 to 48 % fewer layers at little loss."
            }
            ExitRule::Forecast if is_half => {
                "Exits with a forecast of what they skip run more than half of the layers fewer at little loss."
            }
            ExitRule::Forecast => {
                "Exits with a forecast of what they skip run 40 to 48 % fewer layers at little loss."
            }
            _ => "AdaDiff runs 40 to 48 % fewer layers at little loss.",
        }
        .to_owned(),
        verdict: if reduction >= least && loss <= LITTLE {
            ClaimVerdict::Holds
        } else {
            ClaimVerdict::Fails
        },
        evidence: format!(
            "{} skips {:.1} % of the blocks; {} goes from {} to {}, {} ({:.0} % counts as \
             little).",
            entry.label,
            100.0 * reduction,
            metric(&full),
            mean_and_spread(comparison.second),
            mean_and_spread(comparison.first),
            change(loss),
            100.0 * LITTLE
        ),
    })
}

pub fn beats_static_depths(
    results: &Results,
    table: &RecordedTable,
    rule: ExitRule,
) -> Option<Claim> {
    let (_, adaptive) = adadiff(results, table, rule)?;
    let blocks = mean(&adaptive, |row| row.blocks_mean);
    // The next deeper network, which runs no fewer blocks.
    let deeper = table.entries.iter().filter_map(|entry| {
        let rows = rows(results, entry);
        let is_static = matches!(rows.first()?.setting, Some(Method::StaticDepth { .. }));
        let depth = mean(&rows, |row| row.blocks_mean);
        (is_static && depth >= blocks).then_some((depth, entry, rows))
    });
    let (_, entry, fixed) = deeper.min_by(|a, b| a.0.total_cmp(&b.0))?;
    let comparison = Comparison::new(&adaptive, &fixed)?;
    Some(Claim {
        statement: "Choosing blocks by sample and step is better than a fixed depth.".to_owned(),
        verdict: comparison.order().into(),
        evidence: format!(
            "{} is {} with {blocks:.2} blocks on average, and {} at {}.",
            metric(&adaptive),
            mean_and_spread(comparison.first),
            mean_and_spread(comparison.second),
            entry.label
        ),
    })
}

pub fn time_is_saved(results: &Results, table: &RecordedTable, rule: ExitRule) -> Option<Claim> {
    let (entry, adaptive) = adadiff(results, table, rule)?;
    let time = results.time(entry)?;
    let reduction = mean(&adaptive, |row| row.block_reduction);
    let efficiency = time.speedup() * (1.0 - reduction);
    Some(Claim {
        statement: "Skipped blocks save their time.".to_owned(),
        verdict: if efficiency >= 1.0 - LITTLE {
            ClaimVerdict::Holds
        } else {
            ClaimVerdict::Fails
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

/// `allocated`, which chooses by sample, beside the depths over time that are nearest to it, and beside an oracle.
pub fn choosing_by_sample_pays(results: &Results, table: &RecordedTable) -> Option<Claim> {
    let of = |wanted: Method| of_method(results, table, |method| *method == wanted);
    let (mut orders, mut parts) = (Vec::new(), Vec::new());
    for entry in &table.entries {
        let by_step = rows(results, entry);
        let setting = by_step.first().and_then(|row| row.setting);
        let Some(Method::AdaDiff {
            rule: ExitRule::Schedule,
            reduction,
        }) = setting
        else {
            continue;
        };
        let rule = ExitRule::Allocated;
        let (_, by_sample) = of(Method::AdaDiff { rule, reduction })?;
        let comparison = Comparison::new(&by_sample, &by_step)?;
        orders.push(comparison.order());
        let oracle = of(Method::Oracle { reduction });
        let oracle = oracle.and_then(|(_, rows)| Comparison::new(&rows, &by_step));
        let oracle = oracle.map_or(String::new(), |oracle| {
            format!(", {} by true errors", mean_and_spread(oracle.first))
        });
        parts.push(format!(
            "at {:.0} % {} by step alone, {} by sample{oracle}",
            100.0 * reduction,
            mean_and_spread(comparison.second),
            mean_and_spread(comparison.first),
        ));
    }
    Some(Claim {
        statement: "Choosing blocks by sample is better than as many by step alone.".to_owned(),
        verdict: all(&orders)?,
        evidence: format!(
            "{}: {}.",
            metric(&full(results, table)?.1),
            parts.join("; ")
        ),
    })
}
