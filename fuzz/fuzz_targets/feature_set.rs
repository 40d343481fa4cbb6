//! Features as NumPy stores them, by themselves and in archives.
#![no_main]

use adadiff_fuzz::file;
use adadiff_metrics::{FeatureSet, NpzError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut set) = FeatureSet::open(&file("features.npy", bytes)) {
        let values = set.samples() * set.dims();
        let mut found = 0;
        let read = set.for_each_batch::<NpzError>(7, |batch| {
            found += batch.len();
            Ok(())
        });
        assert!(read.is_err() || found == values);
    }
});
