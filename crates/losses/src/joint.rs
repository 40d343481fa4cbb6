//! The joint objective of AdaDiff's fine-tuning.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::reduce::{mean_square_per_sample, residuals};
use crate::{layer_wise, uncertainty};

/// Whose definition of L_u and UAL is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossForm {
    /// The paper's: L_u summed over blocks, UAL weighted element by element without the last block.
    #[default]
    Paper,
    /// The published code's: L_u averaged over blocks, UAL weighted by scalars over all blocks.
    Published,
}

/// What L_u and UAL weigh beside L_simple.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointWeights {
    /// Lambda, the weight of L_u.
    pub uncertainty: f64,
    /// Beta, the weight of UAL.
    pub layer_wise: f64,
}

impl Default for JointWeights {
    /// Both losses weigh as much as L_simple, as in the published code.
    fn default() -> Self {
        Self {
            uncertainty: 1.0,
            layer_wise: 1.0,
        }
    }
}

/// The joint objective and its parts, each `[batch]` and before weighting, on the autodiff graph.
#[derive(Clone, Debug)]
pub struct JointLoss<B: Backend> {
    /// L_simple of the last block.
    pub simple: Tensor<B, 1>,
    /// L_u.
    pub uncertainty: Tensor<B, 1>,
    /// UAL.
    pub layer_wise: Tensor<B, 1>,
    /// `simple + lambda uncertainty + beta layer_wise`: its mean is what training minimises.
    pub total: Tensor<B, 1>,
}

