//! The drawing of [`Chart`].

use std::error::Error;

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::axis::ValueAxis;
use super::{Axis, Chart, Point, Scale, Series, Style};

const WIDTH: u32 = 720;

/// Height of axes and curves.
const CHART: u32 = 460;

/// Height of a line of the legend.
const LINE: u32 = 30;

/// Width of a letter of the legend, on average and rounded up: nothing here knows the reader's font.
const LETTER: f64 = 10.4;

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
    let places = legend_places(chart);
    let lines = places.iter().map(|place| place.1 + 1).max().unwrap_or(0);
    let size = [WIDTH, CHART + LINE * lines + 12];
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (size[0], size[1])).into_drawing_area();
    area.fill(&WHITE)?;
    let (curves, legend) = area.split_vertically(CHART as i32);
    let places_of_points = draw_curves(chart, &curves)?;
    for (series, &(left, line)) in shown(chart).zip(&places) {
        let middle = (line * LINE + LINE / 2) as i32;
        draw_key(&legend, series, (left as i32, middle))?;
    }
    area.present()?;
    drop((area, curves, legend));
    let share = |place: i32, side: u32| f64::from(place) / f64::from(side);
    let hotspots = places_of_points.into_iter().map(|((x, y), text)| Hotspot {
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

/// Left edge and line of every series' name, in as many lines as they need.
fn legend_places(chart: &Chart) -> Vec<(u32, u32)> {
    const START: u32 = 60;
    const KEY: u32 = 40;
    let (mut left, mut line) = (START, 0);
    shown(chart)
        .map(|series| {
            let width = KEY + (LETTER * series.name.chars().count() as f64) as u32 + 16;
            if left > START && left + width > WIDTH {
                (left, line) = (START, line + 1);
            }
            let place = (left, line);
            left += width;
            place
        })
        .collect()
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

/// Draws axes and curves; gives back where the points stand.
fn draw_curves(chart: &Chart, area: &Area<'_>) -> Result<Vec<Told>, Box<dyn Error>> {
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
        .margin(14)
        .x_label_area_size(58)
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

    let mut places = Vec::new();
    for series in shown(chart) {
        let colour = rgb(series.style);
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
        places.extend(series.points.iter().map(|point| {
            let place = context.backend_coord(&(point.x, point.y));
            (place, format!("{}: {}", series.name, point.text))
        }));
    }
    Ok(places)
}

/// Draws a series' line and name at a place of the legend.
fn draw_key(
    area: &Area<'_>,
    series: &Series,
    (left, middle): (i32, i32),
) -> Result<(), Box<dyn Error>> {
    let colour = rgb(series.style);
    let ends = [(left, middle), (left + 28, middle)];
    match series.style.marker() {
        None => area.draw(&DashedPathElement::new(ends, 7, 5, colour.stroke_width(2)))?,
        Some(corners) => {
            area.draw(&PathElement::new(ends, colour.stroke_width(2)))?;
            let moved = corners.iter().map(|(x, y)| (left + 14 + x, middle + y));
            area.draw(&Polygon::new(moved.collect::<Vec<_>>(), colour.filled()))?;
        }
    }
    let style = ("sans-serif", 22)
        .into_font()
        .color(&BLACK)
        .pos(Pos::new(HPos::Left, VPos::Center));
    area.draw(&Text::new(series.name.as_str(), (left + 36, middle), style))?;
    Ok(())
}
