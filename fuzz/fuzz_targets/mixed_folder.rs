//! Folders of files of all names: the bytes up to each zero are a name, the byte behind it says whether a
//! file, a folder, a link to the folder itself or a link to nothing has it.
#![no_main]

use std::fs;
use std::path::{Component, Path};

use adadiff_images::ImageFiles;
use libfuzzer_sys::fuzz_target;
use tempfile::tempdir;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempdir().expect("a temporary folder can be made");
    let root = folder.path();
    let mut rest = bytes;
    let mut made = 0;
    while let Some(end) = rest.iter().position(|&byte| byte == 0) {
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        let kind = rest.get(end + 1).copied().unwrap_or_default();
        rest = rest.get(end + 2..).unwrap_or_default();
        let is_plain = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_plain || name.is_empty() {
            continue;
        }
        let path = root.join(&name);
        let _ = path.parent().map(fs::create_dir_all);
        made += usize::from(match kind % 4 {
            0 => fs::write(&path, b"P5 1 1 255\n\x07").is_ok(),
            1 => fs::create_dir(&path).is_ok(),
            #[cfg(unix)]
            2 => std::os::unix::fs::symlink(root, &path).is_ok(),
            #[cfg(unix)]
            _ => std::os::unix::fs::symlink("nowhere", &path).is_ok(),
            #[cfg(not(unix))]
            _ => false,
        });
    }
    if let Ok(files) = ImageFiles::folder(root) {
        assert!(files.len() + files.left_out().total() <= made + bytes.len());
        for index in 0..files.len() {
            let name = files.name(index);
            assert!(name.split('/').all(|part| !part.starts_with('.')), "{name}");
            if let Ok(image) = files.decode(index) {
                assert_eq!(image.as_raw(), &[7; 3]);
            }
        }
    }
});
