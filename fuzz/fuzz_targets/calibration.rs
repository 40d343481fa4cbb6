//! Thresholds beside a checkpoint, which are looked up and turned into exit policies.
#![no_main]

use adadiff_experiments::Calibrations;
use adadiff_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(calibrations) = Calibrations::read(&file("calibration.json", bytes)) {
        for calibration in calibrations.entries() {
            calibration.policy();
        }
    }
});
