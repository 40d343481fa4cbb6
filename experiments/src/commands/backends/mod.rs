//! The command `backends`: one checkpoint with the same seeds on every device that is there.
//!
//! Each device computes in a process of its own: a driver that ends its process does not end the
//! comparison, and a process's memory is that of one device.

mod agreement;
mod options;
mod part;
mod row;

use std::env;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use adadiff_backends::DeviceName;
use adadiff_storage::{to_json_lines, write_atomically};
use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::presets::Preset;
use crate::terminal::{note, say};
use agreement::{Agreement, AgreementVerdict};
pub use options::BackendsOptions;
use options::{PART, PART_CALIBRATION, PART_DEVICE};
use part::{Part, PartTask};
use row::{BackendRow, table};

/// The time between two looks at a device's process.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub struct Backends<'a> {
    /// The preset with the command line's changes.
    pub preset: Preset,
    /// The devices, the one that the others are compared with first.
    pub devices: Vec<DeviceName>,
    /// The file of JSON lines to write, if one was named.
    pub out: Option<PathBuf>,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
}

impl Backends<'_> {
    /// Runs every device, prints the table and writes the lines.
    ///
    /// # Errors
    /// Where no device is there, one that is there computes something else, or the user interrupts.
    pub fn carry_out(self) -> Result<()> {
        let folder = tempfile::tempdir().context("cannot write into the temporary folder")?;
        let mut reference: Option<(DeviceName, Part)> = None;
        let mut rows = Vec::new();
        for &device in &self.devices {
            note!("{device}: sampling");
            let computed = self.compute(device, &folder)?;
            let row = match (computed, &reference) {
                (Err(reason), _) => {
                    note!("{device}: {reason}");
                    BackendRow::absent(&self.preset, device, reason)
                }
                (Ok(part), Some((name, expected))) => {
                    let agreement = Agreement::new(&part, expected, self.preset.sampling.precision);
                    BackendRow::new(&self.preset, device, *name, &part, agreement)
                }
                (Ok(part), None) => {
                    let calibration = serde_json::to_vec(&part.calibration)?;
                    write_atomically(&calibration_file(&folder), &calibration)?;
                    let row = BackendRow::new(
                        &self.preset,
                        device,
                        device,
                        &part,
                        Agreement::reference(),
                    );
                    reference = Some((device, part));
                    row
                }
            };
            rows.push(row);
        }
        let Some((reference, _)) = reference else {
            bail!("no device could be used");
        };
        let lines = to_json_lines(&rows)?;
        if let Some(out) = &self.out {
            write_atomically(out, lines.as_bytes())?;
        }
        say!("{}", table(&rows).terminal())?;
        for row in &rows {
            say!("{}: {}", row.device, row.verdict)?;
        }
        if let Some(out) = &self.out {
            say!("lines: {}", out.display())?;
        }
        let differing = rows
            .iter()
            .filter(|row| row.verdict == AgreementVerdict::Differs);
        let differing: Vec<_> = differing.map(|row| row.device.as_str()).collect();
        if differing.is_empty() {
            Ok(())
        } else {
            bail!("{} differs from {reference}", differing.join(", "))
        }
    }

    /// What a device makes of the checkpoint, or why it does not.
    fn compute(&self, device: DeviceName, folder: &TempDir) -> Result<Result<Part, String>> {
        let program = env::current_exe().context("this program does not find itself")?;
        let file = folder
            .path()
            .join(format!("{}.json", device.to_string().replace(':', "-")));
        let told = folder.path().join("told.txt");
        let mut command = Command::new(program);
        command
            .args(env::args_os().skip(1))
            .arg(format!("--{PART}"))
            .arg(&file)
            .arg(format!("--{PART_DEVICE}={device}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&told).context("cannot write into the temporary folder")?);
        let calibration = calibration_file(folder);
        if calibration.exists() {
            command
                .arg(format!("--{PART_CALIBRATION}"))
                .arg(calibration);
        }
        let child = command.spawn();
        let status = self.wait(child.context("cannot start this program again")?)?;
        if !status.success() {
            let told = fs::read(&told).unwrap_or_default();
            return Ok(Err(reason(&String::from_utf8_lossy(&told), status.code())));
        }
        let part = fs::read(&file).with_context(|| format!("{device} left nothing behind"))?;
        Ok(Ok(serde_json::from_slice(&part)?))
    }

    /// Waits for a device's process, which is ended where the user asks to stop: a signal may have reached
    /// this process alone.
    fn wait(&self, mut process: Child) -> Result<ExitStatus> {
        loop {
            let ended = process.try_wait().context("cannot wait for a process")?;
            if self.stop.load(Ordering::Relaxed) {
                // Where it has ended already, there is nothing to end.
                let _ = process.kill();
                let _ = process.wait();
                bail!("interrupted; nothing was written");
            }
            if let Some(status) = ended {
                return Ok(status);
            }
            thread::sleep(PAUSE);
        }
    }
}

fn calibration_file(folder: &TempDir) -> PathBuf {
    folder.path().join("calibration.json")
}

/// Why a device's process failed: the error that it told, or how it ended.
fn reason(told: &str, code: Option<i32>) -> String {
    let error = told
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("error: "));
    match (error, code) {
        (Some(error), _) => error.to_owned(),
        (None, Some(code)) => format!("its process ended with code {code}"),
        (None, None) => "its process was ended by a signal".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_process_tells_why() {
        let told = "warning: old driver\nerror: the device 'cuda' is not there: install it\n";
        assert_eq!(
            reason(told, Some(1)),
            "the device 'cuda' is not there: install it"
        );
        assert_eq!(reason("", Some(101)), "its process ended with code 101");
        assert_eq!(
            reason("thread panicked", None),
            "its process was ended by a signal"
        );
    }
}
