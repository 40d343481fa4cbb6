//! What inner blocks computed in one step, used again in the next.

use std::num::NonZeroUsize;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::kernels::Kernels;
use crate::{
    BatchMemory, Denoiser, ModelError, NoisyBatch, Prediction, Remembered, UVit, UVitConfig,
    bytes_per_row,
};

/// In-blocks, and as many out-blocks, that run in every evaluation, where the network has so many:
/// one, as in DeepCache's fastest setting.
const OUTER: usize = 1;

/// A U-ViT that runs all its blocks in every `interval`-th evaluation only. In between the inner
/// blocks are not run: what they added to the hidden state the last time is added again.
///
/// As in DeepCache (Ma et al. 2024, arXiv 2312.00858) the outer blocks and their long skips run in
/// every evaluation, since what is near the image changes fastest; as in block caching for
/// transformers (Chen et al. 2024, arXiv 2406.01125) it is the inner blocks' change that is kept,
/// not their output, so that what the outer blocks see of the new input is not lost.
///
/// A sample's result does not depend on the rest of its batch, but on the evaluations before: the
/// batch must stay the same from [`Denoiser::begin`] on.
#[derive(Debug)]
pub struct FeatureCache<'a, B: Backend> {
    network: &'a UVit<B>,
    interval: NonZeroUsize,
    memory: BatchMemory<Memory<B>>,
}

/// What an evaluation of all blocks leaves to the next ones.
#[derive(Clone, Debug)]
struct Memory<B: Backend> {
    /// What the inner blocks added to the hidden state `[batch, tokens, width]`, where it will be used again.
    change: Option<Tensor<B, 3>>,
    /// Evaluations since.
    age: usize,
}

impl<B: Backend> Remembered for Memory<B> {
    fn bytes_per_sample(&self) -> usize {
        self.change.as_ref().map_or(0, bytes_per_row)
    }
}

impl<'a, B: Kernels> FeatureCache<'a, B> {
    /// Runs the inner blocks of `network` in every `interval`-th evaluation.
    pub fn new(network: &'a UVit<B>, interval: NonZeroUsize) -> Self {
        Self {
            network,
            interval,
            memory: BatchMemory::default(),
        }
    }

    /// [`Denoiser::predict_batch`] with what is remembered of the batch.
    fn evaluate(
        &self,
        batch: NoisyBatch<B>,
        memory: Option<Memory<B>>,
    ) -> Result<(Prediction<B>, Memory<B>), ModelError> {
        let (network, interval) = (self.network, self.interval.get());
        let blocks = network.num_blocks();
        let outer = outer_blocks(blocks);
        let state = network.embed_batch(batch)?;
        let mut state = network.run_blocks(0..outer, state);
        let before = state.hidden();
        let usable = memory.filter(|memory| memory.age + 1 < interval);
        let usable = usable.and_then(|memory| Some((memory.change?, memory.age + 1)));
        let (run, change, age) = if let Some((change, age)) = usable {
            state = state.with_hidden(before + change.clone());
            (2 * outer, Some(change), age)
        } else {
            state = network.run_blocks(outer..blocks - outer, state);
            let change = (interval > 1).then(|| state.hidden() - before);
            (blocks, change, 0)
        };
        let state = network.run_blocks(blocks - outer..blocks, state);
        let noise = network.decode(state.hidden());
        Ok((Prediction::new(noise, run), Memory { change, age }))
    }
}

impl<B: Kernels> Denoiser<B> for FeatureCache<'_, B> {
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        self.memory.evaluate(batch.noisy.dims(), |memory| {
            B::on_worker(|| self.evaluate(batch, memory))
        })
    }

    fn blocks_per_prediction(&self) -> u32 {
        self.network.num_blocks() as u32
    }

    fn begin(&self) {
        self.memory.forget();
    }

    fn memory_per_sample(&self) -> usize {
        self.memory.most_bytes()
    }
}

/// Outer in-blocks, and out-blocks, of a network of so many blocks.
fn outer_blocks(blocks: usize) -> usize {
    OUTER.min(blocks / 2)
}

impl UVitConfig {
    /// Blocks that an evaluation of [`FeatureCache`] runs where it uses earlier results, and its
    /// floating-point operations for one sample.
    pub fn cached_evaluation(&self) -> (u32, f64) {
        let outer = outer_blocks(self.blocks());
        self.outer_evaluation(outer, outer)
    }

