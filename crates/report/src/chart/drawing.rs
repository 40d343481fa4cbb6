//! The drawing of [`Chart`].

use std::error::Error;

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::axis::ValueAxis;
use super::{Axis, Chart, Point, Scale, Series, Style};

/// Width of axes and curves.
const PLOT: u32 = 720;

/// Height of a chart of few curves.
const CHART: u32 = 460;

/// Height of a curve's name.
const LINE: i32 = 24;

/// Width of a letter of a name, on average and rounded up: nothing here knows the reader's font.
const LETTER: f64 = 9.5;

/// Width of what joins a curve's end with its name, and of the curve's look before the name.
const LEADER: i32 = 26;
const KEY: i32 = 36;

/// Room around everything, and that of the horizontal axis.
const MARGIN: u32 = 14;
const X_LABELS: u32 = 58;

/// A chart as it is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// The SVG document.
    pub svg: String,
    /// Width and height in its units.
    pub size: [u32; 2],
    /// Where the points stand, in the order of the series.
    pub hotspots: Vec<Hotspot>,
}

/// A point of a drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Hotspot {
    /// Its place as a share of the width.
    pub left: f64,
    /// Its place as a share of the height, from the top.
    pub top: f64,
    /// What is told of it.
    pub text: String,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Where a point stands, and what is told of it.
type Told = ((i32, i32), String);

pub fn draw(chart: &Chart) -> Result<Drawing, Box<dyn Error>> {
    let names = shown(chart).map(|series| series.name.chars().count());
    let longest = LETTER * names.max().unwrap_or(0) as f64;
    let beside = LEADER + KEY + longest as i32;
    let lines = shown(chart).count() as u32 * LINE as u32;
    let size = [PLOT + beside as u32, CHART.max(lines + MARGIN + X_LABELS)];
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (size[0], size[1])).into_drawing_area();
    area.fill(&WHITE)?;
    let Curves { told, ends, right } = draw_curves(chart, &area, beside)?;
    let last = (size[1] - MARGIN - X_LABELS) as i32;
    let heights = name_heights(&ends, [LINE, last]);
    for ((series, end), height) in shown(chart).zip(ends).zip(heights) {
        draw_name(&area, series, end, (right + LEADER, height))?;
    }
    area.present()?;
    drop(area);
    let share = |place: i32, side: u32| f64::from(place) / f64::from(side);
    let hotspots = told.into_iter().map(|((x, y), text)| Hotspot {
        left: share(x, size[0]),
        top: share(y, size[1]),
        text,
    });
    Ok(Drawing {
        size,
        hotspots: hotspots.collect(),
        svg,
    })
}

/// The series that have points.
fn shown(chart: &Chart) -> impl Iterator<Item = &Series> {
    chart
        .series
        .iter()
        .filter(|series| !series.points.is_empty())
}

/// The heights of curves' names between `top` and `bottom`, all from the top: as near to the curves' ends
/// as they can be a line apart from each other.
fn name_heights(ends: &[(i32, i32)], [top, bottom]: [i32; 2]) -> Vec<i32> {
    let mut order: Vec<usize> = (0..ends.len()).collect();
    order.sort_by_key(|&series| ends[series].1);
    // Names that touch stand around the mean of their ends: the sum of where each would have the first
    // of them, and their number.
    let mut groups: Vec<(i32, i32)> = Vec::new();
    for (place, &series) in (0..).zip(&order) {
        let mut group = (ends[series].1 - LINE * place, 1);
        while let Some(&(sum, count)) = groups.last()
            && sum * group.1 >= group.0 * count
        {
            group = (sum + group.0, count + group.1);
            groups.pop();
        }
        groups.push(group);
    }
    let firsts = groups
        .iter()
        .flat_map(|&(sum, count)| (0..count).map(move |_| sum / count));
    let last_first = (bottom - LINE * (ends.len() as i32 - 1)).max(top);
    let mut heights = vec![0; ends.len()];
    for ((place, first), series) in (0..).zip(firsts).zip(order) {
        heights[series] = first.clamp(top, last_first) + LINE * place;
    }
    heights
}

fn axis(axis: &Axis, values: impl Iterator<Item = f64> + Clone) -> ValueAxis {
    let largest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    let smallest = values.clone().fold(f64::INFINITY, f64::min);
    match axis.scale {
        Scale::Automatic => ValueAxis::around(values),
        Scale::FromZero => {
            let largest = if largest > 0.0 { largest } else { 1.0 };
            // A point at zero keeps its marker whole.
            ValueAxis::linear(smallest.min(0.0) - 0.04 * largest..1.08 * largest)
        }
        Scale::Around => {
            let room = 0.06 * (largest - smallest).max(1e-9 * largest.abs().max(1.0));
            ValueAxis::linear(smallest - room..largest + room)
        }
    }
}

fn rgb(style: Style) -> RGBColor {
    let [red, green, blue] = style.colour();
    RGBColor(red, green, blue)
}

/// Curves that are drawn.
struct Curves {
    told: Vec<Told>,
    /// The last point of each.
    ends: Vec<(i32, i32)>,
    /// Where the axes end.
    right: i32,
}

