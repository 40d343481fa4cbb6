//! The price of skipping blocks: Fréchet distance over block reduction.

use std::path::Path;

use adadiff_storage::write_json;
use serde::{Deserialize, Serialize};

use super::chart::{Axis, Chart, Point, Scale, Series, Style};
use super::{Figure, ReportError};

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

    /// Writes the figure to `<name>.svg`, where [`WRITES_PNG`](crate::WRITES_PNG) to `<name>.png` too, and
    /// its data to `<name>.json` in `folder`.
    ///
    /// # Errors
    /// As for [`Chart::drawing`], and [`ReportError::Storage`] where a file cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(), ReportError> {
        write_json(&folder.join(format!("{name}.json")), self)?;
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

/// A full model, two static depths and AdaDiff on 13 blocks.
#[cfg(test)]
pub(crate) fn example_curve() -> ReductionCurve {
    let point = |block_reduction, blocks_mean, frechet_distance| CurvePoint {
        block_reduction,
        blocks_mean,
        frechet_distance,
    };
    ReductionCurve {
        samples: 512,
        features: "fashion-cnn".into(),
        full: Some(point(0.0, 13.0, 4.25)),
        static_depths: vec![point(0.3846, 8.0, 22.75), point(0.4615, 7.0, 31.5)],
        budgets: vec![point(0.45, 7.15, 5.5)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_tell_their_numbers() {
        let chart = example_curve().chart();
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
    }

    #[test]
    fn the_data_lies_beside_the_figure() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let curve = example_curve();
        curve.write(folder.path(), "curve")?;
        let json = std::fs::read(folder.path().join("curve.json"))?;
        assert_eq!(serde_json::from_slice::<ReductionCurve>(&json)?, curve);
        assert!(std::fs::read_to_string(folder.path().join("curve.svg"))?.starts_with("<svg"));
        Ok(())
    }
}
