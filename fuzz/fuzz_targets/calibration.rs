//! Thresholds beside a checkpoint, which are looked up and turned into exit policies.
#![no_main]

use adadiff_fuzz::file;
use adadiff_pipeline::CalibrationFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(calibrations) = CalibrationFile::read(&file("calibration.json", bytes)) {
        for entry in calibrations.entries() {
            entry.calibration.policy();
        }
    }
});
