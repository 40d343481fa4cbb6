//! The price of skipping blocks, from result rows.

use adadiff_report::{CurvePoint, ReductionCurve, ReportError};

use super::ResultRow;
use crate::methods::MethodKind;

/// The curve through those `rows` that were measured with this many samples.
///
/// # Errors
/// [`ReportError::Data`] where there is none, or where they were measured with different
/// feature extractors; [`ReportError::NotFinite`] where a distance or reduction is not finite.
pub fn reduction_curve(rows: &[ResultRow], samples: usize) -> Result<ReductionCurve, ReportError> {
    let rows: Vec<&ResultRow> = rows.iter().filter(|row| row.samples == samples).collect();
    let fail = |expected: &str, found: &str| ReportError::Data {
        what: format!("results of {samples} samples for the curve"),
        expected: expected.into(),
        found: found.into(),
    };
    let features = match rows.first() {
        Some(row) => row.features.clone(),
        None => return Err(fail("at least one", "none")),
    };
    if let Some(other) = rows.iter().find(|row| row.features != features) {
        return Err(fail(&format!("all with {features}"), &other.features));
    }
    for row in &rows {
        for value in [row.block_reduction, row.frechet_distance] {
            if !value.is_finite() {
                let what = format!("a coordinate of `{row}` on the curve");
                return Err(ReportError::NotFinite { what, value });
            }
        }
    }
    let points = |method: MethodKind| {
        let mut points: Vec<CurvePoint> = rows
            .iter()
            .filter(|row| row.method == method)
            .map(|row| CurvePoint {
                block_reduction: row.block_reduction,
                blocks_mean: row.blocks_mean,
                frechet_distance: row.frechet_distance,
            })
            .collect();
        points.sort_by(|a, b| a.block_reduction.total_cmp(&b.block_reduction));
        points
    };
    Ok(ReductionCurve {
        samples,
        features,
        full: points(MethodKind::Full).into_iter().next(),
        static_depths: points(MethodKind::StaticDepth),
        budgets: points(MethodKind::AdaDiff),
    })
}

#[cfg(test)]
mod tests {
    use super::super::examples::example_rows;
    use super::*;

    #[test]
    fn rows_are_sorted_into_the_series() -> Result<(), ReportError> {
        let mut rows = example_rows();
        rows.push(ResultRow {
            samples: 128,
            ..rows[3].clone()
        });
        let curve = reduction_curve(&rows, 512)?;
        assert_eq!(
            curve.full.as_ref().map(|point| point.frechet_distance),
            Some(4.25)
        );
        let depths: Vec<f64> = curve
            .static_depths
            .iter()
            .map(|point| point.blocks_mean)
            .collect();
        assert_eq!(depths, [8.0, 7.0]);
        assert_eq!(curve.budgets.len(), 1);
        assert!(reduction_curve(&rows, 3).is_err());
        Ok(())
    }
}
