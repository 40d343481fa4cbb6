//! The devices that a test runs on.

use std::io::Write;

use adadiff_backends::{BackendName, DeviceName, DeviceTask, compiled_devices, run_on};
use adadiff_model::kernels::Kernels;
use anyhow::Result;

/// Shows that a device is there.
struct Probe;

impl DeviceTask for Probe {
    type Output = Result<()>;

    fn run<B: Kernels>(self, _device: B::Device) -> Result<()> {
        Ok(())
    }
}

/// Every device that was compiled in. One that is not there fails the test, so that a machine
/// without its driver does not pass unnoticed; CUDA alone is left out with a line, because its
/// feature is compiled on machines without such a GPU.
///
/// # Panics
/// Where a device other than CUDA is not there.
pub fn devices_under_test() -> Vec<DeviceName> {
    let is_there = |device: &DeviceName| match run_on(*device, Probe) {
        Ok(()) => true,
        Err(error) if device.backend == BackendName::Cuda => {
            println!("skipped on {device}: {error:#}");
            false
        }
        Err(error) => panic!("{error:#}"),
    };
    compiled_devices().into_iter().filter(is_there).collect()
}

/// The device whose numbers are the reference for the others. Burn's NdArray would share less code
/// with the rest, but its vectorised reciprocal, and so every gradient of a division, is good to
/// four digits only.
///
/// # Panics
/// Where no device was compiled in.
pub fn reference_device() -> DeviceName {
    let devices = compiled_devices();
    *devices.first().expect("at least one backend feature is on")
}

/// Says on standard output where a test runs, past the test harness, which would swallow it.
pub fn announce(test: &str, devices: &[DeviceName]) {
    let names: Vec<_> = devices.iter().map(ToString::to_string).collect();
    // A closed standard output is no reason for a test to fail.
    let _ = writeln!(std::io::stdout(), "{test}: {}", names.join(", "));
}

/// Makes a test on every device under test of a function `fn name<B: Kernels>(device: &B::Device) ->
/// Result<()>`.
#[macro_export]
macro_rules! test_on_every_device {
    ($name:ident) => {
        mod $name {
            #[derive(Clone, Copy)]
            struct Test;

            impl adadiff_backends::DeviceTask for Test {
                type Output = anyhow::Result<()>;

                fn run<B: adadiff_model::kernels::Kernels>(
                    self,
                    device: B::Device,
                ) -> Self::Output {
                    super::$name::<B>(&device)
                }
            }

            #[test]
            fn on_every_device() {
                $crate::on_every_device(stringify!($name), Test);
            }
        }
    };
}

/// Does `task` on every device under test.
///
/// # Panics
/// Where the task fails on one of them.
pub fn on_every_device<T: DeviceTask<Output = Result<()>> + Clone>(test: &str, task: T) {
    let devices = devices_under_test();
    announce(test, &devices);
    for device in devices {
        println!("on {device}");
        if let Err(error) = run_on(device, task.clone()) {
            panic!("on {device}: {error:#}");
        }
    }
}
