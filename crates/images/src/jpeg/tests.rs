use std::io::Cursor;

use image::{ImageFormat, Rgb};

use super::*;
use crate::decode::tests::checksum;

/// The marker of the end of a picture.
const END: [u8; 2] = [0xff, 0xd9];

// All from Pillow: see fixtures/make.py.
const COLOUR: &[u8] = include_bytes!("fixtures/colour.jpg");
const PROGRESSIVE: &[u8] = include_bytes!("fixtures/progressive.jpg");
const CMYK: &[u8] = include_bytes!("fixtures/cmyk.jpg");
const YCCK: &[u8] = include_bytes!("fixtures/ycck.jpg");
const NOISE: &[u8] = include_bytes!("fixtures/noise.jpg");

fn pixels(jpeg: &[u8]) -> RgbImage {
    decode(jpeg).unwrap()
}

fn is_cut_off(jpeg: &[u8]) -> bool {
    matches!(decode(jpeg), Err(PictureError::Truncated))
}

#[track_caller]
fn assert_same(jpeg: &[u8], png: &[u8]) {
    let found = decode(jpeg).unwrap();
    let expected = image::load_from_memory(png).unwrap().into_rgb8();
    assert_eq!(found.dimensions(), expected.dimensions());
    let differing = found.iter().zip(expected.iter());
    let differing = differing.filter(|(found, expected)| found != expected);
    assert_eq!(differing.count(), 0, "values that differ");
}

#[test]
fn pixels_are_those_of_pillow() {
    assert_same(COLOUR, include_bytes!("fixtures/colour.png"));
    assert_same(PROGRESSIVE, include_bytes!("fixtures/progressive.png"));
    assert_same(CMYK, include_bytes!("fixtures/cmyk.png"));
    assert_same(YCCK, include_bytes!("fixtures/ycck.png"));
    assert_same(NOISE, include_bytes!("fixtures/noise.png"));
}

#[test]
fn other_layouts_of_colours_and_more_blocks_are_those_of_pillow_too() {
    assert_same(
        include_bytes!("fixtures/grey.jpg"),
        include_bytes!("fixtures/grey.png"),
    );
    assert_same(
        include_bytes!("fixtures/rows.jpg"),
        include_bytes!("fixtures/rows.png"),
    );
    let large = decode(include_bytes!("fixtures/large.jpg")).unwrap();
    assert_eq!(large.dimensions(), (517, 331));
    assert_eq!(checksum(&large), 0xd2ab_eeff);
}

#[test]
fn every_cut_is_an_error() {
    for intact in [COLOUR, PROGRESSIVE, CMYK] {
        for length in 0..intact.len() {
            assert!(decode(&intact[..length]).is_err(), "{length}");
        }
    }
    let end = COLOUR.len() - END.len();
    assert!(is_cut_off(&COLOUR[..end]));
}

#[test]
fn the_end_of_a_thumbnail_is_not_the_end() {
    // After the start marker: a comment that holds a whole image.
    let length = (COLOUR.len() as u16 + 2).to_be_bytes();
    let head = [&COLOUR[..2], &[0xff, 0xfe], &length].concat();
    let whole = [&head, COLOUR, &COLOUR[2..]].concat();
    assert_eq!(pixels(&whole), pixels(COLOUR));
    assert!(is_cut_off(&whole[..whole.len() - END.len()]));
}

#[test]
fn bytes_after_the_end_do_not_matter() {
    let longer = [COLOUR, &[7; 100]].concat();
    assert_eq!(pixels(&longer), pixels(COLOUR));
    // Such as the pictures of a film, the last of which is cut off.
    let film = [COLOUR, COLOUR, &COLOUR[..COLOUR.len() - 9]].concat();
    assert_eq!(pixels(&film), pixels(COLOUR));
}

#[test]
fn an_orientation_in_exif_is_not_applied() {
    // "Turn left to see it upright", in the shortest EXIF there is.
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\
        \0\0\0\0";
    let turned = [&COLOUR[..2], exif, &COLOUR[2..]].concat();
    assert_eq!(pixels(&turned), pixels(COLOUR));
}

#[test]
fn damage_is_told() {
    let no_tables = [&COLOUR[..2], &COLOUR[COLOUR.len() - 2..]].concat();
    let error = decode(&no_tables).unwrap_err().to_string();
    assert!(
        !error.is_empty() && !error.contains("libjpeg fatal error"),
        "{error}"
    );
    assert!(decode(b"no image at all").is_err());
    // Any byte may be wrong: what comes is a picture of that size or an error, never a panic.
    for place in 2..COLOUR.len() {
        let mut damaged = COLOUR.to_vec();
        damaged[place] ^= 0x5a;
        if let Ok(picture) = decode(&damaged) {
            let pixels = picture.width() as usize * picture.height() as usize;
            assert_eq!(picture.len(), 3 * pixels, "{place}");
        }
    }
}

/// The frame's header with sides of so many pixels.
fn promise(jpeg: &[u8], frame: u8, side: u16) -> Vec<u8> {
    let at = jpeg.windows(2).position(|pair| pair == [0xff, frame]);
    let mut bytes = jpeg.to_vec();
    for place in [5, 7] {
        bytes[at.unwrap() + place..][..2].copy_from_slice(&side.to_be_bytes());
    }
    bytes
}

#[test]
fn a_bomb_does_not_go_off() {
    let is_refused = |bytes: &[u8]| matches!(decode(bytes), Err(PictureError::Large { .. }));
    assert!(is_refused(&promise(COLOUR, 0xc0, 65_000)));
    // What is kept between scans is counted too.
    let fits = 8_000;
    assert!(is_refused(&promise(PROGRESSIVE, 0xc2, fits)));
    assert!(!is_refused(&promise(PROGRESSIVE, 0xc2, fits / 4)));
}

#[test]
fn what_another_encoder_wrote_is_read() {
    let image = RgbImage::from_pixel(20, 10, Rgb([200, 100, 50]));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    let decoded = decode(bytes.get_ref()).unwrap();
    assert_eq!(decoded.dimensions(), (20, 10));
    for pixel in decoded.pixels() {
        let off = [0, 1, 2].map(|i| pixel[i].abs_diff([200, 100, 50][i]));
        assert!(off.iter().all(|&off| off <= 3), "{pixel:?}");
    }
    let grey = image::GrayImage::from_pixel(5, 3, image::Luma([77]));
    let mut bytes = Cursor::new(Vec::new());
    grey.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    let decoded = decode(bytes.get_ref()).unwrap();
    assert_eq!(decoded.len(), 3 * 15);
    assert!(decoded.iter().all(|value| value.abs_diff(77) <= 1));
}
