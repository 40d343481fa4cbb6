//! Figure 5 and time against blocks: every method's points, drawn from the lines of results.

use std::collections::BTreeMap;

use adadiff_report::chart::{Axis, Chart, Point, Scale, Series, Style};

use crate::methods::{Method, MethodEntry};
use crate::results::{MeanAndSpread, RecordedTable, ResultRow, Results, TimingRecord};
use crate::tables::metric_name;

/// The points of all methods, from the table of the trade-off.
#[derive(Clone, Debug)]
pub struct TradeOff<'a> {
    points: Vec<MeasuredPoint<'a>>,
    metric: String,
}

/// One setting of a method.
#[derive(Clone, Debug)]
struct MeasuredPoint<'a> {
    label: &'a str,
    method: Method,
    quality: Option<Quality>,
    time: Option<TimingRecord>,
}

/// Means over seeds.
#[derive(Clone, Copy, Debug)]
struct Quality {
    distance: MeanAndSpread,
    blocks: f64,
    gflops: f64,
}

impl<'a> TradeOff<'a> {
    pub fn new(results: &'a Results, table: &'a RecordedTable) -> Self {
        let mut metric = "FD".to_owned();
        let points = table.entries.iter().filter_map(|entry| {
            let rows: Vec<&ResultRow> = results.qualities(entry).collect();
            let mean = |number: fn(&ResultRow) -> f64| {
                MeanAndSpread::from_numbers(rows.iter().map(|row| number(row)))
            };
            if let Some(row) = rows.first() {
                metric = format!("{}, {} samples", metric_name(&row.features), row.samples);
            }
            let quality = mean(|row| row.frechet_distance).map(|distance| Quality {
                distance,
                blocks: mean(|row| row.blocks_mean).map_or(0.0, |mean| mean.mean),
                gflops: mean(|row| row.gflops_per_image).map_or(0.0, |mean| mean.mean),
            });
            let of_quality = rows.first().and_then(|row| row.setting);
            let of_time = entry
                .timing
                .as_deref()
                .and_then(|id| results.timed_method(id));
            Some(MeasuredPoint {
                label: &entry.label,
                method: of_quality.or(of_time)?,
                quality,
                time: results.comparable_time(table, entry),
            })
        });
        let points = points.collect();
        Self { points, metric }
    }

    /// Distance over the share of the full network's operations that is saved, a measure that all
    /// methods share: some skip blocks, some steps, some tokens.
    pub fn over_operations(&self) -> Option<Chart> {
        let full = self
            .points
            .iter()
            .find(|point| point.method == Method::Full)?;
        let full = full.quality?.gflops;
        let chart = self.chart(
            "Fréchet distance over operations saved",
            Axis::new("operations saved (%)", Scale::FromZero),
            |point| {
                let quality = point.quality?;
                let saved = 100.0 * (1.0 - quality.gflops / full);
                let told = format!("{saved:.1} % saved, {:.1} blocks", quality.blocks);
                Some((saved, quality.distance, told))
            },
        );
        Some(chart).filter(has_points)
    }

    /// Distance over measured time, as how many times as fast as the full network a method is.
    pub fn over_speedup(&self) -> Option<Chart> {
        let chart = self.chart(
            "Fréchet distance over speed-up",
            Axis::new("times as fast as the full model, measured", Scale::Around),
            |point| {
                let (quality, time) = (point.quality?, point.time?);
                let told = format!(
                    "{:.4} s, {:.2} times as fast",
                    time.seconds_per_image,
                    time.speedup()
                );
                Some((time.speedup(), quality.distance, told))
            },
        );
        Some(chart).filter(has_points)
    }

    /// Measured time over mean blocks, beside what it would be if blocks were all there is.
    pub fn time_over_blocks(&self) -> Option<Chart> {
        let skips_blocks = |method: Method| {
            matches!(
                method,
                Method::Full
                    | Method::StaticDepth { .. }
                    | Method::AdaDiff { .. }
                    | Method::Published { .. }
                    | Method::Saturation { .. }
                    | Method::LearnedExit { .. }
                    | Method::DepthDrop { .. }
            )
        };
        let full = self
            .points
            .iter()
            .find(|point| point.method == Method::Full)?;
        let full = full.time?;
        let mut chart = self.curves(|point| {
            let time = point.time.filter(|_| skips_blocks(point.method))?;
            Some(Point {
                x: time.blocks_mean,
                y: time.seconds_per_image,
                text: format!(
                    "{}: {:.2} blocks, {:.4} s",
                    point.label, time.blocks_mean, time.seconds_per_image
                ),
                ..Point::default()
            })
        });
        let end = |x, y| Point {
            x,
            y,
            ..Point::default()
        };
        let ideal = Series {
            name: "blocks alone".to_owned(),
            style: Style::Guide,
            points: vec![
                end(0.0, 0.0),
                end(full.blocks_mean, full.full_seconds_per_image),
            ],
        };
        chart.insert(0, ideal);
        Some(Chart {
            title: "Seconds per image over mean blocks".to_owned(),
            x: Axis::new("mean blocks run", Scale::FromZero),
            y: Axis::new("seconds per image, measured", Scale::FromZero),
            series: chart,
        })
    }

