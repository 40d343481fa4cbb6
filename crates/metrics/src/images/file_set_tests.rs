use std::io::{Cursor, Write};

use adadiff_storage::write_atomically;
use image::{ImageFormat, Rgb, RgbImage};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

/// A PNG file of one colour.
fn png(side: u32, colour: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let image = RgbImage::from_pixel(side, side, Rgb([colour; 3]));
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Files by their names: five images and one that is none, in an order that is not theirs.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("b/2.PNG", png(2, 5)),
        ("a.png", png(1, 1)),
        ("c.jpeg", b"no image".to_vec()),
        ("b/1.jpg", png(2, 4)),
        ("a2.png", png(1, 3)),
        ("a10.png", png(1, 2)),
        (".a.png", b"left out".to_vec()),
        ("notes.txt", b"left out".to_vec()),
    ]
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
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// What a zip archive of these bytes holds, or what is said of it.
fn opened(bytes: &[u8]) -> Result<(TempDir, FileSet), String> {
    let folder = folder(&[("images.zip", bytes.to_vec())]);
    let files = FileSet::zip(&folder.path().join("images.zip"));
    Ok((folder, files.map_err(|error| error.to_string())?))
}

fn names_of(set: &FileSet) -> Vec<String> {
    let files = set.files();
    (0..files.len()).map(|index| files.name(index)).collect()
}

/// The sizes of the batches and the colours in them.
fn batches(files: &mut FileSet, images: usize) -> Result<Vec<(usize, Vec<u8>)>, String> {
    first(files, images, usize::MAX)
}

/// Of so many images.
fn first(files: &mut FileSet, images: usize, most: usize) -> Result<Vec<(usize, Vec<u8>)>, String> {
    let mut batches = Vec::new();
    let read = files.for_each_batch::<FileSetError>(images, most, |batch| {
        let [_, side, _, channels] = batch.shape();
        let images = batch.pixels().chunks_exact(side * side * channels);
        batches.push((side, images.map(|image| image[0]).collect()));
        Ok(())
    });
    read.map_err(|error| error.to_string())?;
    Ok(batches)
}

#[test]
fn images_come_in_the_order_of_their_names_from_folders_and_archives() {
    let folder = folder(&files());
    let (_file, zip) = opened(&zipped(&files())).unwrap();
    for mut files in [FileSet::folder(folder.path()).unwrap(), zip] {
        let names = ["a.png", "a10.png", "a2.png", "b/1.jpg", "b/2.PNG", "c.jpeg"];
        assert_eq!(names_of(&files), names);
        files.tolerate(1);
        for _pass in 0..2 {
            assert_eq!(
                batches(&mut files, 2).unwrap(),
                [(1, vec![1, 2]), (1, vec![3]), (2, vec![4, 5])]
            );
            let [bad] = files.bad() else {
                panic!("{:?}", files.bad());
            };
            assert_eq!((bad.index, bad.name.as_str()), (5, "c.jpeg"));
            assert!(
                bad.reason
                    .starts_with("cannot be decoded (it is no picture"),
                "{bad}"
            );
        }
        assert_eq!(batches(&mut files, usize::MAX).unwrap().len(), 2);
        files.tolerate(0);
        let error = batches(&mut files, 2).unwrap_err();
        assert!(error.starts_with("1 of the images in "), "{error}");
        assert!(
            error.contains("cannot be used: c.jpeg cannot be decoded"),
            "{error}"
        );
    }
}

#[test]
fn what_is_behind_the_last_image_that_is_taken_does_not_count() {
    let mut all: Vec<_> = (1..=4_u8)
        .map(|colour| (format!("0{colour}.png"), png(1, colour)))
        .collect();
    all.insert(1, ("01b.png".to_owned(), Vec::new()));
    all.extend((5..30).map(|index| (format!("{index:02}.png"), b"bad".to_vec())));
    let all: Vec<_> = all
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.clone()))
        .collect();
    let folder = folder(&all);
    for images in [1, 4, 50] {
        let mut files = FileSet::folder(folder.path()).unwrap();
        files.tolerate(1);
        let colours = first(&mut files, images, 3).unwrap();
        let colours: Vec<u8> = colours
            .into_iter()
            .flat_map(|(_, colours)| colours)
            .collect();
        assert_eq!(colours, [1, 2, 3]);
        assert_eq!(files.bad().len(), 1, "in batches of {images}");
    }
}

#[test]
fn what_holds_no_images_is_refused() {
    let error = FileSet::folder(folder(&[]).path()).unwrap_err();
    assert!(error.to_string().contains("none of its 0 files"), "{error}");
    // Not one of them is an image, though as many would be tolerated.
    let none = folder(&[("a.png", vec![]), ("b.png", vec![0; 99])]);
    let mut none = FileSet::folder(none.path()).unwrap();
    none.tolerate(2);
    let error = batches(&mut none, 1).unwrap_err();
    assert!(error.starts_with("2 of the images in "), "{error}");
}

#[test]
fn damage_is_met_with_an_error() {
    let sound = zipped(&[("a.png", png(3, 7)), ("b.png", png(3, 8))]);
    for length in 0..sound.len() {
        assert!(opened(&sound[..length]).is_err(), "{length} bytes");
    }
    let expected = [(3, vec![7, 8])];
    for index in 0..sound.len() {
        let mut changed = sound.clone();
        changed[index] ^= 0x55;
        if let Ok((_file, mut files)) = opened(&changed)
            && let Ok(found) = batches(&mut files, 2)
            // A changed name may be none of an image's, or stand behind the other's.
            && names_of(&files) == ["a.png", "b.png"]
        {
            assert_eq!(found, expected, "byte {index}");
        }
    }
}

#[test]
fn a_bomb_does_not_go_off() {
    // 257 MiB of zeros, which an archive holds in 256 KiB.
    let (_file, mut files) = opened(&zipped(&[
        ("a.png", png(1, 9)),
        ("bomb.png", vec![0; 257 << 20]),
    ]))
    .unwrap();
    let error = batches(&mut files, 1).unwrap_err();
    assert!(
        error.ends_with("bomb.png has more than 268435456 bytes"),
        "{error}"
    );
    files.tolerate(1);
    assert_eq!(batches(&mut files, 1).unwrap(), [(1, vec![9])]);
}
