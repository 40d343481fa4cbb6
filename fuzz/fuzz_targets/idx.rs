//! IDX files inside good compression: the first two bytes say where the labels begin.
#![no_main]

use std::io::Write;

use adadiff_data::{FashionMnist, Split};
use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_at_checked(2) else {
        return;
    };
    let cut = usize::from(u16::from_le_bytes([cut[0], cut[1]])).min(bytes.len());
    let (images, labels) = bytes.split_at(cut);
    if let Ok(set) = FashionMnist::from_gz_bytes("", Split::Test, &gzip(images), &gzip(labels)) {
        for index in 0..set.len() {
            set.image(index, index % 2 == 0);
        }
    }
});
