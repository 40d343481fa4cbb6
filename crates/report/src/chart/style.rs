//! How curves look: they stay apart without colour, by the shape of their markers.

use serde::{Deserialize, Serialize};

use super::super::palette::{CURVES, Colour, GUIDE};

/// The look of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// A curve with markers; equal numbers look the same in every chart.
    Curve(usize),
    /// Grey and dashed without markers: what other curves are read against.
    Guide,
}

/// A marker's corners, relative to its point.
type Corners = &'static [(i32, i32)];

const SQUARE: Corners = &[(-6, -6), (6, -6), (6, 6), (-6, 6)];
const TRIANGLE: Corners = &[(0, -8), (8, 6), (-8, 6)];
const DIAMOND: Corners = &[(0, -8), (8, 0), (0, 8), (-8, 0)];
const DOWNWARDS: Corners = &[(0, 8), (8, -6), (-8, -6)];
const HEXAGON: Corners = &[(-7, 0), (-4, -6), (4, -6), (7, 0), (4, 6), (-4, 6)];
const CROSS: Corners = &[
    (-3, -7),
    (3, -7),
    (3, -3),
    (7, -3),
    (7, 3),
    (3, 3),
    (3, 7),
    (-3, 7),
    (-3, 3),
    (-7, 3),
    (-7, -3),
    (-3, -3),
];
const HOURGLASS: Corners = &[(-7, -7), (7, -7), (0, 0), (7, 7), (-7, 7), (0, 0)];
const LEFTWARDS: Corners = &[(-8, 0), (6, -8), (6, 8)];

const MARKERS: [Corners; 8] = [
    SQUARE, TRIANGLE, DIAMOND, DOWNWARDS, HEXAGON, CROSS, HOURGLASS, LEFTWARDS,
];

impl Style {
    /// The full model.
    pub const FULL: Self = Self::Curve(0);
    /// Static depths.
    pub const STATIC: Self = Self::Curve(1);
    /// AdaDiff.
    pub const ADADIFF: Self = Self::Curve(2);

    pub(super) fn colour(self) -> Colour {
        match self {
            Self::Curve(number) => CURVES[number % CURVES.len()],
            Self::Guide => GUIDE,
        }
    }

    /// The corners of the marker. The numbers of colours and of shapes have no common divisor, so
    /// that 56 curves differ in one of them.
    pub(super) fn marker(self) -> Option<Corners> {
        match self {
            Self::Curve(number) => Some(MARKERS[number % MARKERS.len()]),
            Self::Guide => None,
        }
    }

    /// Whether what stands beside a point stands under it; neighbours differ.
    pub(super) fn writes_below(self) -> bool {
        matches!(self, Self::Curve(number) if number % 2 == 0 && number > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn many_curves_stay_apart() {
        let looks = (0..56).map(|number| {
            let style = Style::Curve(number);
            (style.colour(), style.marker())
        });
        assert_eq!(looks.collect::<BTreeSet<_>>().len(), 56);
    }
}
