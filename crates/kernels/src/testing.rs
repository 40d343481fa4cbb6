//! Values for tests.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

/// A tensor of values in `[-1, 1]`, the same on every call.
pub(crate) fn uniform<B: Backend, const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
    let value = |index: usize| ((index as f32 + 1.0) * 12.9898).sin() * 43_758.547 % 1.0;
    let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

/// A tensor's values.
pub(crate) fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().into_vec().unwrap()
}
