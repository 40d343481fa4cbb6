//! Compressed files as they come, as images and as labels.
#![no_main]

use adadiff_data::{FashionMnist, Split};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = FashionMnist::from_gz_bytes("", Split::Train, bytes, bytes);
});
