//! Initial weights, drawn on the host so that one seed gives one network on every device.

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, Linear, PaddingConfig2d};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Draws the weights of a network one after the other.
pub struct Initializer<'a, B: Backend> {
    random: ChaCha8Rng,
    device: &'a B::Device,
}

impl<'a, B: Backend> Initializer<'a, B> {
    /// Starts the stream of `seed` for weights on `device`.
    pub fn new(seed: u64, device: &'a B::Device) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            device,
        }
    }

    /// The device of the weights.
    pub fn device(&self) -> &'a B::Device {
        self.device
    }

    fn param<const D: usize>(
        &mut self,
        shape: [usize; D],
        mut draw: impl FnMut(&mut ChaCha8Rng) -> f32,
    ) -> Param<Tensor<B, D>> {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| draw(&mut self.random))
            .collect();
        Param::from_tensor(Tensor::from_data(
            TensorData::new(values, shape),
            self.device,
        ))
    }

    /// A normal distribution of deviation 0.02, truncated to `[-2, 2]`: `trunc_normal_` as U-ViT
    /// calls it.
    pub fn truncated_normal<const D: usize>(&mut self, shape: [usize; D]) -> Param<Tensor<B, D>> {
        self.param(shape, |random| {
            loop {
                let value: f32 = random.sample::<f32, _>(StandardNormal) * 0.02;
                if value.abs() <= 2.0 {
                    return value;
                }
            }
        })
    }

    /// All zeros.
    pub fn zeros<const D: usize>(&mut self, shape: [usize; D]) -> Param<Tensor<B, D>> {
        self.param(shape, |_| 0.0)
    }

    /// A linear layer: truncated normal weights, zero bias.
    pub fn linear(&mut self, inputs: usize, outputs: usize, bias: bool) -> Linear<B> {
        Linear {
            weight: self.truncated_normal([inputs, outputs]),
            bias: bias.then(|| self.zeros([outputs])),
        }
    }

    /// An embedding of unit normal vectors, PyTorch's default, which U-ViT leaves as it is.
    pub fn embedding(&mut self, count: usize, width: usize) -> Embedding<B> {
        let mut embedding = EmbeddingConfig::new(count, width).init(self.device);
        embedding.weight = self.param([count, width], |random| random.sample(StandardNormal));
        embedding
    }

    /// A convolution with PyTorch's default weights: uniform within `1 / sqrt(fan_in)`.
    pub fn convolution(
        &mut self,
        [inputs, outputs]: [usize; 2],
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Conv2d<B> {
        let mut convolution = Conv2dConfig::new([inputs, outputs], [kernel, kernel])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(
                padding, padding, padding, padding,
            ))
            .init(self.device);
        let bound = ((inputs * kernel * kernel) as f32).powf(-0.5);
        let mut uniform = |random: &mut ChaCha8Rng| random.random_range(-bound..bound);
        convolution.weight = self.param([outputs, inputs, kernel, kernel], &mut uniform);
        convolution.bias = Some(self.param([outputs], &mut uniform));
        convolution
    }
}
