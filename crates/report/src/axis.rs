//! Axes with the tick marks that a reader expects.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;

/// Whole numbers `1..=last`, each in the middle of a cell of width one.
pub struct CountAxis {
    last: u32,
}

impl CountAxis {
    /// An axis of this many cells.
    pub fn new(last: u32) -> Self {
        Self { last }
    }
}

impl Ranged for CountAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        interpolate((value - 0.5) / f64::from(self.last), limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let at_most = hint.max_num_points().max(1) as u32;
        let strides = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
        let stride = strides
            .into_iter()
            .find(|stride| self.last / stride < at_most);
        match stride.unwrap_or(self.last.max(1)) {
            // Odd numbers begin with the first cell; multiples of five read better than 1, 6, 11.
            stride @ (1 | 2) => (1..=self.last)
                .step_by(stride as usize)
                .map(f64::from)
                .collect(),
            stride => {
                let multiples = (stride..=self.last).step_by(stride as usize);
                std::iter::once(1).chain(multiples).map(f64::from).collect()
            }
        }
    }

    fn range(&self) -> Range<f64> {
        0.5..f64::from(self.last) + 0.5
    }
}

impl ValueFormatter<f64> for CountAxis {
    fn format(value: &f64) -> String {
        format!("{value:.0}")
    }
}

/// Numbers, linear or logarithmic.
pub struct ValueAxis {
    range: Range<f64>,
    logarithmic: bool,
}

impl ValueAxis {
    /// A linear axis.
    pub fn linear(range: Range<f64>) -> Self {
        Self {
            range,
            logarithmic: false,
        }
    }

    /// Positive numbers with room around them: linear from zero, or logarithmic where they span more
    /// than a factor of 20.
    pub fn around(values: impl Iterator<Item = f64> + Clone) -> Self {
        let largest = values.clone().fold(0.0, f64::max);
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let smallest = values.filter(|&value| value > 0.0).fold(largest, f64::min);
        let logarithmic = largest > 20.0 * smallest;
        let range = if logarithmic {
            smallest / 1.5..largest * 1.5
        } else {
            0.0..largest * 1.12
        };
        Self { range, logarithmic }
    }
}

impl Ranged for ValueAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let Range { start, end } = self.range;
        let position = if self.logarithmic {
            (value.max(start) / start).ln() / (end / start).ln()
        } else {
            (value - start) / (end - start)
        };
        interpolate(position, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if !self.logarithmic {
            return RangedCoordf64::from(self.range.clone()).key_points(hint);
        }
        let decades = self.range.start.log10().floor() as i32..=self.range.end.log10() as i32;
        let ticks = |mantissas: &[f64]| -> Vec<f64> {
            decades
                .clone()
                .flat_map(|decade| {
                    mantissas
                        .iter()
                        .map(move |value| value * 10f64.powi(decade))
                })
                .filter(|tick| self.range.contains(tick))
                .collect()
        };
        let fine = ticks(&[1.0, 2.0, 5.0]);
        if fine.len() <= hint.max_num_points() {
            fine
        } else {
            ticks(&[1.0])
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for ValueAxis {
    fn format(value: &f64) -> String {
        let text = format!("{value:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

fn interpolate(position: f64, (from, to): (i32, i32)) -> i32 {
    (f64::from(from) + position * f64::from(to - from)).round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_marked_at_whole_numbers() {
        assert_eq!(CountAxis::new(4).key_points(10), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(
            CountAxis::new(13).key_points(10),
            [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0]
        );
        assert_eq!(
            CountAxis::new(20).key_points(10),
            [1.0, 5.0, 10.0, 15.0, 20.0]
        );
        assert_eq!(CountAxis::new(20).map(&1.0, (0, 200)), 5);
        assert_eq!(CountAxis::new(20).map(&20.0, (0, 200)), 195);
    }

    #[test]
    fn distances_far_apart_are_logarithmic() {
        let near = ValueAxis::around([4.0, 31.0].into_iter());
        assert_eq!(near.map(&0.0, (100, 0)), 100);
        let far = ValueAxis::around([4.0, 300.0].into_iter());
        assert_eq!(far.key_points(10), [5.0, 10.0, 20.0, 50.0, 100.0, 200.0]);
        assert_eq!(far.key_points(3), [10.0, 100.0]);
        let [low, middle, high] = [10.0, 30.0, 90.0].map(|value| far.map(&value, (0, 1000)));
        assert!(
            (high - middle).abs_diff(middle - low) <= 1,
            "{low} {middle} {high}"
        );
        assert_eq!(ValueAxis::format(&0.1), "0.1");
        assert_eq!(ValueAxis::format(&200.0), "200");
    }
}
