//! What the network computes in.

use adadiff_model::cast;
use adadiff_model::kernels::Kernels;
use burn::module::Module;
use burn::tensor::FloatDType;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::BackendError;

/// The type of weights and hidden states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision
    #[default]
    F32,
    /// Half precision: 11 bits, up to 65504
    F16,
    /// Brain floating point: 8 bits, the range of single precision
    Bf16,
}

impl Precision {
    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// Whether it is what networks compute in unless they are asked to do otherwise.
    pub fn is_full(&self) -> bool {
        *self == Self::F32
    }

    /// The type in which networks compute faster than in single precision on a processor with instructions for it,
    /// where this is such a processor.
    pub fn faster<B: Kernels>() -> Option<Self> {
        B::has_fast_products(FloatDType::BF16).then_some(Self::Bf16)
    }

    /// The type that tensors are cast to.
    pub fn float_dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::F16 => FloatDType::F16,
            Self::Bf16 => FloatDType::BF16,
        }
    }

    /// A network with weights of this type.
    ///
    /// # Errors
    /// Where the device does not compute in it.
    pub fn cast<B: Kernels, M: Module<B>>(
        self,
        model: M,
        device: &B::Device,
    ) -> Result<M, BackendError> {
        if self == Self::F32 {
            return Ok(model);
        }
        if !B::supports_dtype(device, self.float_dtype().into()) {
            return Err(BackendError::Unsupported(self));
        }
        Ok(cast(model, self.float_dtype()))
    }
}
