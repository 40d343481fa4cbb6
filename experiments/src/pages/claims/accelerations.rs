//! Statements about other ways to save time, beside exits and together with them.

use std::collections::BTreeSet;

use super::super::comparison::{Comparison, Order, mean_and_spread};
use super::rows::{change, is_adadiff, metric, of_method, rows};
use super::{Claim, ClaimVerdict, LITTLE, all};
use crate::methods::Method;
use crate::results::{MeanAndSpread, RecordedRow, RecordedTable, ResultRow, Results};

pub fn goes_with_solvers(results: &Results, table: &RecordedTable) -> Option<Claim> {
    let full: Vec<(&RecordedRow, Vec<&ResultRow>)> = table
        .entries
        .iter()
        .map(|entry| (entry, rows(results, entry)))
        .filter(|(_, rows)| {
            rows.first()
                .is_some_and(|row| row.setting == Some(Method::Full))
        })
        .collect();
    let mut losses = Vec::new();
    let mut rules = BTreeSet::new();
    for entry in &table.entries {
        let adaptive = rows(results, entry);
        let Some(first) = adaptive.first() else {
            continue;
        };
        let Some(Method::AdaDiff { rule, .. }) = first.setting else {
            continue;
        };
        let beside = full.iter().find(|(_, rows)| {
            rows.first()
                .is_some_and(|row| (&row.solver, row.steps) == (&first.solver, first.steps))
        });
        let comparison = beside.and_then(|(_, full)| Comparison::new(&adaptive, full));
        if let Some(comparison) = comparison {
            let name = format!("{} in {} steps", first.solver, first.steps);
            losses.push((name, comparison.ratio() - 1.0));
            rules.insert(rule.name());
        }
    }
    let worst = losses.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let best = losses.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let little = losses.iter().filter(|(_, loss)| *loss <= LITTLE).count();
    Some(Claim {
        statement: "Exits go together with fast solvers and few steps.".to_owned(),
        verdict: if little == losses.len() {
            ClaimVerdict::Holds
        } else {
            ClaimVerdict::Fails
        },
        evidence: format!(
            "In {little} of {} settings AdaDiff's distance, by exit rule {}, is at most {:.0} % above the \
             full network's with the same solver and steps: {} at best ({}), {} at worst ({}).",
            losses.len(),
            rules.into_iter().collect::<Vec<_>>().join(" and "),
            100.0 * LITTLE,
            change(best.1),
            best.0,
            change(worst.1),
            worst.0
        ),
    })
}

/// How AdaDiff compares with a method that takes `ratio` times its time: one that takes longer for
/// nothing better is worse.
fn order_in_time(order: Order, ratio: f64, tolerance: f64) -> Order {
    match order {
        Order::Unclear if ratio > 1.0 + tolerance => Order::Smaller,
        order => order,
    }
}

pub fn best_at_equal_time(results: &Results, table: &RecordedTable) -> Option<Claim> {
    // The first one, whose time the others have.
    let (target, adaptive) = of_method(results, table, is_adadiff)?;
    let mut orders = Vec::new();
    let mut evidence = Vec::new();
    for entry in &table.entries {
        let rows = rows(results, entry);
        if entry.label == target.label || entry.matched.is_none() {
            continue;
        }
        let Some(comparison) = Comparison::new(&adaptive, &rows) else {
            continue;
        };
        let times = results.time(entry).zip(results.time(target));
        let ratio = times.map_or(1.0, |(time, own)| time.over(own));
        orders.push(order_in_time(comparison.order(), ratio, table.tolerance));
        let unequal = (ratio - 1.0).abs() > table.tolerance;
        let in_time = if unequal {
            format!(" in {ratio:.2} times its time")
        } else {
            String::new()
        };
        let distance = mean_and_spread(comparison.second);
        evidence.push(format!("{} {distance}{in_time}", entry.label));
    }
    let verdict = all(&orders)?;
    let own = MeanAndSpread::from_numbers(adaptive.iter().map(|row| row.frechet_distance))?;
    Some(Claim {
        statement: "At equal measured time AdaDiff is better than every other method.".to_owned(),
        verdict,
        evidence: format!(
            "{}: {} {}; {}.",
            metric(&adaptive),
            target.label,
            mean_and_spread(own),
            evidence.join("; ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slower_method_that_is_no_better_is_worse() {
        assert_eq!(order_in_time(Order::Unclear, 1.12, 0.05), Order::Smaller);
        assert_eq!(order_in_time(Order::Unclear, 1.04, 0.05), Order::Unclear);
        assert_eq!(order_in_time(Order::Unclear, 0.88, 0.05), Order::Unclear);
        assert_eq!(order_in_time(Order::Larger, 1.12, 0.05), Order::Larger);
    }
}
