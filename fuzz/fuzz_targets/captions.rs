//! MS-COCO's captions: every image that is opened has one.
#![no_main]

use adadiff_data::{Coco, ImageSet};
use adadiff_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let captions = file("captions.json", bytes);
    let root = captions.parent().expect("a file is in a folder");
    let images = root.join("images");
    std::fs::create_dir_all(&images).expect("a temporary folder can be made");
    std::fs::write(images.join("1.jpg"), []).expect("a temporary file can be written");
    if let Ok(set) = Coco::open(&images, &captions, 8) {
        for index in 0..set.len() {
            assert!(!set.captions(index).is_empty());
        }
    }
});
