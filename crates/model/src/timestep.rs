//! The sinusoidal timestep embedding.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::silu;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::init::Initializer;
use crate::kernels::{Kernels, linear};

/// Embeds timesteps as `[cos(t f) | sin(t f)]` with `f = 10000^(-i / half)`.
///
/// Computed on the host, so that all devices see the same values: the cosine of 999 is not a
/// matter of taste, but devices differ on it. An odd width ends with a zero.
///
/// # Shapes
/// `timesteps` `[batch]` to `[batch, width]`.
pub fn timestep_embedding<B: Backend>(
    timesteps: &[f32],
    width: usize,
    device: &B::Device,
) -> Tensor<B, 2> {
    let half = width / 2;
    let frequencies: Vec<f32> = (0..half)
        .map(|i| (-(10_000f64.ln() as f32) * i as f32 / half as f32).exp())
        .collect();
    let mut values = Vec::with_capacity(timesteps.len() * width);
    for timestep in timesteps {
        values.extend(
            frequencies
                .iter()
                .map(|frequency| (timestep * frequency).cos()),
        );
        values.extend(
            frequencies
                .iter()
                .map(|frequency| (timestep * frequency).sin()),
        );
        values.extend(std::iter::repeat_n(0.0, width % 2));
    }
    Tensor::from_data(TensorData::new(values, [timesteps.len(), width]), device)
}

/// The two layers that the timestep embedding may pass.
#[derive(Module, Debug)]
pub struct TimeMlp<B: Backend> {
    /// `width` to `4 width`.
    pub first: Linear<B>,
    /// `4 width` to `width`.
    pub second: Linear<B>,
}

impl<B: Kernels> TimeMlp<B> {
    pub(crate) fn init(width: usize, initializer: &mut Initializer<'_, B>) -> Self {
        Self {
            first: initializer.linear(width, 4 * width, true),
            second: initializer.linear(4 * width, width, true),
        }
    }

    /// `[batch, 1, width]` to `[batch, 1, width]`.
    pub fn forward(&self, embedding: Tensor<B, 3>) -> Tensor<B, 3> {
        let hidden = silu(apply(&self.first, embedding));
        apply(&self.second, hidden)
    }
}

/// A linear layer on tokens `[batch, tokens, inputs]`.
pub fn apply<B: Kernels>(layer: &Linear<B>, tokens: Tensor<B, 3>) -> Tensor<B, 3> {
    linear(
        tokens,
        layer.weight.val(),
        layer.bias.as_ref().map(|bias| bias.val()),
    )
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;
    use burn_flex::Flex;

    #[test]
    fn cosines_come_first_and_an_odd_width_ends_with_zero() {
        println!("device: flex");
        let embedding = timestep_embedding::<Flex>(&[2.0], 5, &Default::default());
        let expected =
            TensorData::from([[2f32.cos(), 0.02f32.cos(), 2f32.sin(), 0.02f32.sin(), 0.0]]);
        embedding
            .into_data()
            .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
    }
}
