//! Resizing as Pillow does it (`src/libImaging/Resample.c`), to the last bit: rows, then columns,
//! with bytes between.
//!
//! Statistics of images move with the way they were resized (Parmar et al. 2022, arXiv 2104.11222),
//! and the published ones rest on the Pillow of their time; since its version 13, it begins with
//! columns where that is cheaper, as no published reader needs it. The crates made for resizing,
//! fast_image_resize 6.1 and pic-scale 0.7, differ by up to 60 grey levels at sharp edges.

use std::f64::consts::PI;

use image::RgbImage;

/// Fractional bits of a weight: 32, less 8 of a byte and 2 for filters that overshoot.
const PRECISION: u32 = 32 - 8 - 2;

/// Bytes of a pixel.
const CHANNELS: usize = 3;

/// The filters, stretched by the factor of a reduction, so that every source pixel counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// The mean of a pixel's area.
    Box,
    /// A triangle.
    Bilinear,
    /// Keys' cubic with a = -0.5.
    Bicubic,
    /// A sinc, windowed to three lobes on each side.
    Lanczos,
}

impl Filter {
    /// Half of the filter's width, in pixels of the larger of the two grids.
    fn support(self) -> f64 {
        match self {
            Self::Box => 0.5,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        let distance = x.abs();
        match self {
            Self::Box if -0.5 < x && x <= 0.5 => 1.0,
            Self::Bilinear if distance < 1.0 => 1.0 - distance,
            Self::Bicubic if distance < 1.0 => (1.5 * distance - 2.5) * distance * distance + 1.0,
            Self::Bicubic if distance < 2.0 => {
                (((distance - 5.0) * distance + 8.0) * distance - 4.0) * -0.5
            }
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            _ => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

/// What one output pixel takes from a line of input pixels.
struct Taps {
    first: usize,
    /// In units of 2^-[`PRECISION`].
    weights: Vec<i32>,
}

/// Resizes to `width` x `height`, neither 0.
pub(crate) fn resize(image: &RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    let rows = (width != image.width()).then(|| resize_rows(image, width, filter));
    let image = rows.as_ref().unwrap_or(image);
    if height == image.height() {
        return image.clone();
    }
    resize_columns(image, height, filter)
}

/// The taps of all pixels of a line that is resized from `source` to `target` pixels.
fn taps(source: u32, target: u32, filter: Filter) -> Vec<Taps> {
    let scale = f64::from(source) / f64::from(target);
    let stretch = scale.max(1.0);
    let support = filter.support() * stretch;
    let taps = (0..target).map(|pixel| {
        let centre = (f64::from(pixel) + 0.5) * scale;
        // Casts cut off the fraction and go no further than the type's ends.
        let first = (centre - support + 0.5) as u32;
        let end = ((centre + support + 0.5) as u32).min(source);
        let weights: Vec<f64> = (first..end)
            .map(|at| filter.at((f64::from(at) - centre + 0.5) * (1.0 / stretch)))
            .collect();
        let sum: f64 = weights.iter().sum();
        let normal = if sum == 0.0 { 1.0 } else { 1.0 / sum };
        let unit = f64::from(1 << PRECISION);
        Taps {
            first: first as usize,
            weights: weights
                .iter()
                .map(|weight| (weight * normal * unit).round() as i32)
                .collect(),
        }
    });
    taps.collect()
}

fn resize_rows(image: &RgbImage, width: u32, filter: Filter) -> RgbImage {
    let taps = taps(image.width(), width, filter);
    let mut resized = RgbImage::new(width, image.height());
    let sources = image.chunks_exact(image.width() as usize * CHANNELS);
    let targets = resized.chunks_exact_mut(width as usize * CHANNELS);
    for (source, target) in sources.zip(targets) {
        let (source, _) = source.as_chunks::<CHANNELS>();
        let (target, _) = target.as_chunks_mut::<CHANNELS>();
        for (pixel, taps) in target.iter_mut().zip(&taps) {
            let mut sums = [HALF; CHANNELS];
            for (bytes, &weight) in source[taps.first..].iter().zip(&taps.weights) {
                for (sum, &byte) in sums.iter_mut().zip(bytes) {
                    *sum += i32::from(byte) * weight;
                }
            }
            *pixel = sums.map(to_byte);
        }
    }
    resized
}

fn resize_columns(image: &RgbImage, height: u32, filter: Filter) -> RgbImage {
    let row = image.width() as usize * CHANNELS;
    let mut resized = RgbImage::new(image.width(), height);
    let taps = taps(image.height(), height, filter);
    let mut sums = vec![HALF; row];
    for (target, taps) in resized.chunks_exact_mut(row).zip(&taps) {
        sums.fill(HALF);
        let sources = image.chunks_exact(row).skip(taps.first);
        for (source, &weight) in sources.zip(&taps.weights) {
            for (sum, &byte) in sums.iter_mut().zip(source) {
                *sum += i32::from(byte) * weight;
            }
        }
        for (byte, &sum) in target.iter_mut().zip(&sums) {
            *byte = to_byte(sum);
        }
    }
    resized
}

/// One half, which makes cutting off the fraction a rounding.
const HALF: i32 = 1 << (PRECISION - 1);

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

#[cfg(test)]
pub(crate) mod tests {
    use image::Rgb;

    use super::*;

    /// The image that `fixtures/make.py` makes too.
    pub(crate) fn pattern(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let value = |channel: u32| (37 * x + 91 * y + 53 * channel + 7 * x * y) as u8;
            Rgb([0, 1, 2].map(value))
        })
    }

    /// Python's `zlib.crc32` of the pixels.
    pub(crate) fn checksum(image: &RgbImage) -> u32 {
        let mut checksum = flate2::Crc::new();
        checksum.update(image);
        checksum.sum()
    }

    fn assert_pillow(filter: Filter, small: [u8; 18], checksums: [u32; 5]) {
        let image = pattern(13, 11);
        assert_eq!(resize(&image, 3, 2, filter).into_raw(), small);
        let sizes = [(6, 5), (7, 11), (13, 4), (29, 40), (200, 3)];
        for ((width, height), expected) in sizes.into_iter().zip(checksums) {
            let found = checksum(&resize(&image, width, height, filter));
            assert_eq!(found, expected, "{filter:?} to {width} x {height}");
        }
    }

    // Numbers of Pillow 9.5.0, printed by fixtures/make.py.

    #[test]
    fn box_is_pillows() {
        assert_pillow(
            Filter::Box,
            [
                118, 139, 128, 128, 130, 132, 128, 138, 127, 138, 114, 142, 129, 131, 122, 130,
                119, 147,
            ],
            [0x70b62f98, 0xc0635218, 0x733814b5, 0x1a76f549, 0x7a28634a],
        );
    }

    #[test]
    fn bilinear_is_pillows() {
        assert_pillow(
            Filter::Bilinear,
            [
                122, 136, 132, 132, 130, 129, 127, 133, 129, 135, 124, 131, 128, 129, 128, 130,
                121, 135,
            ],
            [0x6f93f33b, 0x325bb8fb, 0x13a960a1, 0x2c18aa73, 0x329c4905],
        );
    }

    #[test]
    fn bicubic_is_pillows() {
        assert_pillow(
            Filter::Bicubic,
            [
                121, 136, 133, 132, 130, 128, 127, 133, 129, 136, 122, 131, 128, 130, 126, 130,
                119, 137,
            ],
            [0xec66b328, 0x085ee454, 0x064cb29a, 0x5020cd64, 0x31892764],
        );
    }

    #[test]
    fn lanczos_is_pillows() {
        assert_pillow(
            Filter::Lanczos,
            [
                121, 137, 134, 133, 130, 128, 126, 132, 129, 137, 122, 131, 129, 131, 124, 131,
                119, 138,
            ],
            [0x14f1dd80, 0x26021785, 0x472b1530, 0x4cbd3ffc, 0xebdec456],
        );
    }

    #[test]
    fn one_colour_stays_one_colour() {
        let image = RgbImage::from_pixel(31, 17, Rgb([255, 0, 129]));
        for filter in [
            Filter::Box,
            Filter::Bilinear,
            Filter::Bicubic,
            Filter::Lanczos,
        ] {
            let resized = resize(&image, 9, 40, filter);
            assert!(resized.pixels().all(|pixel| pixel == &Rgb([255, 0, 129])));
        }
    }
}
