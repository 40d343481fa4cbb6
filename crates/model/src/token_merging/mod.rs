//! Blocks on fewer tokens: those that are most alike are merged.

mod partition;

use std::ops::ControlFlow;

use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, IndexingUpdateOp, Int, Tensor, TensorData};

use crate::kernels::Kernels;
use crate::{
    Block, Denoiser, ModelError, NoisyBatch, Prediction, UVit, UVitConfig, UVitFlops, read_back,
};
use partition::{Merge, Partition};

/// A U-ViT whose blocks run on merged tokens: token merging for diffusion (Bolya & Hoffman 2023,
/// arXiv 2303.17604), after ToMe (Bolya et al. 2023, arXiv 2210.09461).
///
/// Image tokens are split into targets, the upper left one of every 2 x 2, and sources. In every
/// block the sources that are most like a target, by the cosine of their hidden states, are averaged
/// with it; attention and MLP run on what is left, and what they add is added to every token that was
/// merged. Long skips are joined before, and the tokens of time and condition are never merged.
///
/// ToMe draws targets at random; here they stay, so that a sample is the same in any batch and run.
/// Which tokens are merged is decided on the host, from one small table a block.
#[derive(Debug)]
pub struct TokenMerging<'a, B: Backend> {
    network: &'a UVit<B>,
    partition: Partition,
    merged: usize,
}

impl<'a, B: Kernels> TokenMerging<'a, B> {
    /// Merges a share `ratio` of the image tokens into others, at most three quarters of them.
    pub fn new(network: &'a UVit<B>, ratio: f64) -> Self {
        let partition = Partition::new(network.side(), network.extra_tokens());
        Self {
            network,
            merged: partition.merged(ratio),
            partition,
        }
    }

    /// What attention and MLP of a block make of `x` `[batch, tokens, width]` when they see merged
    /// tokens.
    fn on_merged(
        &self,
        x: Tensor<B, 3>,
        transform: impl FnOnce(Tensor<B, 3>) -> Tensor<B, 3>,
    ) -> Result<Tensor<B, 3>, ModelError> {
        let [batch, tokens, width] = x.dims();
        let device = x.device();
        let plan = self.partition.plan(&self.merges(&x)?, self.merged);

        let rows = x.clone().reshape([batch * tokens, width]);
        let kept = rows.clone().select(0, indices(&plan.kept, &device));
        let sources = rows.select(0, indices(&plan.sources, &device));
        let targets = indices(&plan.targets, &device);
        let sums = kept.select_assign(0, targets, sources, IndexingUpdateOp::Add);
        let shares = TensorData::new(plan.shares, [batch * plan.left, 1]);
        let shares = Tensor::<B, 2>::from_data(shares, &device).cast(x.dtype());
        let means = (sums * shares).reshape([batch, plan.left, width]);

        let added = transform(means.clone()) - means;
        let added = added.reshape([batch * plan.left, width]);
        let added = added.select(0, indices(&plan.places, &device));
        Ok(x + added.reshape([batch, tokens, width]))
    }

    /// For each source, sample after sample, the target that it is most like, and how much.
    fn merges(&self, x: &Tensor<B, 3>) -> Result<Vec<Merge>, ModelError> {
        let device = x.device();
        // In half precision the sum of squares could overflow.
        let x = x.clone().cast(FloatDType::F32);
        let norms = (x.clone() * x.clone()).sum_dim(2).sqrt().clamp_min(1e-12);
        let x = x / norms;
        let sources = x
            .clone()
            .select(1, indices(&self.partition.sources, &device));
        let targets = x.select(1, indices(&self.partition.targets, &device));
        let scores = sources.matmul(targets.swap_dims(1, 2)); // [batch, sources, targets]
        let (likeness, target) = scores.max_dim_with_indices(2);
        let (likeness, target) = (read_back(likeness)?, read_back(target)?);
        let pairs = likeness.into_iter().zip(target);
        let merge = |(likeness, target): (f32, i64)| Merge {
            likeness,
            target: target as usize,
        };
        Ok(pairs.map(merge).collect())
    }

    /// [`Denoiser::predict_batch`] on the thread that calls it.
    fn evaluate(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        let network = self.network;
        let state = network.embed_batch(batch)?;
        let run = |block: &Block<B>, x, skip| match self.merged {
            0 => Ok(block.forward(x, skip)),
            _ => self.on_merged(block.join(x, skip), |means| block.transform(means)),
        };
        let go_on = |_, _: &mut _| Ok(ControlFlow::Continue(()));
        let state = network.walk_blocks_by(0..network.num_blocks(), state, run, go_on)?;
        let noise = network.decode(state.hidden());
        Ok(Prediction::new(noise, network.num_blocks()))
    }
}

