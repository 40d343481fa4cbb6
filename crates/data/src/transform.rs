//! From the data set's bytes to the numbers that the networks see, and back.

/// A byte `0..=255` scaled to `[-1, 1]`: x / 127.5 - 1.
pub fn from_byte(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}

/// The nearest byte to a value in `[-1, 1]`; values beyond are clamped, and NaN becomes 0.
pub fn to_byte(value: f32) -> u8 {
    // A cast from float to integer saturates.
    ((value + 1.0) * 127.5).round() as u8
}

/// Scales `bytes` `[height, width, channels]` to `[-1, 1]`, channel by channel `[channels, height,
/// width]` and mirrored left to right where `flip` is set. The size is `[channels, height, width]`.
pub fn to_planes(bytes: &[u8], [channels, height, width]: [usize; 3], flip: bool) -> Vec<f32> {
    let mut values = Vec::with_capacity(channels * height * width);
    for channel in 0..channels {
        for row in bytes.chunks_exact(width * channels) {
            let row = row.iter().skip(channel).step_by(channels);
            if flip {
                values.extend(row.rev().map(|&byte| from_byte(byte)));
            } else {
                values.extend(row.map(|&byte| from_byte(byte)));
            }
        }
    }
    values
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
    fn channels_are_parted_and_rows_mirrored() {
        // Two rows of three pixels of two channels.
        let bytes = [0, 255, 51, 204, 102, 153, 255, 0, 0, 0, 255, 255];
        let first = [-1.0, -0.6, -0.2, 1.0, -1.0, 1.0];
        let second = [1.0, 0.6, 0.2, -1.0, -1.0, 1.0];
        let close = |found: &[f32], expected: [[f32; 6]; 2]| {
            assert_eq!(found.len(), 12);
            for (found, expected) in found.iter().zip(expected.as_flattened()) {
                assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
            }
        };
        close(&to_planes(&bytes, [2, 2, 3], false), [first, second]);
        let mirrored = |row: [f32; 6]| [row[2], row[1], row[0], row[5], row[4], row[3]];
        close(
            &to_planes(&bytes, [2, 2, 3], true),
            [mirrored(first), mirrored(second)],
        );
    }
}
