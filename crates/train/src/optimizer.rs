//! AdamW whose whole step is one operation of the backend.

use adadiff_model::kernels::{AdamWStep, Kernels, adam_w};
use burn::optim::{AdamWState, AdaptiveMomentumState, LearningRate, SimpleOptimizer};
use burn::tensor::Tensor;

use crate::TrainConfig;

/// AdamW (Loshchilov & Hutter 2019) with the meaning and the saved state of Burn's.
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Decay rates of the first and second moment.
    pub betas: [f32; 2],
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
}

impl AdamW {
    /// As a training phase says.
    pub fn new(config: &TrainConfig) -> Self {
        Self {
            betas: config.betas,
            epsilon: config.epsilon,
            weight_decay: config.weight_decay,
        }
    }
}

impl<B: Kernels> SimpleOptimizer<B> for AdamW {
    type State<const D: usize> = AdamWState<B, D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        parameter: Tensor<B, D>,
        gradient: Tensor<B, D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<B, D>, Option<Self::State<D>>) {
        let (time, moments) = match state.map(|state| state.momentum) {
            Some(state) => (state.time, [state.moment_1, state.moment_2]),
            None => (0, [gradient.zeros_like(), gradient.zeros_like()]),
        };
        let step = AdamWStep {
            learning_rate,
            betas: self.betas,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
            time: time + 1,
        };
        let (parameter, [first, second]) = adam_w(parameter, gradient, moments, step);
        let state = AdamWState::new(AdaptiveMomentumState::new(step.time, first, second));
        (parameter, Some(state))
    }

    fn to_device<const D: usize>(mut state: Self::State<D>, device: &B::Device) -> Self::State<D> {
        state.momentum = state.momentum.to_device(device);
        state
    }
}
