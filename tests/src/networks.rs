//! Tiny networks that still have every part of a large one.

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, TextConfig, UVitConfig};
use adadiff_uem::{AdaDiff, AdaDiffConfig, EstimatorForm};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

use crate::{Draw, values};

/// What a tiny network is conditioned on, and which optional parts it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkKind {
    /// No condition, final convolution, estimators with time.
    Unconditional,
    /// A class token, a network on the timestep embedding, estimators without time.
    Class,
    /// Text tokens, no final convolution, estimators with time.
    Text,
    /// No long skips, estimators without time.
    WithoutSkips,
}

/// A tiny network and inputs for it.
#[derive(Clone, Debug)]
pub struct Network {
    /// Which one it is.
    pub kind: NetworkKind,
    /// Its hyperparameters.
    pub config: AdaDiffConfig,
}

impl Network {
    /// Number of class labels of [`NetworkKind::Class`].
    pub const CLASSES: usize = 5;

    /// All kinds, each with `depth + 1` blocks.
    pub fn all(depth: usize) -> Vec<Self> {
        use NetworkKind::{Class, Text, Unconditional, WithoutSkips};
        [Unconditional, Class, Text, WithoutSkips]
            .map(|kind| Self::new(kind, depth))
            .to_vec()
    }

    /// A network of `depth + 1` blocks on images of 8x8 pixels and two channels.
    pub fn new(kind: NetworkKind, depth: usize) -> Self {
        let class = kind == NetworkKind::Class;
        let text = kind == NetworkKind::Text;
        let estimator = match kind {
            NetworkKind::Unconditional | NetworkKind::Text => EstimatorForm::Timestep,
            NetworkKind::Class | NetworkKind::WithoutSkips => EstimatorForm::Tokens,
        };
        let backbone = UVitConfig {
            depth,
            mlp_ratio: 2.0,
            qkv_bias: class,
            time_mlp: class,
            classes: class.then_some(Self::CLASSES),
            text: text.then_some(TextConfig {
                tokens: 3,
                width: 12,
            }),
            long_skips: kind != NetworkKind::WithoutSkips,
            final_convolution: !text,
            ..UVitConfig::tiny()
        };
        Self {
            kind,
            config: AdaDiffConfig {
                estimator,
                ..AdaDiffConfig::new(backbone)
            },
        }
    }

    /// The network with its initial weights, those of the backbone's and of the estimators' linear
    /// layers scaled up: as drawn, they are so small that all blocks and samples look alike.
    ///
    /// # Panics
    /// Never: the configurations are valid.
    pub fn lively<B: Kernels>(&self, device: &B::Device) -> AdaDiff<B> {
        let mut model = self
            .config
            .init::<B>(7, device)
            .expect("a valid configuration");
        model.backbone = model.backbone.map(&mut TestScale { factor: 5.0 });
        let mut estimators = TestScale { factor: 20.0 };
        model.estimators = model
            .estimators
            .into_iter()
            .map(|estimator| estimator.map(&mut estimators))
            .collect();
        model
    }

    /// Noisy images of growing contrast and the condition of each.
    pub fn inputs<B: Backend>(
        &self,
        batch: usize,
        device: &B::Device,
    ) -> (Tensor<B, 4>, Condition<B>) {
        let mut draw = Draw::new(11);
        let size = self.config.backbone.image_size;
        let images =
            draw.normal::<B, 4>([batch, self.config.backbone.channels, size, size], device);
        let contrast: Vec<f32> = (0..batch).map(|sample| 0.2 + 0.2 * sample as f32).collect();
        let contrast = TensorData::new(contrast, [batch, 1, 1, 1]);
        let images = images * Tensor::<B, 4>::from_data(contrast, device);
        let condition = match self.config.backbone.text {
            Some(text) => Condition::Text(draw.normal([batch, text.tokens, text.width], device)),
            None if self.kind == NetworkKind::Class => {
                let labels: Vec<i64> = (0..batch)
                    .map(|sample| (sample % Self::CLASSES) as i64)
                    .collect();
                Condition::Class(Tensor::from_data(TensorData::new(labels, [batch]), device))
            }
            None => Condition::None,
        };
        (images, condition)
    }
}

/// One sample of a noisy batch, and its condition.
pub fn one<B: Backend>(
    noisy: &Tensor<B, 4>,
    condition: &Condition<B>,
    sample: usize,
) -> (Tensor<B, 4>, Condition<B>) {
    let index = Tensor::<B, 1, Int>::from_data([sample as i64], &noisy.device());
    (noisy.clone().narrow(0, sample, 1), condition.select(index))
}

/// The values of one sample of a batch.
pub fn row<B: Backend>(batch: &Tensor<B, 4>, sample: usize) -> Vec<f32> {
    values(batch.clone().narrow(0, sample, 1))
}

/// Multiplies every matrix of a module; vectors stay, and what was trainable stays so.
#[derive(Clone, Copy, Debug)]
pub struct TestScale {
    /// What matrices are multiplied by.
    pub factor: f64,
}

impl<B: Backend> ModuleMapper<B> for TestScale {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        if D != 2 {
            return param;
        }
        param.map(|matrix| {
            let trainable = matrix.is_require_grad();
            (matrix * self.factor).detach().set_require_grad(trainable)
        })
    }
}
