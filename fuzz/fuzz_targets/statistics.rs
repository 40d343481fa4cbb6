//! Statistics of features as pytorch-fid writes them, with and without numbers that make sense.
#![no_main]

use adadiff_fuzz::file;
use adadiff_metrics::{frechet_distance, read_statistics};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(gaussian) = read_statistics(&file("statistics.npz", bytes)) {
        let _ = frechet_distance(&gaussian, &gaussian);
    }
});
