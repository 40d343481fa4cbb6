//! The loss of the backbone.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::reduce::mean_square_per_sample;

/// L_simple (Ho et al. 2020, eq. 14): the squared error of the predicted noise.
///
/// # Shapes
/// - `noise_prediction`, `noise`: `[batch, channels, height, width]`
/// - output: `[batch]`, the mean over the other axes
pub fn simple_loss<B: Backend>(
    noise_prediction: Tensor<B, 4>,
    noise: Tensor<B, 4>,
) -> Tensor<B, 1> {
    mean_square_per_sample(noise_prediction - noise)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, device, image, images, values};

    #[test]
    fn is_the_mean_square_of_each_sample() {
        let device = device();
        let prediction = images([[1.0, 2.0], [0.5, -1.0]], &device);
        let noise = images([[0.0, 4.0], [0.5, 1.0]], &device);
        assert_close(&values(simple_loss(prediction, noise)), &[2.5, 2.0]);
    }

    #[test]
    fn gradient_is_twice_the_residual_over_the_element_count() {
        let device = device();
        let prediction = image([1.0, 2.0], &device).require_grad();
        let gradients = simple_loss(prediction.clone(), image([0.0, 4.0], &device)).backward();
        let gradient = prediction.grad(&gradients).unwrap();
        assert_close(&values(gradient), &[1.0, -2.0]);
    }
}
