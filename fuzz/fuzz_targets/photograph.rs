//! Image files of one's own: the first byte says how they are framed.
#![no_main]

use adadiff_data::{Framing, ImageFolder, ImageSet};
use adadiff_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&framing, bytes)) = bytes.split_first() else {
        return;
    };
    let framing = match framing % 4 {
        0 => Framing::Exact,
        1 => Framing::CelebA,
        2 => Framing::Adm,
        _ => Framing::Lanczos,
    };
    let image = file("image.jpg", bytes);
    let root = image.parent().expect("a file is in a folder");
    let set = ImageFolder::unlabelled(root, framing, 8).expect("there is an image");
    if let Ok(image) = set.image(0, true) {
        assert_eq!(image.len(), 3 * 8 * 8);
    }
});
