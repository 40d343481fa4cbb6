//! Devices on the command line, and the one place where backends are named.

use std::fmt;
use std::str::FromStr;

use adadiff_model::kernels::Kernels;

use crate::{BackendError, ProcessRank};

/// A device by backend and index, as `--device` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceName {
    /// The backend.
    pub backend: BackendName,
    /// Which of the machine's devices.
    pub index: usize,
}

/// The backends that this project knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendName {
    /// Burn's fast CPU backend.
    Flex,
    /// Burn's ndarray CPU backend.
    NdArray,
    /// Any GPU through wgpu, which chooses the graphics interface.
    Wgpu,
    /// Any GPU through Vulkan.
    Vulkan,
    /// NVIDIA GPUs.
    Cuda,
}

impl BackendName {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Flex, "flex"),
        (Self::NdArray, "ndarray"),
        (Self::Wgpu, "wgpu"),
        (Self::Vulkan, "vulkan"),
        (Self::Cuda, "cuda"),
    ];

    /// The name on the command line, which is the Cargo feature's too.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(backend, _)| *backend == self)
            .map_or("flex", |(_, name)| name)
    }

    fn is_compiled_in(self) -> bool {
        match self {
            Self::Flex => cfg!(feature = "flex"),
            Self::NdArray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "untuned-wgpu"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }
}

impl DeviceName {
    /// The device of the same backend whose index is the process's number among those of its
    /// machine.
    ///
    /// # Errors
    /// Where the process's launcher does not tell that number.
    pub fn of_process(self, rank: ProcessRank) -> Result<Self, BackendError> {
        let index = rank.local.ok_or(BackendError::NoLocalRank)? as usize;
        Ok(Self { index, ..self })
    }
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => {
                let index = index.parse().map_err(|_| {
                    format!("'{index}' is no device index; write for example cuda:0")
                })?;
                (name, index)
            }
            None => (text, 0),
        };
        let backend = BackendName::ALL.iter().find(|(_, known)| *known == name);
        let Some(&(backend, _)) = backend else {
            let known: Vec<_> = BackendName::ALL.iter().map(|(_, name)| *name).collect();
            return Err(format!(
                "there is no device '{name}'; known are {}",
                known.join(", ")
            ));
        };
        Ok(Self { backend, index })
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            0 => f.write_str(self.backend.name()),
            index => write!(f, "{}:{index}", self.backend.name()),
        }
    }
}

/// Work that any backend can do.
pub trait DeviceTask {
    /// What comes out, for [`run_on`] a `Result`.
    type Output;

    /// Does the work on a device.
    fn run<B: Kernels>(self, device: B::Device) -> Self::Output;
}

/// Does `task` on the named device: the only place that names backends.
///
/// # Errors
/// Where the backend was not compiled in or the device is not there, with what to do about it, and
/// what the task itself runs into.
pub fn run_on<T, O, E>(name: DeviceName, task: T) -> Result<O, E>
where
    T: DeviceTask<Output = Result<O, E>>,
    E: From<BackendError>,
{
    if !name.backend.is_compiled_in() {
        return Err(BackendError::NotBuilt(name).into());
    }
    match name.backend {
        #[cfg(feature = "flex")]
        BackendName::Flex => task.run::<burn_flex::Flex>(only_index_zero(name)?),
        #[cfg(feature = "ndarray")]
        BackendName::NdArray => task.run::<burn_ndarray::NdArray>(only_index_zero(name)?),
        // Where Vulkan is to be had, wgpu chooses it by itself.
        #[cfg(feature = "untuned-wgpu")]
        BackendName::Wgpu | BackendName::Vulkan => {
            task.run::<burn_wgpu::Wgpu>(graphics_device(name)?)
        }
        #[cfg(feature = "cuda")]
        BackendName::Cuda => task.run::<burn_cuda::Cuda>(cuda_device(name)?),
        #[allow(
            unreachable_patterns,
            reason = "which backends are left depends on the features"
        )]
        _ => Err(BackendError::NotBuilt(name).into()),
    }
}

#[cfg(any(feature = "flex", feature = "ndarray"))]
fn only_index_zero<D: Default>(name: DeviceName) -> Result<D, BackendError> {
    let DeviceName { backend, index } = name;
    match index {
        0 => Ok(D::default()),
        _ => Err(BackendError::NoSuchIndex { backend, index }),
    }
}

#[cfg(feature = "untuned-wgpu")]
fn graphics_device(name: DeviceName) -> Result<burn_wgpu::WgpuDevice, BackendError> {
    let device = match name.index {
        0 => burn_wgpu::WgpuDevice::DefaultDevice,
        index => burn_wgpu::WgpuDevice::DiscreteGpu(index),
    };
    probe::<burn_wgpu::Wgpu>(
        &device,
        name,
        "install a Vulkan driver for your GPU, or Debian's mesa-vulkan-drivers to compute on the CPU",
    )?;
    Ok(device)
}

#[cfg(feature = "cuda")]
fn cuda_device(name: DeviceName) -> Result<burn_cuda::CudaDevice, BackendError> {
    let device = burn_cuda::CudaDevice::new(name.index);
    probe::<burn_cuda::Cuda>(
        &device,
        name,
        "install NVIDIA's driver and the CUDA toolkit's NVRTC library, and check the index with \
         `nvidia-smi`",
    )?;
    Ok(device)
}

/// Computes a sum on the device: backends that miss their driver say so by a panic.
#[cfg(any(feature = "untuned-wgpu", feature = "cuda"))]
fn probe<B: Kernels>(
    device: &B::Device,
    name: DeviceName,
    advice: &'static str,
) -> Result<(), BackendError> {
    use std::sync::Mutex;

    use burn::tensor::Tensor;

    /// Devices that answered, which need not be asked again.
    static PRESENT: Mutex<Vec<DeviceName>> = Mutex::new(Vec::new());
    let mut present = PRESENT
        .lock()
        .map_err(|_| BackendError::FailedBefore(name))?;
    if present.contains(&name) {
        return Ok(());
    }

    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    // After a panic the device is not used again.
    let sum = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let sum = Tensor::<B, 1>::ones([2], device).sum().into_data();
        sum.iter::<f32>().next()
    }));
    std::panic::set_hook(hook);
    match sum {
        Ok(Some(2.0)) => {
            present.push(name);
            Ok(())
        }
        _ => Err(BackendError::NotThere {
            device: name,
            advice,
        }),
    }
}

/// The devices that were compiled in.
pub fn compiled_devices() -> Vec<DeviceName> {
    BackendName::ALL
        .iter()
        .filter(|(backend, _)| backend.is_compiled_in())
        .map(|&(backend, _)| DeviceName { backend, index: 0 })
        .collect()
}

/// [`compiled_devices`] without those that are another one's second name.
pub fn distinct_devices() -> Vec<DeviceName> {
    let mut devices = compiled_devices();
    // The feature `vulkan` includes `wgpu`, which then chooses Vulkan.
    devices.retain(|device| device.backend != BackendName::Vulkan);
    devices
}
