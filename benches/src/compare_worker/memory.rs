//! The kernel's account of this process's memory.

use std::fs;

use anyhow::{Context, Result};

/// Memory in use now, in MiB.
pub fn resident() -> Result<f64> {
    field("VmRSS")
}

/// The most that was ever in use, in MiB.
pub fn peak() -> Result<f64> {
    field("VmHWM")
}

fn field(name: &str) -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")
        .context("cannot read /proc/self/status; memory is measured on Linux only")?;
    parse(&status, name).with_context(|| format!("/proc/self/status has no {name}"))
}

fn parse(status: &str, name: &str) -> Option<f64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kibibytes: f64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn fields_are_read_in_mebibytes() {
        let status = "Name:\tworker\nVmHWM:\t    3072 kB\nVmRSS:\t    1536 kB\n";
        assert_eq!(parse(status, "VmHWM"), Some(3.0));
        assert_eq!(parse(status, "VmRSS"), Some(1.5));
        assert_eq!(parse(status, "Vm"), None);
    }
}
