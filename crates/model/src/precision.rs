//! Networks in other precisions than they were trained in.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{FloatDType, Tensor};

use crate::kernels::{self, Kernels};

struct Cast {
    dtype: FloatDType,
    /// Whether matrices alone are cast.
    mixed: bool,
}

impl<B: Kernels> ModuleMapper<B> for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        if self.mixed && D != 2 {
            return param;
        }
        let (id, tensor, mapper) = param.consume();
        Param::from_mapped_value(id, kernels::cast(tensor, self.dtype), mapper)
    }
}

/// The network with its weights rounded to `dtype`, in which it then computes: all of them, or the matrices alone
/// where the backend [mixes](Kernels::mixes) them with single precision.
///
/// [`UVit`](crate::UVit) takes and returns single precision all the same: solvers add small steps
/// to large values.
pub fn cast<B: Kernels, M: Module<B>>(model: M, dtype: FloatDType) -> M {
    let mixed = B::mixes(dtype);
    model.map(&mut Cast { dtype, mixed })
}