/// Draws axes and curves, with so much room beside them.
fn draw_curves(chart: &Chart, area: &Area<'_>, beside: i32) -> Result<Curves, Box<dyn Error>> {
    let points = chart.series.iter().flat_map(|series| &series.points);
    let x = axis(&chart.x, points.clone().map(|point| point.x));
    let reach = |point: &Point| {
        let spread = point.spread.unwrap_or_default();
        [point.y - spread, point.y, point.y + spread]
    };
    // A whisker that would reach zero has no place by powers of ten.
    let reached = points
        .flat_map(reach)
        .filter(|&y| y > 0.0 || chart.y.scale != Scale::Automatic);
    let y = axis(&chart.y, reached);
    let mut context = ChartBuilder::on(area)
        .margin(MARGIN)
        .margin_right(beside)
        .x_label_area_size(X_LABELS)
        .y_label_area_size(106)
        .build_cartesian_2d(x, y)?;
    context
        .configure_mesh()
        .x_desc(chart.x.label.as_str())
        .y_desc(chart.y.label.as_str())
        .x_labels(8)
        .y_labels(8)
        .axis_desc_style(("sans-serif", 23))
        .label_style(("sans-serif", 21))
        .bold_line_style(RGBColor(222, 222, 222))
        .light_line_style(TRANSPARENT)
        .draw()?;

    let (mut told, mut ends) = (Vec::new(), Vec::new());
    for series in shown(chart) {
        let colour = rgb(series.style);
        let last = series.points.last().map(|point| (point.x, point.y));
        ends.extend(last.map(|last| context.backend_coord(&last)));
        let line = series.points.iter().map(|point| (point.x, point.y));
        let Some(corners) = series.style.marker() else {
            let path = DashedPathElement::new(line, 7, 5, colour.stroke_width(2));
            context.draw_series([path])?;
            continue;
        };
        // A point by itself has no line.
        let width = if series.points.len() > 1 { 2 } else { 0 };
        context.draw_series(LineSeries::new(line, colour.stroke_width(width)))?;
        let whiskers = series.points.iter().filter_map(|point| {
            let spread = point.spread.filter(|&spread| spread > 0.0)?;
            let ends = [point.y - spread, point.y + spread].map(|y| (point.x, y));
            Some(PathElement::new(ends.to_vec(), colour.stroke_width(2)))
        });
        context.draw_series(whiskers)?;
        let (side, down) = if series.style.writes_below() {
            (VPos::Top, 11)
        } else {
            (VPos::Bottom, -11)
        };
        let beside = ("sans-serif", 18)
            .into_font()
            .color(&colour)
            .pos(Pos::new(HPos::Center, side));
        context.draw_series(series.points.iter().map(|point| {
            let text = point.beside.clone().unwrap_or_default();
            EmptyElement::at((point.x, point.y))
                + Polygon::new(corners.to_vec(), colour.filled())
                + Text::new(text, (0, down), beside.clone())
        }))?;
        told.extend(series.points.iter().map(|point| {
            let place = context.backend_coord(&(point.x, point.y));
            (place, format!("{}: {}", series.name, point.text))
        }));
    }
    let right = context.plotting_area().get_pixel_range().0.end;
    Ok(Curves { told, ends, right })
}

/// Draws a series' look and name at a place beside the axes, and what joins it with the series' end.
fn draw_name(
    area: &Area<'_>,
    series: &Series,
    end: (i32, i32),
    (left, middle): (i32, i32),
) -> Result<(), Box<dyn Error>> {
    let colour = rgb(series.style);
    let leader = [end, (left - LEADER, end.1), (left - 4, middle)];
    area.draw(&DashedPathElement::new(
        leader,
        2,
        4,
        colour.stroke_width(1),
    ))?;
    let ends = [(left, middle), (left + 26, middle)];
    match series.style.marker() {
        None => area.draw(&DashedPathElement::new(ends, 7, 5, colour.stroke_width(2)))?,
        Some(corners) => {
            area.draw(&PathElement::new(ends, colour.stroke_width(2)))?;
            let moved = corners.iter().map(|(x, y)| (left + 13 + x, middle + y));
            area.draw(&Polygon::new(moved.collect::<Vec<_>>(), colour.filled()))?;
        }
    }
    let style = ("sans-serif", 19)
        .into_font()
        .color(&colour)
        .pos(Pos::new(HPos::Left, VPos::Center));
    let place = (left + KEY - 4, middle);
    area.draw(&Text::new(series.name.as_str(), place, style))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_at_the_ends_unless_they_would_touch() {
        let heights = |ends: &[i32]| {
            let ends: Vec<_> = ends.iter().map(|&end| (0, end)).collect();
            name_heights(&ends, [20, 400])
        };
        assert_eq!(heights(&[100, 300, 200]), [100, 300, 200]);
        // Around the mean of their ends, in their order.
        assert_eq!(heights(&[104, 100, 300]), [114, 90, 300]);
        // Two that touch push a third.
        assert_eq!(heights(&[100, 100, 110]), [79, 103, 127]);
        assert_eq!(heights(&[0, 5]), [20, 44]);
        assert_eq!(heights(&[399, 400]), [376, 400]);
        assert_eq!(heights(&[]), [0; 0]);
    }
}
