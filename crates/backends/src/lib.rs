//! Devices by name: the only place that names Burn's backends.
//!
//! What a program does is a [`DeviceTask`], generic over the backend; [`run_on`] does it on the device
//! that the user named, if that was compiled in and is there. Each backend is a Cargo feature.
//!
//! ```
//! use adadiff_backends::{BackendError, DeviceTask, run_on};
//! use adadiff_model::kernels::Kernels;
//! use burn::tensor::Tensor;
//!
//! struct Sum;
//!
//! impl DeviceTask for Sum {
//!     type Output = Result<f32, BackendError>;
//!
//!     fn run<B: Kernels>(self, device: B::Device) -> Self::Output {
//!         let sum = Tensor::<B, 1>::ones([3], &device).sum().into_data();
//!         Ok(sum.iter::<f32>().sum())
//!     }
//! }
//!
//! # #[cfg(feature = "flex")]
//! assert_eq!(run_on("flex".parse()?, Sum)?, 3.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod allocator;
mod device;
mod error;
mod precision;
mod rank;

pub use allocator::keep_freed_memory;
pub use device::{BackendName, DeviceName, DeviceTask, compiled_devices, distinct_devices, run_on};
pub use error::BackendError;
pub use precision::Precision;
pub use rank::{ProcessRank, RankOptions};