/// The joint objective, `L_simple + lambda L_u + beta UAL`.
///
/// The last block's prediction is the network's. Give the whole network's prediction as the last of
/// `layer_predictions`, rather than decoding the last hidden state a second time.
///
/// # Shapes
/// - `uncertainties`, `layer_predictions`: one `[batch, channels, height, width]` of each block
/// - `noise`: `[batch, channels, height, width]`
///
/// # Panics
/// Where the numbers of uncertainty maps and of predictions differ or are zero.
pub fn joint_objective<B: Backend>(
    uncertainties: &[Tensor<B, 4>],
    layer_predictions: &[Tensor<B, 4>],
    noise: Tensor<B, 4>,
    weights: JointWeights,
    form: LossForm,
) -> JointLoss<B> {
    let residuals = residuals(uncertainties, layer_predictions, &noise);
    let simple = mean_square_per_sample(residuals[residuals.len() - 1].clone());
    let summed = uncertainty::of_residuals(uncertainties, &residuals);
    let (uncertainty, layer_wise) = match form {
        LossForm::Paper => (
            summed,
            layer_wise::paper_of_residuals(uncertainties, &residuals),
        ),
        LossForm::Published => (
            summed / residuals.len() as f64,
            layer_wise::published_of_residuals(uncertainties, &residuals),
        ),
    };
    let total = simple.clone()
        + uncertainty.clone() * weights.uncertainty
        + layer_wise.clone() * weights.layer_wise;
    JointLoss {
        simple,
        uncertainty,
        layer_wise,
        total,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Differentiable, assert_close, device, image, images, values};
    use crate::{
        simple_loss, ual_paper, ual_published, uncertainty_loss, uncertainty_loss_published,
    };

    type Image = Tensor<Differentiable, 4>;

    const WEIGHTS: JointWeights = JointWeights {
        uncertainty: 0.5,
        layer_wise: 2.0,
    };

    fn blocks(device: &burn_flex::FlexDevice) -> ([Image; 2], [Image; 2], Image) {
        let uncertainties = [
            images([[0.5, 0.1], [0.9, 0.25]], device),
            images([[0.2, 0.3], [0.6, 0.4]], device),
        ];
        let predictions = [
            images([[1.0, -2.0], [0.3, 0.5]], device),
            images([[0.4, 0.8], [-0.2, 0.1]], device),
        ];
        (
            uncertainties,
            predictions,
            images([[0.2, -0.7], [0.1, 1.1]], device),
        )
    }

    #[test]
    fn parts_are_the_single_losses_and_the_total_their_weighted_sum() {
        let device = device();
        let (u, g, noise) = blocks(&device);
        for form in [LossForm::Paper, LossForm::Published] {
            let joint = joint_objective(&u, &g, noise.clone(), WEIGHTS, form);
            let (uncertainty, layer_wise) = match form {
                LossForm::Paper => (
                    uncertainty_loss(&u, &g, noise.clone()),
                    ual_paper(&u, &g, noise.clone()),
                ),
                LossForm::Published => (
                    uncertainty_loss_published(&u, &g, noise.clone()),
                    ual_published(&u, &g, noise.clone()),
                ),
            };
            let simple = values(simple_loss(g[1].clone(), noise.clone()));
            let (uncertainty, layer_wise) = (values(uncertainty), values(layer_wise));
            let total: Vec<f32> = (0..2)
                .map(|i| simple[i] + 0.5 * uncertainty[i] + 2.0 * layer_wise[i])
                .collect();
            assert_close(&values(joint.simple), &simple);
            assert_close(&values(joint.uncertainty), &uncertainty);
            assert_close(&values(joint.layer_wise), &layer_wise);
            assert_close(&values(joint.total), &total);
        }
    }

    /// The paper's objective of one sample, two blocks and two pixels, in f64. `target` are the
    /// predictions that the detached target of L_u is made of.
    fn paper_in_f64(u: [[f64; 2]; 2], g: [[f64; 2]; 2], target: [[f64; 2]; 2]) -> f64 {
        const NOISE: [f64; 2] = [0.2, -0.7];
        let mut total = 0.0;
        for pixel in 0..2 {
            for block in 0..2 {
                let error = (target[block][pixel] - NOISE[pixel]).abs().tanh();
                total += 0.5 * (u[block][pixel] - error).powi(2);
            }
            total += 2.0 * (1.0 - u[0][pixel]) * (g[0][pixel] - NOISE[pixel]).powi(2);
            total += (g[1][pixel] - NOISE[pixel]).powi(2);
        }
        total / 2.0
    }

    #[test]
    fn paper_gradients_are_the_finite_differences_with_the_target_held_fixed() {
        let device = device();
        let u = [[0.5, 0.1], [0.2, 0.3]];
        let g = [[1.0, -2.0], [0.4, 0.8]];
        let tensors = |maps: [[f64; 2]; 2]| {
            maps.map(|map| image(map.map(|value| value as f32), &device).require_grad())
        };
        let (uncertainties, predictions) = (tensors(u), tensors(g));
        let noise = image([0.2, -0.7], &device);
        let joint = joint_objective(
            &uncertainties,
            &predictions,
            noise,
            WEIGHTS,
            LossForm::Paper,
        );
        assert_close(
            &values(joint.total.clone()),
            &[paper_in_f64(u, g, g) as f32],
        );

        let gradients = joint.total.backward();
        let moved = |mut maps: [[f64; 2]; 2], block: usize, pixel: usize, by: f64| {
            maps[block][pixel] += by;
            maps
        };
        let h = 1e-4;
        for block in 0..2 {
            let by_uncertainty = values(uncertainties[block].grad(&gradients).unwrap());
            let by_prediction = values(predictions[block].grad(&gradients).unwrap());
            for pixel in 0..2 {
                let at = |by: f64| paper_in_f64(moved(u, block, pixel, by), g, g);
                assert_close(
                    &[by_uncertainty[pixel]],
                    &[((at(h) - at(-h)) / (2.0 * h)) as f32],
                );
                let at = |by: f64| paper_in_f64(u, moved(g, block, pixel, by), g);
                assert_close(
                    &[by_prediction[pixel]],
                    &[((at(h) - at(-h)) / (2.0 * h)) as f32],
                );
            }
        }
    }
}
