//! A large product, whose rate is the machine's measured peak.

use std::hint::black_box;

use adadiff_backends::Precision;
use adadiff_model::kernels::Kernels;
use anyhow::Result;
use burn::tensor::{FloatDType, Tensor};

use crate::arrays::Folder;
use crate::work::{Outputs, Work};

/// Two square matrices.
pub struct MatrixProduct<B: Kernels> {
    a: Tensor<B, 2>,
    b: Tensor<B, 2>,
    device: B::Device,
}

impl<B: Kernels> MatrixProduct<B> {
    pub fn load(precision: Precision, folder: &Folder, device: &B::Device) -> Result<Self> {
        let inputs = folder.inputs()?;
        Ok(Self {
            a: cast(precision, inputs.tensor("a", device)?),
            b: cast(precision, inputs.tensor("b", device)?),
            device: device.clone(),
        })
    }

    fn product(&self) -> Tensor<B, 2> {
        self.a.clone().matmul(self.b.clone())
    }
}

fn cast<B: Kernels>(precision: Precision, matrix: Tensor<B, 2>) -> Tensor<B, 2> {
    matrix.cast(precision.float_dtype())
}

impl<B: Kernels> Work for MatrixProduct<B> {
    fn run(&mut self) -> Result<()> {
        black_box(self.product());
        Ok(B::sync(&self.device)?)
    }

    fn outputs(&mut self) -> Result<Outputs> {
        Ok(vec![(
            "product",
            self.product().cast(FloatDType::F32).into_data(),
        )])
    }

    fn flops(&self) -> Option<f64> {
        let [size, _] = self.a.dims();
        Some(2.0 * (size as f64).powi(3))
    }
}
