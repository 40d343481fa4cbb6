//! Mixed precision (Micikevicius et al. 2018, arXiv 1710.03740): a step computes in half the bits,
//! the weights that it moves keep theirs.

use adadiff_model::cast;
use adadiff_model::kernels::Kernels;
use burn::module::{AutodiffModule, Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::{TrainError, trainable};

/// What the network computes in, forwards and backwards. Losses, weights, their moving average and
/// the optimizer are in single precision always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeType {
    /// Single precision.
    #[default]
    F32,
    /// Brain floating point: 8 bits of precision, the range of single precision.
    Bf16,
    /// Half precision: 11 bits of precision, up to 65504. Losses are scaled up, so that small
    /// gradients do not vanish, and steps whose gradients are then too large are left out.
    F16,
}

impl ComputeType {
    /// The type that tensors are cast to; `None` where they need no cast.
    fn half(self) -> Option<FloatDType> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(FloatDType::BF16),
            Self::F16 => Some(FloatDType::F16),
        }
    }

    pub(crate) fn is_single(&self) -> bool {
        *self == Self::F32
    }

    /// Checks that a device computes in it.
    pub(crate) fn check<B: Backend>(self, device: &B::Device) -> Result<(), TrainError> {
        match self.half() {
            Some(dtype) if !B::supports_dtype(device, dtype.into()) => {
                Err(TrainError::ComputeType {
                    compute: self,
                    device: B::name(device),
                })
            }
            _ => Ok(()),
        }
    }

    /// The network that a step computes with, with the parameters' identities.
    pub fn working_copy<B, M>(self, model: &M) -> M
    where
        B: AutodiffBackend + Kernels,
        B::InnerBackend: Kernels,
        M: AutodiffModule<B>,
    {
        match self.half() {
            None => model.clone(),
            Some(dtype) => trainable(cast(model.valid(), dtype)),
        }
    }

    /// The gradients in single precision times `factor`.
    pub fn in_single<B: AutodiffBackend, M: Module<B>>(
        self,
        model: &M,
        gradients: GradientsParams,
        factor: f64,
    ) -> GradientsParams {
        if self.is_single() {
            return gradients;
        }
        let mut visitor = InSingle {
            found: gradients,
            cast: GradientsParams::new(),
            factor,
        };
        model.visit(&mut visitor);
        visitor.cast
    }
}

struct InSingle {
    found: GradientsParams,
    cast: GradientsParams,
    factor: f64,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for InSingle {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.found.remove::<B::InnerBackend, D>(param.id) {
            let gradient = gradient.cast(FloatDType::F32);
            let gradient = if self.factor == 1.0 {
                gradient
            } else {
                gradient * self.factor
            };
            self.cast.register(param.id, gradient);
        }
    }
}

/// What losses are multiplied by in half precision: as much as gradients bear.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LossScale {
    /// A power of two.
    pub factor: f64,
    /// Steps since it changed.
    pub steps: u64,
}

impl LossScale {
    /// Steps after which a larger factor is tried.
    const PATIENCE: u64 = 2_000;

    /// Below it gradients are not too large for half precision but no numbers.
    const LEAST: f64 = 1.0 / 1_048_576.0;

    /// Where the search begins.
    pub(crate) const START: Self = Self {
        factor: 65_536.0,
        steps: 0,
    };

    /// Whether there is no scale that keeps the gradients finite.
    pub(crate) fn is_exhausted(self) -> bool {
        self.factor < Self::LEAST
    }

    /// The scale after a step whose gradients were all finite or not.
    pub(crate) fn after(self, finite: bool) -> Self {
        let steps = self.steps + 1;
        match finite {
            false => Self {
                factor: self.factor / 2.0,
                steps: 0,
            },
            true if steps == Self::PATIENCE => Self {
                factor: self.factor * 2.0,
                steps: 0,
            },
            true => Self { steps, ..self },
        }
    }
}

#[cfg(test)]
#[path = "compute_tests.rs"]
mod tests;