impl<B: Kernels> Denoiser<B> for TokenMerging<'_, B> {
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        B::on_worker(|| self.evaluate(batch))
    }

    fn blocks_per_prediction(&self) -> u32 {
        self.network.num_blocks() as u32
    }
}

fn indices<B: Backend>(values: &[usize], device: &B::Device) -> Tensor<B, 1, Int> {
    let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

impl UVitConfig {
    /// Floating-point operations of [`TokenMerging`] for one sample: attention and MLP on the tokens
    /// that are left, and the comparison of sources with targets.
    pub fn merged_flops(&self, ratio: f64) -> UVitFlops {
        let side = self.image_size / self.patch_size;
        let partition = Partition::new(side, self.extra_tokens());
        match partition.merged(ratio) {
            0 => self.flops(),
            merged => {
                let pairs = partition.sources.len() * partition.targets.len();
                let compared = 2.0 * (pairs * self.width) as f64;
                UVitFlops::on_tokens(self, self.tokens() - merged, compared)
            }
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::Condition;
    use crate::testing::{uniform, values};
    use burn_flex::Flex;

    fn network() -> UVit<Flex> {
        UVitConfig::tiny().init(3, &Default::default()).unwrap()
    }

    fn predict(merging: &TokenMerging<'_, Flex>, noisy: Tensor<Flex, 4>) -> Tensor<Flex, 4> {
        let prediction = merging.predict(noisy, 500.0, &Condition::None).unwrap();
        assert!(prediction.blocks.iter().all(|&blocks| blocks == 5));
        prediction.noise
    }

    #[test]
    fn without_merging_it_is_the_network() {
        println!("device: flex");
        let network = network();
        let noisy = uniform::<Flex, 4>([2, 2, 8, 8]);
        let whole = network.forward(noisy.clone(), &[500.0; 2], &Condition::None);
        let found = predict(&TokenMerging::new(&network, 0.0), noisy);
        assert_eq!(values(found), values(whole.unwrap()));
    }

    #[test]
    fn blocks_see_the_tokens_that_are_left_and_a_sample_none_of_its_batch() {
        println!("device: flex");
        let network = network();
        let merging = TokenMerging::new(&network, 0.5);
        let noisy = uniform::<Flex, 4>([3, 2, 8, 8]);
        let x = uniform::<Flex, 3>([2, 17, 32]);
        merging
            .on_merged(x, |means| {
                // Of 1 + 16 tokens, 8 are merged.
                assert_eq!(means.dims(), [2, 9, 32]);
                means
            })
            .unwrap();

        let together = predict(&merging, noisy.clone());
        let whole = network.forward(noisy.clone(), &[500.0; 3], &Condition::None);
        let difference = values((together.clone() - whole.unwrap()).abs().max())[0];
        assert!(difference > 1e-4, "something was merged: {difference}");
        for sample in 0..3 {
            let alone = predict(&merging, noisy.clone().narrow(0, sample, 1));
            let row = together.clone().narrow(0, sample, 1);
            let difference = values((alone - row).abs().max())[0];
            assert!(difference < 1e-5, "sample {sample}: {difference}");
        }
    }

    #[test]
    fn equal_tokens_lose_nothing_by_merging() {
        println!("device: flex");
        let network = network();
        let merging = TokenMerging::new(&network, 0.75);
        let token = uniform::<Flex, 3>([1, 1, 32]);
        let x = token.expand([1, 17, 32]);
        // A transform that looks at each token alone gives equal tokens what it gives one.
        let found = merging
            .on_merged(x.clone(), |means| {
                assert_eq!(means.dims(), [1, 5, 32]);
                means * 3.0
            })
            .unwrap();
        let difference = values((found - x * 3.0).abs().max())[0];
        assert!(difference < 1e-5, "{difference}");
    }

    #[test]
    fn merged_blocks_cost_less() {
        let config = UVitConfig::small();
        assert_eq!(config.merged_flops(0.0), config.flops());
        let merged = config.merged_flops(0.5);
        // 257 tokens, 128 of them merged; 192 sources are compared with 64 targets.
        let block = 2.0 * (129.0 * 512.0 * 512.0 * 12.0 + 2.0 * 129.0 * 129.0 * 512.0)
            + 2.0 * 192.0 * 64.0 * 512.0;
        assert_eq!(merged.blocks[6], block);
        assert_eq!(merged.blocks[7], block + 2.0 * 257.0 * 1024.0 * 512.0);
        assert_eq!(merged.decode, config.flops().decode);
    }
}
