//! What inner blocks computed in one step, used again in the next.

use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::kernels::Kernels;
use crate::{Condition, Denoiser, ModelError, Prediction, UVit, UVitConfig, bytes_per_row};

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
    memory: RefCell<Option<Memory<B>>>,
    /// Bytes of a sample's change.
    most_kept: Cell<usize>,
}

/// What an evaluation of all blocks leaves to the next ones.
#[derive(Debug)]
struct Memory<B: Backend> {
    /// What the inner blocks added to the hidden state `[batch, tokens, width]`.
    change: Tensor<B, 3>,
    /// Evaluations since.
    age: usize,
}

impl<'a, B: Kernels> FeatureCache<'a, B> {
    /// Runs the inner blocks of `network` in every `interval`-th evaluation.
    pub fn new(network: &'a UVit<B>, interval: NonZeroUsize) -> Self {
        Self {
            network,
            interval,
            memory: RefCell::new(None),
            most_kept: Cell::new(0),
        }
    }

    /// What the inner blocks added the last time, where it may be used again for a batch of this
    /// size.
    fn recall(&self, batch: usize) -> Option<Tensor<B, 3>> {
        let memory = self.memory.borrow();
        let Memory { change, age } = memory.as_ref()?;
        let [of_batch, ..] = change.dims();
        let usable = of_batch == batch && age + 1 < self.interval.get();
        usable.then(|| change.clone())
    }
}

impl<B: Kernels> Denoiser<B> for FeatureCache<'_, B> {
    fn predict(
        &self,
        noisy: Tensor<B, 4>,
        timestep: f64,
        condition: &Condition<B>,
    ) -> Result<Prediction<B>, ModelError> {
        let [batch, ..] = noisy.dims();
        let (network, known) = (self.network, self.recall(batch));
        let keeps = self.interval.get() > 1;
        // The memory stays on this thread: it is read before, and written once nothing can fail.
        let (prediction, change) =
            B::on_worker(|| evaluate(network, known, keeps, noisy, timestep, condition))?;
        let mut memory = self.memory.borrow_mut();
        match (change, memory.as_mut()) {
            (Some(change), _) => {
                self.most_kept.set(bytes_per_row(&change));
                *memory = Some(Memory { change, age: 0 });
            }
            (None, Some(used)) => used.age += 1,
            (None, None) => (),
        }
        Ok(prediction)
    }

    fn blocks_per_prediction(&self) -> u32 {
        self.network.num_blocks() as u32
    }

    fn begin(&self) {
        self.memory.replace(None);
    }

    fn memory_per_sample(&self) -> usize {
        self.most_kept.get()
    }
}

/// [`Denoiser::predict`] with the inner blocks' change `[batch, tokens, width]`, where it is `known`; where
/// it is not, they are run, and what they changed is returned too if it is to be kept.
///
/// # Errors
/// Those of [`UVit::embed`].
fn evaluate<B: Kernels>(
    network: &UVit<B>,
    known: Option<Tensor<B, 3>>,
    keeps: bool,
    noisy: Tensor<B, 4>,
    timestep: f64,
    condition: &Condition<B>,
) -> Result<(Prediction<B>, Option<Tensor<B, 3>>), ModelError> {
    let [batch, ..] = noisy.dims();
    let blocks = network.num_blocks();
    let outer = outer_blocks(blocks);
    let state = network.embed(noisy, &vec![timestep as f32; batch], condition)?;
    let mut state = network.run_blocks(0..outer, state);
    let before = state.hidden();
    let (run, change) = match known {
        Some(change) => {
            state = state.with_hidden(before + change);
            (2 * outer, None)
        }
        None => {
            state = network.run_blocks(outer..blocks - outer, state);
            (blocks, keeps.then(|| state.hidden() - before))
        }
    };
    let state = network.run_blocks(blocks - outer..blocks, state);
    let noise = network.decode(state.hidden());
    Ok((Prediction::new(noise, run), change))
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
