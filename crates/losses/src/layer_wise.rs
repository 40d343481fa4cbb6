//! The uncertainty-aware layer-wise loss, UAL: blocks learn to predict early where they are sure.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::reduce::{columns, mean_per_sample, mean_square_per_sample, residuals, sum_columns};

/// UAL as the paper has it: the squared error of every block but the last, each element weighted by
/// its certainty `1 - u_i`, summed over blocks.
///
/// The last block's error is L_simple already. Neither factor is detached: an error that stays large
/// raises the uncertainty there. With a single block the loss is zero.
///
/// # Shapes
/// - `uncertainties`, `layer_predictions`: one `[batch, channels, height, width]` of each block, the
///   last included
/// - `noise`: `[batch, channels, height, width]`
/// - output: `[batch]`, the mean over the other axes, summed over blocks
///
/// # Panics
/// Where the numbers of uncertainty maps and of predictions differ or are zero.
pub fn ual_paper<B: Backend>(
    uncertainties: &[Tensor<B, 4>],
    layer_predictions: &[Tensor<B, 4>],
    noise: Tensor<B, 4>,
) -> Tensor<B, 1> {
    paper_of_residuals(
        uncertainties,
        &residuals(uncertainties, layer_predictions, &noise),
    )
}

/// UAL as the published code has it: the mean squared errors of all blocks, weighted by scalars that
/// add up to one.
///
/// The weight of block `i` is `w_i = c_i / sum_j c_j`, where `c_i` is the mean certainty over the
/// whole batch; it is not detached. The weights couple the samples of a batch.
///
/// # Shapes
/// As [`ual_paper`].
///
/// # Panics
/// As [`ual_paper`].
pub fn ual_published<B: Backend>(
    uncertainties: &[Tensor<B, 4>],
    layer_predictions: &[Tensor<B, 4>],
    noise: Tensor<B, 4>,
) -> Tensor<B, 1> {
    published_of_residuals(
        uncertainties,
        &residuals(uncertainties, layer_predictions, &noise),
    )
}

/// [`ual_paper`] of the residuals `g_i - eps`.
pub(crate) fn paper_of_residuals<B: Backend>(
    uncertainties: &[Tensor<B, 4>],
    residuals: &[Tensor<B, 4>],
) -> Tensor<B, 1> {
    let per_block: Vec<_> = uncertainties
        .iter()
        .zip(residuals)
        .take(residuals.len() - 1)
        .map(|(uncertainty, residual)| {
            let certainty = uncertainty.clone().neg() + 1.0;
            mean_per_sample(certainty * residual.clone() * residual.clone())
        })
        .collect();
    if per_block.is_empty() {
        let [batch, ..] = residuals[0].dims();
        return Tensor::zeros([batch], &residuals[0].device());
    }
    sum_columns(columns(per_block))
}

