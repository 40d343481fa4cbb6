//! Archives of CIFAR-10, as tar files inside good compression.
#![no_main]

use std::io::Write;

use adadiff_data::{Cifar10, Split};
use adadiff_fuzz::file;
use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(bytes).expect("memory can be written");
    let gz = encoder.finish().expect("memory can be written");
    let _ = Cifar10::load(&file("cifar-10-binary.tar.gz", &gz), Split::Test);
});
