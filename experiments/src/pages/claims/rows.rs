//! The rows of a table that a statement is about.

use adadiff_pipeline::ExitRule;

use crate::methods::Method;
use crate::results::{MeanAndSpread, RecordedRow, RecordedTable, ResultRow, Results};
use crate::tables::metric_name;

/// The rows of an entry, the metric's name and the mean of a number.
pub fn rows<'a>(results: &'a Results, entry: &'a RecordedRow) -> Vec<&'a ResultRow> {
    results.qualities(entry).collect()
}

pub fn mean(rows: &[&ResultRow], number: fn(&ResultRow) -> f64) -> f64 {
    MeanAndSpread::from_numbers(rows.iter().map(|row| number(row)))
        .map_or(f64::NAN, |mean| mean.mean)
}

pub fn metric(rows: &[&ResultRow]) -> String {
    rows.first()
        .map_or("FD".to_owned(), |row| metric_name(&row.features))
}

/// The rows of the first entry with such a method on the checkpoint itself.
pub fn of_method<'a>(
    results: &'a Results,
    table: &'a RecordedTable,
    suits: impl Fn(&Method) -> bool,
) -> Option<(&'a RecordedRow, Vec<&'a ResultRow>)> {
    table.entries.iter().find_map(|entry| {
        let rows = rows(results, entry);
        let first = rows.first()?;
        let suits = first.variant.is_none() && first.setting.is_some_and(|method| suits(&method));
        suits.then_some((entry, rows))
    })
}

pub fn is_adadiff(method: &Method) -> bool {
    matches!(method, Method::AdaDiff { .. })
}

/// The rows of AdaDiff by an exit rule.
pub fn adadiff<'a>(
    results: &'a Results,
    table: &'a RecordedTable,
    wanted: ExitRule,
) -> Option<(&'a RecordedRow, Vec<&'a ResultRow>)> {
    let suits = |method: &Method| matches!(method, Method::AdaDiff { rule, .. } if *rule == wanted);
    of_method(results, table, suits)
}

pub fn full<'a>(
    results: &'a Results,
    table: &'a RecordedTable,
) -> Option<(&'a RecordedRow, Vec<&'a ResultRow>)> {
    of_method(results, table, |method| *method == Method::Full)
}

/// A change as a share, in whole per cent with its sign; one that rounds to nothing has none of less.
pub fn change(share: f64) -> String {
    // Adding zero makes minus zero plain.
    format!("{:+.0} %", (100.0 * share).round() + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_have_a_sign() {
        assert_eq!(change(0.123), "+12 %");
        assert_eq!(change(-0.004), "+0 %");
        assert_eq!(change(-0.13), "-13 %");
    }
}
