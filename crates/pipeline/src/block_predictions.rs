//! What each block of a network would predict of the same noisy samples.

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, read_back};
use adadiff_sampler::{NetworkEvaluation, predicted_image};
use burn::tensor::{Int, Tensor};

use crate::{Pipeline, PipelineError, SamplePlan};

/// What a block predicts of noisy samples, were it decoded.
#[derive(Clone, Debug)]
pub struct BlockPrediction {
    /// The image that the samples would become, `[samples, channels, height, width]` in row-major order;
    /// latents, where the network has them.
    pub images: Vec<f32>,
    /// The estimated uncertainty of each of its values, in `[0, 1]`.
    pub uncertainty: Vec<f32>,
    /// What the uncertainty estimates, for each sample: `tanh|g_i - g|`, its mean over values, where `g` is the
    /// last block's noise prediction. The true noise, which training has in its place, is not known while
    /// samples are drawn.
    pub errors: Vec<f32>,
}

impl BlockPrediction {
    /// The mean uncertainty of each of so many samples, by which exits are decided.
    pub fn mean_uncertainties(&self, samples: usize) -> Vec<f32> {
        let size = self.uncertainty.len() / samples.max(1);
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
        self.uncertainty.chunks(size.max(1)).map(mean).collect()
    }
}

impl<B: Kernels> Pipeline<B> {
    /// Runs and decodes all blocks of what the network was asked about the samples of `plan` in one batch, whoever
    /// answered then.
    ///
    /// With guidance the predictions are the guided ones, and the uncertainty is that of the conditional
    /// prediction, by which exits are decided.
    ///
    /// # Errors
    /// Where the network knows no such conditions.
    pub fn block_predictions(
        &self,
        plan: &SamplePlan,
        evaluation: &NetworkEvaluation<B>,
    ) -> Result<Vec<BlockPrediction>, PipelineError> {
        self.check_conditions(&plan.conditions)?;
        let schedule = self.config.schedule.build()?;
        let (noisy, time) = (&evaluation.noisy, evaluation.time);
        let samples = noisy.dims()[0];
        let mut condition: Condition<B> = plan.condition(self.device());
        let mut input = noisy.clone();
        if plan.guidance != 0.0 {
            let first_row = Tensor::<B, 1, Int>::zeros([samples], self.device());
            let none = self.unconditional(plan)?.select(first_row);
            condition = condition
                .join(none)
                .ok_or(PipelineError::NothingToGuideBy)?;
            input = Tensor::cat(vec![input.clone(), input], 0);
        }
        let timesteps = vec![evaluation.timestep as f32; input.dims()[0]];
        let found = B::on_worker(|| self.model.layer_predictions(input, &timesteps, &condition))?;

        let guided = |noise: Tensor<B, 4>| match plan.guidance {
            0.0 => noise,
            scale => {
                let conditional = noise.clone().narrow(0, 0, samples);
                let unconditional = noise.narrow(0, samples, samples);
                conditional.clone() + (conditional - unconditional) * scale
            }
        };
        let noise: Vec<_> = found.noise.into_iter().map(guided).collect();
        let last = noise[noise.len() - 1].clone();
        let blocks = noise.into_iter().zip(found.uncertainty);
        blocks
            .map(|(noise, uncertainty)| {
                let error = (noise.clone() - last.clone()).abs().tanh();
                let error: Tensor<B, 2> = error.flatten(1, 3);
                Ok(BlockPrediction {
                    errors: read_back(error.mean_dim(1))?,
                    images: read_back(predicted_image(schedule.as_ref(), time, noisy, noise))?,
                    uncertainty: read_back(uncertainty.narrow(0, 0, samples))?,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use adadiff_uem::{AdaptiveUVit, FixedDepth};
    use burn_flex::Flex;

    use super::*;
    use crate::testing::pipeline;
    use crate::{SampleSpec, Silent};

    /// The evaluations of a few samples that leave after `depth` blocks, and what they were drawn by.
    fn evaluations(depth: usize, guidance: f64) -> (SamplePlan, Vec<NetworkEvaluation<Flex>>) {
        let pipeline = pipeline();
        let spec = SampleSpec {
            steps: Some(2),
            guidance: Some(guidance),
            ..SampleSpec::new(2)
        };
        let plan = pipeline.plan(&spec).unwrap();
        let policy = FixedDepth(depth.try_into().unwrap());
        let network = AdaptiveUVit::new(&pipeline.model, policy).with_maps();
        let mut made = Vec::new();
        pipeline
            .generate_with(&network, &plan, &Silent, &mut |progress| {
                made.extend(progress.evaluations.to_vec());
            })
            .unwrap();
        (plan, made)
    }

    #[test]
    fn a_block_predicts_what_the_network_predicts_that_is_left_there() {
        println!("device: flex");
        let pipeline = pipeline();
        let schedule = pipeline.config.schedule.build().unwrap();
        for guidance in [0.0, 1.5] {
            let (plan, made) = evaluations(5, guidance);
            assert_eq!(made.len(), 2);
            for evaluation in &made {
                let blocks = pipeline.block_predictions(&plan, evaluation).unwrap();
                assert_eq!(blocks.len(), 13);
                let seen = evaluation.predicted_image(schedule.as_ref()).into_data();
                let largest = seen
                    .iter::<f32>()
                    .fold(0.0, |most: f32, value| most.max(value.abs()));
                for (expected, found) in seen.iter::<f32>().zip(&blocks[4].images) {
                    assert!(
                        (expected - found).abs() < 1e-4 * largest,
                        "{expected} {found}"
                    );
                }
                if let Some(map) = &evaluation.prediction.uncertainty_map {
                    let map = map.clone().into_data();
                    for (expected, found) in map.iter::<f32>().zip(&blocks[4].uncertainty) {
                        assert!((expected - found).abs() < 1e-4);
                    }
                }
                assert_eq!(blocks[12].errors, [0.0, 0.0]);
                assert!(blocks[0].errors[0] > blocks[11].errors[0]);
                let means = blocks[4].mean_uncertainties(2);
                assert!(
                    means.iter().all(|mean| (0.0..1.0).contains(mean)),
                    "{means:?}"
                );
            }
        }
    }
}
