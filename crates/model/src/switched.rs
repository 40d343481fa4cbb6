//! Two networks that take turns over time.

use burn::tensor::backend::Backend;

use crate::{Denoiser, ModelError, NoisyBatch, Prediction};

/// One network near pure noise, another one from there on: DuoDiff (Fernández et al. 2024, arXiv
/// 2410.09633), where the first is a shallow one.
#[derive(Clone, Debug)]
pub struct Switched<E, L> {
    /// Predicts at timesteps above [`Self::switch`].
    pub early: E,
    /// Predicts at the other timesteps.
    pub late: L,
    /// The timestep of the switch, in the units that both networks were trained with.
    pub switch: f64,
}

impl<B: Backend, E: Denoiser<B>, L: Denoiser<B>> Denoiser<B> for Switched<E, L> {
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        if batch.timestep > self.switch {
            self.early.predict_batch(batch)
        } else {
            self.late.predict_batch(batch)
        }
    }

    /// Those of the deeper one.
    fn blocks_per_prediction(&self) -> u32 {
        let early = self.early.blocks_per_prediction();
        early.max(self.late.blocks_per_prediction())
    }

    fn begin(&self) {
        self.early.begin();
        self.late.begin();
    }

    fn memory_per_sample(&self) -> usize {
        self.early.memory_per_sample() + self.late.memory_per_sample()
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::{uniform, values};
    use crate::{Condition, UVitConfig};
    use burn_flex::Flex;

    #[test]
    fn the_early_network_predicts_above_the_switch_alone() {
        println!("device: flex");
        let device = Default::default();
        let init = |depth: usize| {
            let config = UVitConfig {
                depth,
                ..UVitConfig::tiny()
            };
            config.init::<Flex>(3, &device).unwrap()
        };
        let (shallow, full) = (init(2), init(4));
        let duo = Switched {
            early: &shallow,
            late: &full,
            switch: 600.0,
        };
        assert_eq!(duo.blocks_per_prediction(), 5);
        let noisy = uniform::<Flex, 4>([2, 2, 8, 8]);
        for (timestep, alone, blocks) in [(600.5, &shallow, 3), (600.0, &full, 5), (1.0, &full, 5)]
        {
            let found = duo.predict(noisy.clone(), timestep, &Condition::None);
            let found = found.unwrap();
            let expected = alone.predict(noisy.clone(), timestep, &Condition::None);
            assert_eq!(found.blocks, [blocks; 2], "timestep {timestep}");
            assert_eq!(values(found.noise), values(expected.unwrap().noise));
        }
    }
}
