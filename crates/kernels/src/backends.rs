//! Backends that use Burn's own operations.

#[cfg(feature = "ndarray")]
impl super::Kernels for burn_ndarray::NdArray {}

#[cfg(feature = "wgpu")]
impl super::Kernels for burn_wgpu::Wgpu {}

#[cfg(feature = "cuda")]
impl super::Kernels for burn_cuda::Cuda {}
