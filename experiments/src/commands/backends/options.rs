//! The command line of the comparison, and of the processes that it starts.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use adadiff_backends::{DeviceName, distinct_devices, run_on};
use adadiff_pipeline::Calibration;
use adadiff_storage::write_atomically;
use anyhow::{Result, bail};
use clap::Args;

use super::{Backends, PartTask};
use crate::commands::inputs::InputOptions;
use crate::presets::{Experiment, positive};

/// Where a process that was started for one device leaves what it made.
pub(super) const PART: &str = "part";
/// That device.
pub(super) const PART_DEVICE: &str = "part-device";
/// The threshold of all devices.
pub(super) const PART_CALIBRATION: &str = "part-calibration";

/// Options of `backends`.
#[derive(Debug, Args)]
pub struct BackendsOptions {
    /// What to sample from, and what samples are judged by.
    #[command(flatten)]
    pub inputs: InputOptions,
    /// Devices to compare, separated by commas [default: all that this program was built with]
    #[arg(long, value_name = "DEVICE", value_delimiter = ',')]
    pub devices: Vec<DeviceName>,
    /// Number of samples
    #[arg(long, value_name = "N", value_parser = positive, default_value = "16")]
    pub samples: usize,
    /// File of JSON lines to write
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Where this process leaves what one device made of it
    #[arg(long = PART, hide = true, requires = "part_device")]
    pub part: Option<PathBuf>,
    /// That device
    #[arg(long = PART_DEVICE, hide = true, requires = "part")]
    pub part_device: Option<DeviceName>,
    /// The threshold of all devices
    #[arg(long = PART_CALIBRATION, hide = true)]
    pub part_calibration: Option<PathBuf>,
}

impl BackendsOptions {
    /// Compares devices, or computes the part of the one that this process was started for.
    ///
    /// # Errors
    /// As [`Backends::carry_out`], and what a device runs into.
    pub fn carry_out(self, experiment: &Experiment, stop: &AtomicBool) -> Result<()> {
        if let Some(path) = &self.out {
            self.inputs.check_output(path)?;
        }
        let inputs = self.inputs.resolve(experiment)?;
        if inputs.request.is_some() {
            bail!("devices are compared at one share of blocks: name it with --reduction");
        }
        if let (Some(path), Some(device)) = (&self.part, self.part_device) {
            let calibration = self.part_calibration.as_deref();
            let task = PartTask {
                inputs,
                samples: self.samples,
                calibration: calibration.map(Calibration::read).transpose()?,
            };
            let part = run_on(device, task)?;
            return Ok(write_atomically(path, &serde_json::to_vec(&part)?)?);
        }
        let devices = if self.devices.is_empty() {
            distinct_devices()
        } else {
            self.devices
        };
        let (first, others): (Vec<_>, Vec<_>) = devices
            .into_iter()
            .partition(|device| *device == inputs.device);
        Backends {
            preset: inputs.checkpoint.preset,
            devices: [first, others].concat(),
            out: self.out,
            stop,
        }
        .carry_out()
    }
}
