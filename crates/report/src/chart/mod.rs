//! Curves over two axes, as plain data: one form for every figure that is a chart.

mod drawing;
mod style;

use std::path::Path;

use adadiff_storage::write_json;
use serde::{Deserialize, Serialize};

use super::picture_files::{DRAWING_SCALE, write_pictures};
use super::{Figure, ReportError};

pub use drawing::{Drawing, Hotspot};
pub use style::Style;

/// Curves over two axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    /// What it shows, for those who cannot see it.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The curves in the order in which they are drawn.
    pub series: Vec<Series>,
}

/// An axis of a chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// What it measures, with its unit.
    pub label: String,
    /// Which numbers it shows.
    pub scale: Scale,
}

/// Which numbers an axis shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Zero and everything up to the largest.
    FromZero,
    /// From the smallest to the largest.
    Around,
    /// From zero, or by powers of ten where positive numbers span more than a factor of 20.
    Automatic,
}

/// One curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Its name, which stands at its end.
    pub name: String,
    /// How it looks.
    pub style: Style,
    /// Its points in the order in which a line joins them.
    pub points: Vec<Point>,
}

/// One point of a curve.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Its place on the horizontal axis.
    pub x: f64,
    /// Its place on the vertical axis.
    pub y: f64,
    /// The standard deviation of `y` over seeds, drawn as a whisker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<f64>,
    /// What stands beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// What is told where a reader points at it.
    pub text: String,
}

impl Axis {
    /// An axis.
    pub fn new(label: impl Into<String>, scale: Scale) -> Self {
        Self {
            label: label.into(),
            scale,
        }
    }
}

impl Chart {
    /// The chart as a drawing.
    ///
    /// # Errors
    /// [`ReportError::Data`] where there is no point, [`ReportError::NotFinite`] where a coordinate is
    /// not finite, and [`ReportError::Drawing`] where the drawing library fails.
    pub fn drawing(&self) -> Result<Drawing, ReportError> {
        let points = self.series.iter().flat_map(|series| {
            let named = |point| (series.name.as_str(), point);
            series.points.iter().map(named)
        });
        let mut any = false;
        for (name, point) in points {
            any = true;
            for value in [point.x, point.y, point.spread.unwrap_or_default()] {
                if !value.is_finite() {
                    let what = format!("a point of `{name}` in the chart `{}`", self.title);
                    return Err(ReportError::NotFinite { what, value });
                }
            }
        }
        if !any {
            return Err(ReportError::Data {
                what: format!("the chart `{}`", self.title),
                expected: "at least one point".into(),
                found: "none".into(),
            });
        }
        drawing::draw(self).map_err(|error| ReportError::Drawing {
            figure: "a chart",
            reason: error.to_string(),
        })
    }

    /// Writes the chart to `<name>.svg` in `folder`, and to `<name>.png` where [`WRITES_PNG`](crate::WRITES_PNG).
    ///
    /// # Errors
    /// As for [`drawing`](Self::drawing), and [`ReportError::Storage`] where a file cannot be written.
    pub fn write_pictures(&self, folder: &Path, name: &str) -> Result<(), ReportError> {
        write_pictures(folder, name, &self.drawing()?.svg, DRAWING_SCALE)
    }

    /// Writes the chart's pictures and, to `<name>.json`, its data.
    ///
    /// # Errors
    /// As for [`write_pictures`](Self::write_pictures).
    pub fn write(&self, folder: &Path, name: &str) -> Result<(), ReportError> {
        write_json(&folder.join(format!("{name}.json")), self)?;
        self.write_pictures(folder, name)
    }

    /// The chart with its caption, for the HTML report.
    ///
    /// # Errors
    /// As for [`drawing`](Self::drawing).
    pub fn figure(&self, caption: impl AsRef<str>) -> Result<Figure, ReportError> {
        Ok(Figure::chart(&self.drawing()?, &self.title, caption))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Chart {
        let point = |x, y| Point {
            x,
            y,
            spread: Some(0.5),
            text: format!("{x} and {y}"),
            ..Point::default()
        };
        Chart {
            title: "An example".into(),
            x: Axis::new("blocks", Scale::FromZero),
            y: Axis::new("distance", Scale::Automatic),
            series: vec![
                Series {
                    name: "full model".into(),
                    style: Style::FULL,
                    points: vec![point(13.0, 4.0)],
                },
                Series {
                    name: "AdaDiff & others".into(),
                    style: Style::ADADIFF,
                    points: vec![point(5.0, 12.0), point(7.5, 8.0), point(10.0, 4.0)],
                },
            ],
        }
    }

    #[test]
    fn hotspots_stand_where_their_numbers_say() -> Result<(), ReportError> {
        let drawing = example().drawing()?;
        let [full, near, middle, far] = &drawing.hotspots[..] else {
            panic!("{:?}", drawing.hotspots)
        };
        assert_eq!(near.text, "AdaDiff & others: 5 and 12");
        assert!((middle.left - (near.left + far.left) / 2.0).abs() < 0.002);
        assert!((middle.top - (near.top + far.top) / 2.0).abs() < 0.004);
        // The same distance at the same height, from zero on.
        assert!((full.top - far.top).abs() < 1e-9);
        assert!(full.left > far.left && near.top < far.top);
        for share in [full.left, full.top, near.left, near.top] {
            assert!((0.05..0.95).contains(&share), "{share}");
        }
        assert!(drawing.svg.contains("AdaDiff &amp; others"));
        Ok(())
    }

    #[test]
    fn pictures_and_data_lie_beside_each_other() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        example().write(folder.path(), "chart")?;
        let data = std::fs::read(folder.path().join("chart.json"))?;
        assert_eq!(serde_json::from_slice::<Chart>(&data)?, example());
        let png = image::open(folder.path().join("chart.png"))?;
        let [width, height] = example().drawing()?.size;
        assert_eq!((png.width(), png.height()), (2 * width, 2 * height));
        Ok(())
    }

    #[test]
    fn what_cannot_be_drawn_is_named() {
        let mut chart = example();
        chart.series[1].points[2].y = f64::NAN;
        let error = chart.drawing().unwrap_err().to_string();
        assert!(error.contains("AdaDiff & others"), "{error}");
        chart.series.clear();
        assert!(matches!(chart.drawing(), Err(ReportError::Data { .. })));
    }
}