    fn chart(
        &self,
        title: &str,
        x: Axis,
        place: impl Fn(&MeasuredPoint<'_>) -> Option<(f64, MeanAndSpread, String)>,
    ) -> Chart {
        let series = self.curves(|point| {
            let (x, distance, told) = place(point)?;
            Some(Point {
                x,
                y: distance.mean,
                spread: distance.spread,
                beside: None,
                text: format!("{}: FD {}, {told}", point.label, distance.text(2)),
            })
        });
        Chart {
            title: title.to_owned(),
            x,
            y: Axis::new(self.metric.clone(), Scale::Automatic),
            series,
        }
    }

    /// One curve for each method, its points from left to right.
    fn curves(&self, place: impl Fn(&MeasuredPoint<'_>) -> Option<Point>) -> Vec<Series> {
        let mut curves: BTreeMap<usize, Series> = BTreeMap::new();
        for measured in &self.points {
            let Some(point) = place(measured) else {
                continue;
            };
            let MethodEntry {
                curve: name, look, ..
            } = *measured.method.entry();
            let curve = curves.entry(look).or_insert_with(|| Series {
                name: name.to_owned(),
                style: Style::Curve(look),
                points: Vec::new(),
            });
            curve.points.push(point);
        }
        let mut curves: Vec<Series> = curves.into_values().collect();
        for curve in &mut curves {
            curve.points.sort_by(|a, b| a.x.total_cmp(&b.x));
        }
        curves
    }
}

fn has_points(chart: &Chart) -> bool {
    chart.series.iter().any(|series| !series.points.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::TableName;
    use crate::tables::examples::example;

    #[test]
    fn every_method_has_its_place_in_every_chart() {
        let folder = tempfile::tempdir().unwrap();
        let (results, table) = example(folder.path(), TableName::TradeOff);
        let trade_off = TradeOff::new(&results, &table);
        let chart = trade_off.over_operations().unwrap();
        let names: Vec<_> = chart
            .series
            .iter()
            .map(|series| series.name.as_str())
            .collect();
        assert_eq!(
            names,
            ["full model", "static depth", "AdaDiff, by distance"]
        );
        let full = &chart.series[0].points[0];
        assert_eq!((full.x, full.y), (0.0, 4.25));
        assert!((full.spread.unwrap() - 0.125_f64.sqrt()).abs() < 1e-12);
        // 4.5 of 8.125 billions.
        assert!((chart.series[2].points[0].x - 44.615).abs() < 1e-3);
        assert_eq!(chart.y.label, "FD (fashion-cnn), 512 samples");

        let chart = trade_off.over_speedup().unwrap();
        assert_eq!(chart.series[2].points[0].x, 2.0);
        assert_eq!(
            chart.series[2].points[0].text,
            "AdaDiff: FD 5.50, 0.0160 s, 2.00 times as fast"
        );

        let chart = trade_off.time_over_blocks().unwrap();
        assert_eq!(chart.series[0].points[1].x, 13.0);
        assert_eq!(chart.series[2].name, "static depth");
        // It was timed where the full network took twice as long.
        let point = &chart.series[2].points[0];
        assert_eq!(point.x, 7.0);
        assert!((point.y - 0.018).abs() < 1e-12, "{}", point.y);
    }

    #[test]
    fn without_times_there_is_no_chart_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let (results, mut table) = example(folder.path(), TableName::TradeOff);
        for entry in &mut table.entries {
            entry.timing = None;
        }
        let trade_off = TradeOff::new(&results, &table);
        assert!(trade_off.over_speedup().is_none());
        assert!(trade_off.time_over_blocks().is_none());
        assert!(trade_off.over_operations().is_some());
    }
}
