//! Batches of CIFAR-10 as pickles, which must not run anything.
#![no_main]

use adadiff_data::{Cifar10, ImageSet, Split};
use adadiff_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let batch = file("test_batch", bytes);
    let folder = batch.parent().expect("a file is in a folder");
    if let Ok(set) = Cifar10::load(folder, Split::Test) {
        for index in 0..set.len() {
            assert!(set.label(index) < set.classes());
            assert_eq!(set.bytes(index).expect("it is in memory").len(), 3072);
        }
    }
});
