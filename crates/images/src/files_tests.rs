use std::fs;
use std::io::{Cursor, Write};

use adadiff_storage::write_atomically;
use image::{ImageFormat, Rgb};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

/// A PNG file of one colour.
fn png(colour: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let image = RgbImage::from_pixel(2, 1, Rgb([colour; 3]));
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Four pictures in an order that is not theirs, and what people and their machines leave beside them.
fn mixed() -> Vec<(&'static str, Vec<u8>)> {
    let mut files = vec![
        ("b/2.PNG", png(4)),
        ("a.png", png(1)),
        ("b/1.jpg", png(3)),
        ("a10.webp", png(2)),
    ];
    files.extend(
        [
            ".a.png",
            ".ipynb_checkpoints/a-checkpoint.png",
            ".Trash-1000/files/a.png",
            ".Trash-1000/files/b.png",
            "@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg",
            "b/__MACOSX/._2.png",
        ]
        .map(|name| (name, png(9))),
    );
    files.extend(["notes.txt", "0.gif", "1.GIF", "2.jfif", "README"].map(|name| (name, vec![7])));
    files
}

fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        write_atomically(&folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn zipped(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    // Named like a picture.
    zip.add_directory("b/foo.png", options).unwrap();
    for (name, bytes) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn names(files: &ImageFiles) -> Vec<String> {
    (0..files.len()).map(|index| files.name(index)).collect()
}

#[test]
fn folders_and_archives_hold_the_same_pictures() {
    let folder = folder(&mixed());
    fs::create_dir_all(folder.path().join("b/foo.png")).unwrap();
    let archive = TempDir::new().unwrap();
    let archive = archive.path().join("images.zip");
    fs::create_dir_all(archive.parent().unwrap()).unwrap();
    fs::write(&archive, zipped(&mixed())).unwrap();
    for files in [
        ImageFiles::folder(folder.path()).unwrap(),
        ImageFiles::zip(&archive).unwrap(),
    ] {
        assert_eq!(names(&files), ["a.png", "a10.webp", "b/1.jpg", "b/2.PNG"]);
        for index in 0..4 {
            let image = files.decode(index).unwrap();
            assert_eq!(image.get_pixel(0, 0), &Rgb([index as u8 + 1; 3]));
        }
        assert_eq!(
            files.left_out().to_string(),
            "5 files with other endings (none 1, .gif 2, .jfif 1, .txt 1), 5 hidden files or folders"
        );
        assert_eq!(files.left_out().total(), 10);
    }
}

#[test]
fn what_holds_no_pictures_is_refused() {
    let empty = TempDir::new().unwrap();
    let message = |result: Result<ImageFiles, ImageFilesError>| result.unwrap_err().to_string();
    let error = message(ImageFiles::folder(empty.path()));
    assert!(
        error.ends_with("none of its 0 files ends in .bmp, .jpeg, .jpg, .pgm, .png, .ppm or .webp"),
        "{error}"
    );
    let error = message(ImageFiles::folder(Path::new("no-such-folder")));
    assert!(error.starts_with("cannot read no-such-folder"), "{error}");
    let path = empty.path().join("images.zip");
    fs::write(&path, zipped(&[("notes.txt", vec![1])])).unwrap();
    let error = message(ImageFiles::zip(&path));
    assert!(error.contains("none of its 1 files"), "{error}");
    let hidden = [
        ("notes.txt", vec![1]),
        ("__MACOSX/a.png", vec![1]),
        (".b.png", vec![1]),
    ];
    fs::write(&path, zipped(&hidden)).unwrap();
    let error = message(ImageFiles::zip(&path));
    assert!(error.contains("none of its 1 files ends in"), "{error}");
    assert!(
        error.ends_with("(.txt 1), 2 hidden files or folders"),
        "{error}"
    );
    fs::write(&path, b"no archive").unwrap();
    let error = message(ImageFiles::zip(&path));
    assert!(error.contains("is no usable zip archive"), "{error}");
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn links_are_followed_but_not_in_circles() {
        let other = folder(&[("1.png", png(5))]);
        let folder = folder(&[("a/1.png", png(1))]);
        let root = folder.path();
        symlink(other.path(), root.join("linked")).unwrap();
        symlink(root, root.join("a/back")).unwrap();
        symlink("nowhere", root.join("broken.png")).unwrap();
        symlink("nowhere", root.join("broken.txt")).unwrap();
        symlink("nowhere", root.join(".broken")).unwrap();
        let files = ImageFiles::folder(root).unwrap();
        // A link to nothing is a bad image.
        assert_eq!(names(&files), ["a/1.png", "broken.png", "linked/1.png"]);
        assert!(matches!(files.decode(1), Err(PictureError::Read(_))));
        assert_eq!(files.decode(2).unwrap().get_pixel(0, 0), &Rgb([5; 3]));
        let expected = LeftOut {
            hidden: 1,
            other_endings: [("txt".to_owned(), 1)].into(),
            no_files: 0,
            loops: 1,
        };
        assert_eq!(*files.left_out(), expected);
    }

    #[test]
    fn pipes_and_devices_are_passed_over_and_never_opened() {
        let folder = folder(&[("a.png", png(1))]);
        let root = folder.path();
        let _socket = UnixListener::bind(root.join("b.png")).unwrap();
        symlink("/dev/zero", root.join("c.png")).unwrap();
        let files = ImageFiles::folder(root).unwrap();
        assert_eq!(names(&files), ["a.png"]);
        assert_eq!(files.left_out().to_string(), "2 pipes or devices");
        for name in ["b.png", "c.png"] {
            let error = read_file(&root.join(name)).unwrap_err();
            assert!(matches!(error, PictureError::NoFile), "{error}");
            let error = open_file(&root.join(name)).unwrap_err().to_string();
            assert_eq!(error, "it is a folder, a pipe or a device");
        }
        let error = ImageFiles::zip(&root.join("c.png")).unwrap_err();
        assert!(matches!(error, ImageFilesError::File { .. }), "{error}");
    }

    #[test]
    fn names_need_not_be_utf_8() {
        let folder = folder(&[("a.png", png(1))]);
        let name = |bytes| folder.path().join(OsStr::from_bytes(bytes));
        fs::write(name(b"\xe9.txt"), b"").unwrap();
        fs::write(name(b"\xe9.png"), png(2)).unwrap();
        let files = ImageFiles::folder(folder.path()).unwrap();
        assert_eq!(names(&files), ["a.png", "\u{fffd}.png"]);
        assert_eq!(files.decode(1).unwrap().get_pixel(0, 0), &Rgb([2; 3]));
    }
}
