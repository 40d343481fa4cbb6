//! How much memory a training takes.

use std::fs;

/// The most memory that this process has had resident, in MiB; absent where the system has no
/// `/proc`.
pub fn peak_resident_mib() -> Option<u64> {
    high_water_mark(&fs::read_to_string("/proc/self/status").ok()?)
}

/// The mark in the text of `/proc/self/status`, which gives it in KiB.
fn high_water_mark(status: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.div_ceil(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_found_and_given_in_mebibytes() {
        let status = "Name:\ttrain\nVmPeak:\t  999999 kB\nVmHWM:\t   20481 kB\nVmRSS:\t 1024 kB\n";
        assert_eq!(high_water_mark(status), Some(21));
        assert_eq!(high_water_mark("Name:\ttrain\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_that_is_written_to_counts() {
        let before = peak_resident_mib().unwrap();
        let written = vec![1u8; 64 << 20];
        assert!(std::hint::black_box(&written).iter().all(|&byte| byte == 1));
        let after = peak_resident_mib().unwrap();
        println!("{before} MiB, then {after} MiB");
        assert!(after >= 64 && after >= before);
    }
}