/// [`ual_published`] of the residuals `g_i - eps`.
pub(crate) fn published_of_residuals<B: Backend>(
    uncertainties: &[Tensor<B, 4>],
    residuals: &[Tensor<B, 4>],
) -> Tensor<B, 1> {
    let certainty: Vec<_> = uncertainties
        .iter()
        .map(|uncertainty| uncertainty.clone().mean().neg() + 1.0)
        .collect();
    let certainty = Tensor::cat(certainty, 0); // [blocks]
    let weights = certainty.clone() / certainty.sum();
    let errors = residuals
        .iter()
        .map(|residual| mean_square_per_sample(residual.clone()));
    sum_columns(columns(errors.collect()) * weights.unsqueeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Differentiable, assert_close, device, image, images, values};

    #[test]
    fn paper_weighs_each_element_and_leaves_out_the_last_block() {
        let device = device();
        let uncertainties = [
            [[0.5, 0.0], [1.0, 0.25]],
            [[0.0, 1.0], [0.5, 0.5]],
            [[0.0, 0.0], [0.0, 0.0]],
        ]
        .map(|map| images(map, &device));
        let predictions = [
            [[1.0, -2.0], [7.0, 2.0]],
            [[1.0, 9.0], [2.0, 4.0]],
            [[9.0, 9.0], [9.0, 9.0]],
        ]
        .map(|map| images(map, &device));
        let noise = images([[0.0, 0.0], [0.0, 0.0]], &device);

        let expected = [(0.5 + 4.0 + 1.0) / 2.0, (0.75 * 4.0 + 2.0 + 8.0) / 2.0];
        assert_close(
            &values(ual_paper(&uncertainties, &predictions, noise)),
            &expected,
        );
    }

    #[test]
    fn paper_gradient_reaches_both_factors() {
        let device = device();
        let uncertainty = image([0.5, 0.25], &device).require_grad();
        let prediction = image([1.0, -2.0], &device).require_grad();
        let last = image([0.0, 0.0], &device);
        let noise = Tensor::<Differentiable, 4>::zeros([1, 1, 1, 2], &device);

        let loss = ual_paper(
            &[uncertainty.clone(), last.clone()],
            &[prediction.clone(), last],
            noise,
        );
        let gradients = loss.backward();
        // d/du of the mean of (1 - u) d^2 is -d^2 / 2, d/dd is (1 - u) d, over two elements.
        assert_close(
            &values(uncertainty.grad(&gradients).unwrap()),
            &[-0.5, -2.0],
        );
        assert_close(&values(prediction.grad(&gradients).unwrap()), &[0.5, -1.5]);
    }

    #[test]
    fn paper_loss_of_a_single_block_is_zero() {
        let device = device();
        let block = [images([[0.5, 0.0], [1.0, 0.25]], &device)];
        let noise = images([[0.0, 0.0], [0.0, 0.0]], &device);
        assert_close(&values(ual_paper(&block, &block, noise)), &[0.0, 0.0]);
    }

    #[test]
    fn published_weights_add_up_to_one_over_all_blocks() {
        let device = device();
        // Mean certainties over the batch: 0.75 and 0.25.
        let uncertainties = [
            images([[0.5, 0.0], [0.25, 0.25]], &device),
            images([[1.0, 1.0], [1.0, 0.0]], &device),
        ];
        let predictions = [
            images([[1.0, -1.0], [2.0, 2.0]], &device),
            images([[3.0, 1.0], [4.0, 0.0]], &device),
        ];
        let noise = images([[0.0, 0.0], [0.0, 0.0]], &device);

        let expected = [0.75 * 1.0 + 0.25 * 5.0, 0.75 * 4.0 + 0.25 * 8.0];
        assert_close(
            &values(ual_published(&uncertainties, &predictions, noise)),
            &expected,
        );
    }

    #[test]
    fn published_gradient_reaches_the_weights() {
        let device = device();
        let uncertainties = [image([0.5, 0.0], &device), image([1.0, 0.5], &device)]
            .map(|uncertainty| uncertainty.require_grad());
        let predictions = [image([1.0, -1.0], &device), image([3.0, 1.0], &device)]
            .map(|prediction| prediction.require_grad());
        let noise = Tensor::<Differentiable, 4>::zeros([1, 1, 1, 2], &device);

        let gradients = ual_published(&uncertainties, &predictions, noise).backward();
        // c = (3/4, 1/4) with sum 1, errors e = (1, 5), loss l = 2:
        // dl/du = -(e_i - l) / sum_j c_j / 2, dl/dg = w_i (g - eps).
        assert_close(
            &values(uncertainties[0].grad(&gradients).unwrap()),
            &[0.5, 0.5],
        );
        assert_close(
            &values(uncertainties[1].grad(&gradients).unwrap()),
            &[-1.5, -1.5],
        );
        assert_close(
            &values(predictions[0].grad(&gradients).unwrap()),
            &[0.75, -0.75],
        );
        assert_close(
            &values(predictions[1].grad(&gradients).unwrap()),
            &[0.75, 0.25],
        );
    }
}