    /// The same of an evaluation that runs the `first` and the `last` blocks alone.
    pub fn outer_evaluation(&self, first: usize, last: usize) -> (u32, f64) {
        let flops = self.flops();
        let at_first = flops.blocks.iter().take(first).sum::<f64>();
        let at_last = flops.blocks.iter().rev().take(last).sum::<f64>();
        let run = (first + last) as u32;
        (run, flops.embed + at_first + at_last + flops.decode)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::Condition;
    use crate::testing::{uniform, values};
    use burn_flex::Flex;

    fn network(config: &UVitConfig) -> UVit<Flex> {
        config.init(3, &Default::default()).unwrap()
    }

    fn interval(evaluations: usize) -> NonZeroUsize {
        NonZeroUsize::new(evaluations).unwrap()
    }

    fn largest_difference(found: Tensor<Flex, 4>, expected: Tensor<Flex, 4>) -> f32 {
        values((found - expected).abs().max())[0]
    }

    #[test]
    fn all_blocks_run_in_every_interval_alone_and_after_each_begin() {
        println!("device: flex");
        let network = network(&UVitConfig::tiny());
        let noisy = uniform::<Flex, 4>([2, 2, 8, 8]);
        let run = |cache: &FeatureCache<'_, Flex>| {
            let prediction = cache.predict(noisy.clone(), 500.0, &Condition::None);
            prediction.unwrap().blocks[0]
        };
        let wrong = Condition::Class(Tensor::from_ints([0, 1], &Default::default()));
        for (every, expected) in [
            (1, [5, 5, 5, 5, 5]),
            (2, [5, 2, 5, 2, 5]),
            (3, [5, 2, 2, 5, 2]),
        ] {
            let cache = FeatureCache::new(&network, interval(every));
            let runs = [0; 5].map(|_| {
                let refused = cache.predict(noisy.clone(), 500.0, &wrong);
                assert!(refused.is_err(), "what is refused counts for nothing");
                run(&cache)
            });
            assert_eq!(runs, expected, "every {every}");
            cache.begin();
            assert_eq!(run(&cache), 5);
        }
        let cache = FeatureCache::new(&network, interval(4));
        assert_eq!(run(&cache), 5);
        let one = noisy.clone().narrow(0, 0, 1);
        let other_batch = cache.predict(one, 500.0, &Condition::None).unwrap();
        assert_eq!(other_batch.blocks, [5], "nothing is known of another batch");
    }

    #[test]
    fn unchanged_inputs_give_the_networks_own_prediction_and_changed_ones_are_seen() {
        println!("device: flex");
        for long_skips in [true, false] {
            let network = network(&UVitConfig {
                long_skips,
                ..UVitConfig::tiny()
            });
            let cache = FeatureCache::new(&network, interval(2));
            let noisy = uniform::<Flex, 4>([2, 2, 8, 8]);
            let whole = |noisy: Tensor<Flex, 4>| {
                let timesteps = [500.0; 2];
                network
                    .forward(noisy, &timesteps, &Condition::None)
                    .unwrap()
            };
            let cached = |noisy: Tensor<Flex, 4>| {
                cache.predict(noisy, 500.0, &Condition::None).unwrap().noise
            };
            let first = cached(noisy.clone());
            assert_eq!(values(first), values(whole(noisy.clone())));
            // What was added is added again: equal but for rounding.
            let again = largest_difference(cached(noisy.clone()), whole(noisy.clone()));
            assert!(again < 1e-5, "{again}");

            cache.begin();
            cached(noisy.clone());
            let moved = noisy.clone() * 0.9;
            let (found, expected) = (cached(moved.clone()), whole(moved));
            let stale = largest_difference(found.clone(), whole(noisy));
            let wrong = largest_difference(found, expected);
            println!("off by {wrong}, from the earlier prediction by {stale}");
            assert!(wrong > 1e-5, "the inner blocks were not run");
            assert!(stale > 1e-5, "the outer blocks saw the new input");
        }
    }

    #[test]
    fn a_cached_evaluation_costs_its_outer_blocks() {
        let config = UVitConfig::tiny();
        let flops = config.flops();
        let outer = flops.blocks[0] + flops.blocks[4];
        assert_eq!(
            config.cached_evaluation(),
            (2, flops.embed + outer + flops.decode)
        );
    }
}
