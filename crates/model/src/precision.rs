//! Networks in other precisions than they were trained in.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor};

struct Cast(FloatDType);

impl<B: Backend> ModuleMapper<B> for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let (id, tensor, mapper) = param.consume();
        Param::from_mapped_value(id, tensor.cast(self.0), mapper)
    }
}

/// The network with all its weights rounded to `dtype`, in which it then computes.
///
/// [`UVit`](crate::UVit) takes and returns single precision all the same: solvers add small steps
/// to large values.
pub fn cast<B: Backend, M: Module<B>>(model: M, dtype: FloatDType) -> M {
    model.map(&mut Cast(dtype))
}
