//! Lists of CelebA's parts: what is opened of them has its images.
#![no_main]

use adadiff_data::{CelebA, CelebAPartition, ImageSet};
use adadiff_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let list = file("list_eval_partition.txt", bytes);
    let root = list.parent().expect("a file is in a folder");
    let images = root.join("img_align_celeba");
    std::fs::create_dir_all(&images).expect("a temporary folder can be made");
    std::fs::write(images.join("1.jpg"), []).expect("a temporary file can be written");
    if let Ok(set) = CelebA::open(root, CelebAPartition::Train, 8) {
        let mut names: Vec<_> = (0..set.len()).map(|index| set.name(index)).collect();
        names.sort_unstable();
        assert!(names.binary_search(&"1.jpg".to_owned()).is_ok());
        names.dedup();
        assert_eq!(names.len(), set.len());
    }
});
