//! Clipping of gradients by their global norm.

use burn::module::{AutodiffModule, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, Tensor};

/// The norm of all gradients of `model` together.
pub(crate) fn global_norm<B: AutodiffBackend, M: AutodiffModule<B>>(
    model: &M,
    gradients: &GradientsParams,
) -> f64 {
    let mut squares = SumOfSquares {
        gradients,
        sums: Vec::new(),
    };
    model.visit(&mut squares);
    if squares.sums.is_empty() {
        0.0
    } else {
        Tensor::cat(squares.sums, 0)
            .sum()
            .into_scalar()
            .elem::<f64>()
            .sqrt()
    }
}

/// The gradients, whose global norm is `norm`, scaled down where it exceeds `limit`, as PyTorch's
/// `clip_grad_norm_` has it. Burn's own clipping treats each tensor alone.
pub(crate) fn clip<B: AutodiffBackend, M: AutodiffModule<B>>(
    model: &M,
    gradients: GradientsParams,
    norm: f64,
    limit: f64,
) -> GradientsParams {
    if norm <= limit {
        return gradients;
    }
    let mut scale = Scale {
        source: gradients,
        scaled: GradientsParams::new(),
        factor: limit / (norm + 1e-6),
    };
    model.visit(&mut scale);
    scale.scaled
}

struct SumOfSquares<'a, B: AutodiffBackend> {
    gradients: &'a GradientsParams,
    sums: Vec<Tensor<B::InnerBackend, 1>>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for SumOfSquares<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.get::<B::InnerBackend, D>(param.id) {
            self.sums.push(gradient.square().sum());
        }
    }
}

struct Scale {
    source: GradientsParams,
    scaled: GradientsParams,
    factor: f64,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.source.remove::<B::InnerBackend, D>(param.id) {
            self.scaled.register(param.id, gradient * self.factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use burn::tensor::TensorData;
    use burn_autodiff::Autodiff;
    use burn_flex::Flex;

    use crate::graph::Graph;

    #[test]
    fn all_gradients_shrink_by_one_factor() {
        println!("device: flex");
        type B = Autodiff<Flex>;
        let device = Default::default();
        let model = LinearConfig::new(1, 1).init::<B>(&device);
        let x = Tensor::<B, 2>::from_data(TensorData::from([[2.0f32]]), &device);
        // d/dw = 2 * 1.5 = 3 and d/db = 1.5, norm sqrt(11.25)
        let graph = Graph::start();
        let gradients = graph.backward(&(model.forward(x) * 1.5).sum());
        let gradients = GradientsParams::from_grads(gradients, &model);
        let norm = global_norm(&model, &gradients);
        assert!((norm - 11.25f64.sqrt()).abs() < 1e-6);
        let clipped = clip(&model, gradients, norm, 1.0);
        let weight = clipped
            .get::<Flex, 2>(model.weight.id)
            .map(|g| g.into_scalar());
        assert!((weight.unwrap_or(0.0) - 3.0 / 11.25f32.sqrt()).abs() < 1e-5);
        let bias = model
            .bias
            .as_ref()
            .and_then(|bias| clipped.get::<Flex, 1>(bias.id));
        assert!((bias.map_or(0.0, |g| g.into_scalar()) - 1.5 / 11.25f32.sqrt()).abs() < 1e-5);
    }
}
