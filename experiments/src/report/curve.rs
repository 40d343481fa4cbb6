//! The price of skipping blocks: Fréchet distance over block reduction.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::chart::{Axis, Chart, Point, Scale, Series, Style};
use super::files::write_json;
use super::{Figure, Method, ReportError, ResultRow};

/// One method's place on the curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The share of blocks that was skipped, in `[0, 1]`.
    pub block_reduction: f64,
    /// Blocks run, mean over samples and network evaluations.
    pub blocks_mean: f64,
    /// The Fréchet distance to the reference images.
    pub frechet_distance: f64,
}

/// Fréchet distance over block reduction, all of it measured with one number of samples, since
/// the distance depends on that number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReductionCurve {
    /// Samples behind each point.
    pub samples: usize,
    /// The feature extractor's name.
    pub features: String,
    /// The full model.
    pub full: Option<CurvePoint>,
    /// Static depths, by rising reduction.
    pub static_depths: Vec<CurvePoint>,
    /// AdaDiff's budgets, by rising reduction.
    pub budgets: Vec<CurvePoint>,
}

impl ReductionCurve {
    /// The curve through those `rows` that were measured with this many samples.
    ///
    /// # Errors
    /// [`ReportError::Data`] where there is none, or where they were measured with different
    /// feature extractors; [`ReportError::NotFinite`] where a distance or reduction is not finite.
    pub fn of_results(rows: &[ResultRow], samples: usize) -> Result<Self, ReportError> {
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
        let points = |method: Method| {
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
        Ok(Self {
            samples,
            features,
            full: points(Method::Full).into_iter().next(),
            static_depths: points(Method::Static),
            budgets: points(Method::Adadiff),
        })
    }

    /// The curve as a chart.
    pub fn chart(&self) -> Chart {
        let series = |name: &str, style: Style, points: &[CurvePoint]| Series {
            name: name.to_owned(),
            style,
            points: points.iter().map(CurvePoint::on_chart).collect(),
        };
        Chart {
            title: "Fréchet distance over block reduction".to_owned(),
            x: Axis::new("blocks skipped (%)", Scale::FromZero),
            y: Axis::new(
                format!("FD ({}), {} samples", self.features, self.samples),
                Scale::Automatic,
            ),
            series: vec![
                series("static depth", Style::STATIC, &self.static_depths),
                series("AdaDiff", Style::ADADIFF, &self.budgets),
                series("full model", Style::FULL, self.full.as_slice()),
            ],
        }
    }

    /// Writes the figure to `<name>.svg` and `<name>.png` and its data to `<name>.json` in `folder`.
    ///
    /// # Errors
    /// As for [`Chart::drawing`], and [`ReportError::Storage`] where a file cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(), ReportError> {
        write_json(
            &folder.join(format!("{name}.json")),
            "the curve's data",
            self,
        )?;
        self.chart().write_pictures(folder, name)
    }

    /// The figure with its caption, for the HTML report.
    ///
    /// # Errors
    /// As for [`Chart::drawing`].
    pub fn figure(&self) -> Result<Figure, ReportError> {
        let caption = format!(
            "Fréchet distance (lower is better) over the share of blocks skipped, for {} samples \
             and {} features. The number beside a point is its mean number of blocks. A point \
             further right saves more compute; the lower of two curves gives the better images \
             for the same compute.",
            self.samples, self.features
        );
        self.chart().figure(caption)
    }
}

impl CurvePoint {
    fn on_chart(&self) -> Point {
        let percent = 100.0 * self.block_reduction;
        // At most one decimal, and none for a whole number.
        let blocks = format!("{:.1}", self.blocks_mean);
        let blocks = blocks.trim_end_matches(".0");
        Point {
            x: percent,
            y: self.frechet_distance,
            spread: None,
            text: format!(
                "FD {:.2} with {blocks} blocks, {percent:.1} % fewer",
                self.frechet_distance
            ),
            beside: Some(blocks.to_owned()),
        }
    }
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
        let curve = ReductionCurve::of_results(&rows, 512)?;
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
        assert!(ReductionCurve::of_results(&rows, 3).is_err());
        Ok(())
    }

    #[test]
    fn points_tell_their_numbers() -> Result<(), ReportError> {
        let chart = ReductionCurve::of_results(&example_rows(), 512)?.chart();
        let told = chart.series.iter().map(|series| {
            let texts = series.points.iter().map(|point| point.text.as_str());
            (series.name.as_str(), texts.collect::<Vec<_>>())
        });
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                (
                    "static depth",
                    vec![
                        "FD 22.75 with 8 blocks, 38.5 % fewer",
                        "FD 31.50 with 7 blocks, 46.2 % fewer",
                    ]
                ),
                ("AdaDiff", vec!["FD 5.50 with 7.2 blocks, 45.0 % fewer"]),
                ("full model", vec!["FD 4.25 with 13 blocks, 0.0 % fewer"]),
            ]
        );
        assert_eq!(chart.y.label, "FD (fashion-cnn), 512 samples");
        Ok(())
    }

    #[test]
    fn the_data_lies_beside_the_figure() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let curve = ReductionCurve::of_results(&example_rows(), 512)?;
        curve.write(folder.path(), "curve")?;
        let json = std::fs::read(folder.path().join("curve.json"))?;
        assert_eq!(serde_json::from_slice::<ReductionCurve>(&json)?, curve);
        assert!(std::fs::read_to_string(folder.path().join("curve.svg"))?.starts_with("<svg"));
        Ok(())
    }
}
