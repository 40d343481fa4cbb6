//! The loss of the uncertainty estimators.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::reduce::{columns, mean_square_per_sample, residuals, sum_columns};

/// L_u as the paper has it: the squared error between `u_i` and `tanh|g_i - eps|`, summed over blocks.
///
/// The target is detached: the estimator learns how wrong a block is, the block does not learn to
/// be as wrong as the estimator says.
///
/// # Shapes
/// - `uncertainties`, `layer_predictions`: one `[batch, channels, height, width]` of each block
/// - `noise`: `[batch, channels, height, width]`
/// - output: `[batch]`, the mean over the other axes, summed over blocks
///
/// # Panics
/// Where the numbers of uncertainty maps and of predictions differ or are zero.
pub fn uncertainty_loss<B: Backend>(
    uncertainties: &[Tensor<B, 4>],
    layer_predictions: &[Tensor<B, 4>],
    noise: Tensor<B, 4>,
) -> Tensor<B, 1> {
    of_residuals(
        uncertainties,
        &residuals(uncertainties, layer_predictions, &noise),
    )
}

/// L_u as the published code has it: [`uncertainty_loss`] averaged over blocks instead of summed.
///
/// The code compares certainties, `1 - u_i` with `1 - tanh|g_i - eps|`: the same squared error.
///
/// # Shapes
/// As [`uncertainty_loss`].
///
/// # Panics
/// As [`uncertainty_loss`].
pub fn uncertainty_loss_published<B: Backend>(
    uncertainties: &[Tensor<B, 4>],
    layer_predictions: &[Tensor<B, 4>],
    noise: Tensor<B, 4>,
) -> Tensor<B, 1> {
    uncertainty_loss(uncertainties, layer_predictions, noise) / uncertainties.len() as f64
}

/// [`uncertainty_loss`] of the residuals `g_i - eps`.
pub(crate) fn of_residuals<B: Backend>(
    uncertainties: &[Tensor<B, 4>],
    residuals: &[Tensor<B, 4>],
) -> Tensor<B, 1> {
    let per_block = uncertainties
        .iter()
        .zip(residuals)
        .map(|(uncertainty, residual)| {
            let target = residual.clone().detach().abs().tanh();
            mean_square_per_sample(uncertainty.clone() - target)
        });
    sum_columns(columns(per_block.collect()))
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::testing::{Differentiable, assert_close, device, image, images, values};

    #[test]
    fn is_the_squared_distance_to_the_bounded_error_summed_over_blocks() {
        let device = device();
        let uncertainties = [
            images([[0.5, 0.0], [1.0, 0.25]], &device),
            images([[0.0, 0.0], [0.5, 0.5]], &device),
        ];
        let predictions = [
            images([[1.0, -2.0], [0.0, 0.5]], &device),
            images([[0.0, 3.0], [0.0, 0.0]], &device),
        ];
        let noise = images([[0.0, 0.0], [0.0, 0.0]], &device);

        let squared = |u: f32, error: f32| (u - error.tanh()).powi(2);
        let expected = [
            (squared(0.5, 1.0) + squared(0.0, 2.0) + squared(0.0, 3.0)) / 2.0,
            (squared(1.0, 0.0) + squared(0.25, 0.5) + 2.0 * squared(0.5, 0.0)) / 2.0,
        ];
        let summed = uncertainty_loss(&uncertainties, &predictions, noise.clone());
        assert_close(&values(summed), &expected);
        let averaged = uncertainty_loss_published(&uncertainties, &predictions, noise);
        assert_close(&values(averaged), &expected.map(|loss| loss / 2.0));
    }

    #[test]
    fn gradient_reaches_the_uncertainty_and_not_the_prediction() {
        let device = device();
        let uncertainty = image([0.5, 0.25], &device).require_grad();
        let prediction = image([1.0, -2.0], &device).require_grad();
        let noise = Tensor::<Differentiable, 4>::zeros([1, 1, 1, 2], &device);

        let loss = uncertainty_loss(from_ref(&uncertainty), from_ref(&prediction), noise);
        let gradients = loss.backward();
        let expected = [0.5 - 1.0_f32.tanh(), 0.25 - 2.0_f32.tanh()];
        assert_close(&values(uncertainty.grad(&gradients).unwrap()), &expected);
        assert!(prediction.grad(&gradients).is_none());
    }
}
