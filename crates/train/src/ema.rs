//! The exponential moving average of a network's weights.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// Moves `average` towards `current` by `1 - decay`, parameter by parameter.
///
/// The two must be copies of one network: parameters are matched by their identity.
pub fn update_average<B: Backend, M: Module<B>>(average: M, current: &M, decay: f64) -> M {
    let mut weights = Collector {
        tensors: GradientsParams::new(),
    };
    <M as Module<B>>::visit(current, &mut weights);
    average.map(&mut Average {
        weights: weights.tensors,
        decay,
    })
}

/// Collects tensors of all ranks by parameter; Burn's container of gradients is one for any tensor.
struct Collector {
    tensors: GradientsParams,
}

impl<B: Backend> ModuleVisitor<B> for Collector {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.tensors.register::<B, D>(param.id, param.val());
    }
}

struct Average {
    weights: GradientsParams,
    decay: f64,
}

impl<B: Backend> ModuleMapper<B> for Average {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let current = self.weights.remove::<B, D>(param.id);
        param.map(|average| match current {
            Some(current) => average * self.decay + current * (1.0 - self.decay),
            None => average,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use burn_flex::Flex;

    #[test]
    fn the_average_moves_by_one_minus_the_decay() {
        println!("device: flex");
        let device = Default::default();
        let start = LinearConfig::new(2, 3).init::<Flex>(&device);
        // Burn draws weights when they are first looked at; a copy made before would draw its own.
        start.weight.val();
        let mut moved = start.clone();
        moved.weight = moved.weight.map(|weight| weight + 8.0);
        let average = update_average::<Flex, _>(start.clone(), &moved, 0.75);
        let difference = average.weight.val() - start.weight.val();
        for value in difference.into_data().iter::<f32>() {
            assert!((value - 2.0).abs() < 1e-6, "moved by {value}");
        }
    }
}
