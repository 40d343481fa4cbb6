//! The drawing of [`ReductionCurve`].

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::axis::DistanceAxis;
use super::super::palette::{BLACK, BLUE, Colour, VERMILLION};
use super::{CurvePoint, ReductionCurve};

/// The curve as an SVG document.
pub fn svg(curve: &ReductionCurve) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (680, 460)).into_drawing_area();
    draw(curve, &area)?;
    area.present()?;
    drop(area);
    Ok(svg)
}

struct Series<'a> {
    name: &'static str,
    points: &'a [CurvePoint],
    colour: RGBColor,
    /// Corners of the marker, relative to its point.
    marker: &'static [(i32, i32)],
    /// The side of the number beside a marker, and its distance downwards.
    number: (VPos, i32),
}

/// What there is to draw. Markers differ in shape, so that the series stay apart without
/// colour; the numbers of the two curves stand on different sides of them.
fn series(curve: &ReductionCurve) -> Vec<Series<'_>> {
    let rgb = |[red, green, blue]: Colour| RGBColor(red, green, blue);
    let mut series = vec![
        Series {
            name: "static depth",
            points: &curve.static_depths,
            colour: rgb(BLUE),
            marker: &[(0, -8), (8, 6), (-8, 6)],
            number: (VPos::Bottom, -11),
        },
        Series {
            name: "AdaDiff",
            points: &curve.budgets,
            colour: rgb(VERMILLION),
            marker: &[(0, -8), (8, 0), (0, 8), (-8, 0)],
            number: (VPos::Top, 11),
        },
        Series {
            name: "full model",
            points: curve.full.as_slice(),
            colour: rgb(BLACK),
            marker: &[(-6, -6), (6, -6), (6, 6), (-6, 6)],
            number: (VPos::Bottom, -11),
        },
    ];
    series.retain(|series| !series.points.is_empty());
    series
}

fn draw(
    curve: &ReductionCurve,
    area: &DrawingArea<SVGBackend<'_>, Shift>,
) -> Result<(), Box<dyn Error>> {
    let points = curve
        .full
        .iter()
        .chain(&curve.static_depths)
        .chain(&curve.budgets);
    let furthest = points
        .clone()
        .map(|point| 100.0 * point.block_reduction)
        .fold(10.0, f64::max);
    let distances = DistanceAxis::around(points.map(|point| point.frechet_distance));
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(-0.05 * furthest..1.1 * furthest, distances)?;
    chart
        .configure_mesh()
        .x_desc("blocks skipped (%)")
        .y_desc(format!(
            "FD ({}), {} samples",
            curve.features, curve.samples
        ))
        .x_label_formatter(&|percent| format!("{percent:.0}"))
        .x_labels(8)
        .y_labels(8)
        .axis_desc_style(("sans-serif", 19))
        .label_style(("sans-serif", 17))
        .bold_line_style(RGBColor(222, 222, 222))
        .light_line_style(TRANSPARENT)
        .draw()?;

    let place = |point: &CurvePoint| (100.0 * point.block_reduction, point.frechet_distance);
    for series in series(curve) {
        let colour = series.colour;
        // A point by itself has no line.
        let line = colour.stroke_width(if series.points.len() > 1 { 2 } else { 0 });
        let marker = move |(x, y): (i32, i32)| {
            let corners = series
                .marker
                .iter()
                .map(move |(right, down)| (x + right, y + down));
            Polygon::new(corners.collect::<Vec<_>>(), colour.filled())
        };
        let number = ("sans-serif", 15)
            .into_font()
            .color(&colour)
            .pos(Pos::new(HPos::Center, series.number.0));
        chart
            .draw_series(LineSeries::new(series.points.iter().map(place), line))?
            .label(series.name)
            .legend(move |(x, y)| {
                EmptyElement::at((0, 0))
                    + PathElement::new([(x, y), (x + 28, y)], line)
                    + marker((x + 14, y))
            });
        chart.draw_series(series.points.iter().map(|point| {
            let text = trimmed(point.blocks_mean);
            EmptyElement::at(place(point))
                + marker((0, 0))
                + Text::new(text, (0, series.number.1), number.clone())
        }))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .legend_area_size(34)
        .margin(12)
        .label_font(("sans-serif", 17))
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(200, 200, 200))
        .draw()?;
    Ok(())
}

/// At most one decimal, and none for a whole number.
fn trimmed(blocks: f64) -> String {
    format!("{blocks:.1}").trim_end_matches(".0").to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::super::{ReportError, ResultRow, examples::example_rows};
    use super::*;

    /// The centre of each diamond in the order of the document.
    fn diamonds(svg: &str) -> Vec<[f64; 2]> {
        let polygons = svg.split("<polygon ").skip(1);
        let corners = polygons.filter_map(|rest| {
            let points = rest.split_once("points=\"")?.1.split_once('"')?.0;
            let corners = points.split_whitespace().map(|corner| {
                let (x, y) = corner.split_once(',')?;
                Some([x.parse().ok()?, y.parse().ok()?])
            });
            corners.collect::<Option<Vec<[f64; 2]>>>()
        });
        corners
            .filter(|corners| corners.len() == 4 && corners[0][0] == corners[2][0])
            .map(|corners| [corners[0][0], corners[1][1]])
            .collect()
    }

    #[test]
    fn points_stand_where_their_numbers_say() -> Result<(), ReportError> {
        let rows = example_rows();
        let budget = |reduction: f64, distance: f64| ResultRow {
            block_reduction: reduction,
            frechet_distance: distance,
            ..rows[3].clone()
        };
        let rows = [
            rows[0].clone(),
            budget(0.0, 4.0),
            budget(0.25, 10.0),
            budget(0.5, 22.0),
        ];
        let svg = ReductionCurve::of_results(&rows, 512)?.svg()?;
        let points = diamonds(&svg);
        assert_eq!(points.len(), 4, "three points and the legend's: {svg}");
        let [near, far] = [0, 1].map(|index| {
            let [from, to] = [points[index], points[index + 1]];
            [to[0] - from[0], from[1] - to[1]]
        });
        // Equal steps of reduction; the second step of distance is twice the first.
        assert!((near[0] - far[0]).abs() <= 1.0, "{points:?}");
        assert!((2.0 * near[1] - far[1]).abs() <= 2.0, "{points:?}");
        assert!(near[0] > 100.0 && near[1] > 50.0, "{points:?}");
        for text in [
            "full model",
            "AdaDiff",
            "blocks skipped (%)",
            "FD (fashion-cnn), 512 samples",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(!svg.contains("static depth"));
        Ok(())
    }
}
