//! The forward process: what training does to images.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::NoiseSchedule;

/// Noisy images `x_t = alpha(t) x_0 + sigma(t) eps`, each at its own time.
///
/// # Shapes
/// - `images`, `noise`: `[batch, channels, height, width]`
/// - `times`: `batch` times
/// - output: as `images`
pub fn diffuse<B: Backend>(
    schedule: &dyn NoiseSchedule,
    images: Tensor<B, 4>,
    noise: Tensor<B, 4>,
    times: &[f64],
) -> Tensor<B, 4> {
    let device = images.device();
    let column = |coefficient: &dyn Fn(f64) -> f64| {
        let values: Vec<f32> = times.iter().map(|&time| coefficient(time) as f32).collect();
        Tensor::<B, 4>::from_data(TensorData::new(values, [times.len(), 1, 1, 1]), &device)
    };
    images * column(&|time| schedule.alpha(time)) + noise * column(&|time| schedule.sigma(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VpLinear;
    use crate::testing::{Plain, device, values};

    #[test]
    fn each_image_has_its_own_time() {
        let device = device();
        let schedule = VpLinear::default();
        let images = Tensor::<Plain, 4>::ones([2, 1, 1, 1], &device) * 2.0;
        let noise = Tensor::<Plain, 4>::ones([2, 1, 1, 1], &device) * -3.0;
        let times = [0.1, 0.9];
        let expected = times.map(|t| (2.0 * schedule.alpha(t) - 3.0 * schedule.sigma(t)) as f32);
        for (found, expected) in values(diffuse(&schedule, images, noise, &times))
            .iter()
            .zip(expected)
        {
            assert!((found - expected).abs() < 1e-6);
        }
    }
}
