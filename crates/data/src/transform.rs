//! From the data set's bytes to the numbers that the networks see, and back.

use crate::fashion_mnist::{SOURCE_PIXELS, SOURCE_SIDE};

/// Side of the padded images.
pub const SIDE: usize = 32;

/// Pixels of a padded image.
pub const PIXELS: usize = SIDE * SIDE;

/// Rows and columns of background added on each side.
const PADDING: usize = (SIDE - SOURCE_SIDE) / 2;

/// A byte `0..=255` scaled to `[-1, 1]`: x / 127.5 - 1.
pub fn from_byte(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}

/// The nearest byte to a value in `[-1, 1]`; values beyond are clamped, and NaN becomes 0.
pub fn to_byte(value: f32) -> u8 {
    // A cast from float to integer saturates.
    ((value + 1.0) * 127.5).round() as u8
}

/// Writes `source` (28 x 28), padded with background (-1) to 32 x 32 and mirrored left to right
/// where `flip` is set, into `target`.
pub(crate) fn write_padded(source: &[u8; SOURCE_PIXELS], flip: bool, target: &mut [f32; PIXELS]) {
    target.fill(from_byte(0));
    let rows = target.chunks_exact_mut(SIDE).skip(PADDING);
    for (pixels, row) in source.chunks_exact(SOURCE_SIDE).zip(rows) {
        let row = &mut row[PADDING..PADDING + SOURCE_SIDE];
        for (value, &byte) in row.iter_mut().zip(pixels) {
            *value = from_byte(byte);
        }
        if flip {
            row.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_round_trip() {
        for byte in 0..=255 {
            assert_eq!(to_byte(from_byte(byte)), byte);
        }
        assert_eq!((from_byte(0), from_byte(255)), (-1.0, 1.0));
        assert_eq!(
            (to_byte(-1.5), to_byte(1.5), to_byte(f32::NAN)),
            (0, 255, 0)
        );
    }

    #[test]
    fn pads_evenly_and_flips_left_to_right() {
        let mut source = [0; SOURCE_PIXELS];
        source[0] = 255;
        source[SOURCE_PIXELS - 1] = 51;
        let mut target = [9.0; PIXELS];
        write_padded(&source, false, &mut target);
        assert_eq!(target[2 * SIDE + 2], 1.0);
        assert_eq!(target[29 * SIDE + 29], -0.6);
        assert_eq!(
            target.iter().filter(|&&value| value == -1.0).count(),
            PIXELS - 2
        );
        write_padded(&source, true, &mut target);
        assert_eq!(target[2 * SIDE + 29], 1.0);
        assert_eq!(target[29 * SIDE + 2], -0.6);
    }
}
