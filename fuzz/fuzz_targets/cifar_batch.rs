//! Batches of CIFAR-10 as records; the files of the test split are one batch.
#![no_main]

use adadiff_data::{Cifar10, ImageSet, Split};
use adadiff_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let batch = file("test_batch.bin", bytes);
    let folder = batch.parent().expect("a file is in a folder");
    if let Ok(set) = Cifar10::load(folder, Split::Test) {
        assert_eq!(set.len() * 3073, bytes.len());
    }
});
