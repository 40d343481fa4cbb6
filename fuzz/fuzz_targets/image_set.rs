//! Sets of images as the reference batches of guided diffusion's evaluation.
#![no_main]

use adadiff_fuzz::file;
use adadiff_metrics::{NpzError, NpzImages};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut set) = NpzImages::open(&file("images.npz", bytes)) {
        let [images, ..] = set.shape();
        let mut found = 0;
        let read = set.for_each_batch::<NpzError>(7, |batch| {
            found += batch.shape()[0];
            Ok(())
        });
        assert!(read.is_err() || found == images);
    }
});
