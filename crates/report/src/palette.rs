//! Colours that stay apart for readers with any colour vision.

/// Red, green and blue.
pub type Colour = [u8; 3];

// Okabe and Ito, "Color Universal Design" (2008).
/// The full model.
pub const BLACK: Colour = [0, 0, 0];
/// Static depths, and the full model's bar in a grid of pairs.
pub const BLUE: Colour = [0, 114, 178];
/// AdaDiff.
pub const VERMILLION: Colour = [213, 94, 0];

/// Colours of curves; the palette's yellow is left out, which is hard to see on white.
pub const CURVES: [Colour; 7] = [
    BLACK,
    BLUE,
    VERMILLION,
    [0, 158, 115],
    [204, 121, 167],
    [230, 159, 0],
    [86, 180, 233],
];

/// What only helps to read a chart.
pub const GUIDE: Colour = [110, 110, 110];

/// Nine evenly spaced colours of matplotlib's viridis (Smith and van der Walt, 2015), from its
/// published table.
const VIRIDIS: [Colour; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];

/// The sequential colour of a value in `[0, 1]`, dark to bright; values outside are clamped.
pub fn sequential(value: f64) -> Colour {
    let position = value.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let lower = (position as usize).min(VIRIDIS.len() - 2);
    let fraction = position - lower as f64;
    std::array::from_fn(|channel| {
        let [from, to] = [VIRIDIS[lower], VIRIDIS[lower + 1]].map(|stop| f64::from(stop[channel]));
        (from + fraction * (to - from)).round() as u8
    })
}

/// The sequential colours as a CSS gradient from left to right.
pub fn sequential_gradient() -> String {
    let stops = VIRIDIS.map(|[red, green, blue]| format!("#{red:02x}{green:02x}{blue:02x}"));
    format!("linear-gradient(to right, {})", stops.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequential_colours_pass_through_the_stops_and_brighten() {
        assert_eq!(sequential(0.0), [68, 1, 84]);
        assert_eq!(sequential(0.5), [33, 144, 141]);
        assert_eq!(sequential(1.0), [253, 231, 37]);
        assert_eq!(sequential(7.0), sequential(1.0));
        let luminance = |index: u32| {
            let [red, green, blue] = sequential(f64::from(index) / 100.0).map(f64::from);
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        assert!((0..100).all(|index| luminance(index) < luminance(index + 1)));
    }
}
