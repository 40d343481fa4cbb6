//! How near images are to others, pixel by pixel: PSNR and SSIM.

/// The largest value of a pixel.
const RANGE: f64 = 255.0;

/// The squared error that rounding to 8 bits makes by itself: below it PSNR says nothing, and two equal
/// images have a PSNR of 58.9 dB in place of an infinite one.
const ROUNDING: f64 = 1.0 / 12.0;

/// The radius of SSIM's window of 11 x 11 pixels, and the standard deviation of its weights.
const RADIUS: usize = 5;
const SIGMA: f64 = 1.5;

/// The constants of SSIM.
const K1: f64 = 0.01;
const K2: f64 = 0.03;

/// Means over pairs of images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    /// Peak signal-to-noise ratio in dB, up to 58.9.
    pub psnr: f64,
    /// Structural similarity, up to 1; absent for images of fewer than 11 pixels a side.
    pub ssim: Option<f64>,
}

impl Similarity {
    /// The means of [`psnr`] and [`ssim`] over the images of 8 bits `[images, channels, height, width]`
    /// that both have; nothing where they have none.
    pub fn mean(images: &[u8], others: &[u8], shape: [usize; 3]) -> Option<Self> {
        let size = shape.iter().product::<usize>().max(1);
        let pairs = || images.chunks_exact(size).zip(others.chunks_exact(size));
        let count = pairs().count();
        let mean = |values: f64| values / count as f64;
        let structural: Option<f64> = pairs().map(|(a, b)| ssim(a, b, shape)).sum();
        (count > 0).then(|| Self {
            psnr: mean(pairs().map(|(a, b)| psnr(a, b)).sum()),
            ssim: structural.map(mean),
        })
    }
}

/// The peak signal-to-noise ratio of two images of 8 bits in dB.
pub fn psnr(image: &[u8], other: &[u8]) -> f64 {
    let squares = image.iter().zip(other);
    let squares = squares.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    let error = squares.sum::<f64>() / image.len() as f64;
    10.0 * (RANGE * RANGE / error.max(ROUNDING)).log10()
}

/// The structural similarity of two images of 8 bits `[channels, height, width]` (Wang et al. 2004, IEEE
/// TIP 13(4)): the mean over channels and over all places of a window of 11 x 11 pixels with Gaussian
/// weights. It is scikit-image's `structural_similarity` with `gaussian_weights=True, sigma=1.5,
/// use_sample_covariance=False`. Nothing where the window has no place.
pub fn ssim(image: &[u8], other: &[u8], [channels, height, width]: [usize; 3]) -> Option<f64> {
    if channels == 0 || height.min(width) < 2 * RADIUS + 1 {
        return None;
    }
    let planes = image
        .chunks_exact(height * width)
        .zip(other.chunks_exact(height * width));
    let sum: f64 = planes.map(|(a, b)| ssim_of_plane(a, b, width)).sum();
    Some(sum / channels as f64)
}

fn ssim_of_plane(image: &[u8], other: &[u8], width: usize) -> f64 {
    let values = |pixels: &[u8]| -> Vec<f64> { pixels.iter().map(|&p| f64::from(p)).collect() };
    let (a, b) = (values(image), values(other));
    let product =
        |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
    let means = [&a, &b].map(|values| weighted_means(values, width));
    let squares = [product(&a, &a), product(&b, &b), product(&a, &b)];
    let squares = squares.map(|values| weighted_means(&values, width));
    let (c1, c2) = ((K1 * RANGE).powi(2), (K2 * RANGE).powi(2));
    let places = means[0].len();
    let similarity = |place: usize| {
        let [a, b] = [means[0][place], means[1][place]];
        let [aa, bb, ab] = [0, 1, 2].map(|of: usize| squares[of][place]);
        let (variances, covariance) = (aa - a * a + bb - b * b, ab - a * b);
        (2.0 * a * b + c1) * (2.0 * covariance + c2) / ((a * a + b * b + c1) * (variances + c2))
    };
    (0..places).map(similarity).sum::<f64>() / places as f64
}

/// Means under the window at each of its places, row by row.
fn weighted_means(values: &[f64], width: usize) -> Vec<f64> {
    let offsets = (0..=2 * RADIUS).map(|place| place as f64 - RADIUS as f64);
    let weights: Vec<f64> = offsets
        .map(|offset| (-offset * offset / (2.0 * SIGMA * SIGMA)).exp())
        .collect();
    let sum: f64 = weights.iter().sum();
    let weighted = |values: &mut dyn Iterator<Item = f64>| {
        let weighted = values.zip(&weights).map(|(value, weight)| value * weight);
        weighted.sum::<f64>() / sum
    };
    let places = width - 2 * RADIUS;
    let of_rows: Vec<f64> = values
        .chunks_exact(width)
        .flat_map(|row| row.windows(weights.len()))
        .map(|window| weighted(&mut window.iter().copied()))
        .collect();
    let rows = of_rows.len() / places - 2 * RADIUS;
    (0..rows * places)
        .map(|place| weighted(&mut of_rows[place..].iter().step_by(places).copied()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images that resemble each other.
    fn images([channels, height, width]: [usize; 3]) -> (Vec<u8>, Vec<u8>) {
        let mut pairs = (Vec::new(), Vec::new());
        for k in 0..channels {
            for y in 0..height {
                for x in 0..width {
                    let value = (7 * x + 13 * y + x * y + 90 * k) % 256;
                    let other = value + (x * x + 3 * y * (k + 1)) % 41;
                    pairs.0.push(value as u8);
                    pairs.1.push(other.saturating_sub(20).min(255) as u8);
                }
            }
        }
        pairs
    }

    /// `peak_signal_noise_ratio` and `structural_similarity` of scikit-image 0.26.0 with
    /// `data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=0`.
    #[test]
    fn values_are_those_of_scikit_image() {
        for (shape, ratio, similarity) in [
            ([1, 11, 11], 27.29998462831417, 0.9323724618726991),
            ([1, 16, 20], 26.776197262754554, 0.9784503912673653),
            ([3, 28, 28], 26.858143690280425, 0.9821380591465281),
        ] {
            let (a, b) = images(shape);
            let found = Similarity::mean(&a, &b, shape).unwrap();
            assert!((found.psnr - ratio).abs() < 1e-9, "{shape:?}: {found:?}");
            let found = found.ssim.unwrap();
            assert!((found - similarity).abs() < 1e-9, "{shape:?}: {found}");
        }
    }

    #[test]
    fn equal_images_are_as_near_as_rounding_can_tell() {
        let shape = [1, 12, 12];
        let (a, b) = images(shape);
        let equal = Similarity::mean(&a, &a, shape).unwrap();
        assert!((equal.psnr - 58.922).abs() < 1e-3, "{equal:?}");
        assert!((equal.ssim.unwrap() - 1.0).abs() < 1e-12);
        let (two, mixed) = ([&a[..], &a].concat(), [&a[..], &b].concat());
        let mean = Similarity::mean(&two, &mixed, shape).unwrap();
        let other = Similarity::mean(&a, &b, shape).unwrap();
        assert!((mean.psnr - (equal.psnr + other.psnr) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn small_images_have_no_window_and_no_images_no_mean() {
        let shape = [1, 10, 40];
        let (a, b) = images(shape);
        assert_eq!(Similarity::mean(&a, &b, shape).unwrap().ssim, None);
        assert_eq!(Similarity::mean(&a, &[], shape), None);
    }
}
