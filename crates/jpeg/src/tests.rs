use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

use super::*;

// All from Pillow: see fixtures/make.py.
const COLOUR: &[u8] = include_bytes!("fixtures/colour.jpg");
const PROGRESSIVE: &[u8] = include_bytes!("fixtures/progressive.jpg");
const CMYK: &[u8] = include_bytes!("fixtures/cmyk.jpg");
const YCCK: &[u8] = include_bytes!("fixtures/ycck.jpg");
const NOISE: &[u8] = include_bytes!("fixtures/noise.jpg");

const MOST: u64 = 1 << 20;

#[track_caller]
fn assert_same(jpeg: &[u8], png: &[u8]) {
    let found = decode(jpeg, MOST).unwrap();
    let expected = image::load_from_memory(png).unwrap().into_rgb8();
    assert_eq!((found.width, found.height), expected.dimensions());
    let differing = found.rgb.iter().zip(expected.iter());
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
fn every_cut_is_an_error() {
    for intact in [COLOUR, PROGRESSIVE, CMYK] {
        for length in 0..intact.len() {
            assert!(decode(&intact[..length], MOST).is_err(), "{length}");
        }
    }
    let end = COLOUR.len() - END.len();
    assert_eq!(decode(&COLOUR[..end], MOST), Err(JpegError::Truncated));
}

#[test]
fn the_end_of_a_thumbnail_is_not_the_end() {
    // After the start marker: a comment that holds a whole image.
    let length = (COLOUR.len() as u16 + 2).to_be_bytes();
    let head = [&COLOUR[..2], &[0xff, 0xfe], &length].concat();
    let whole = [&head, COLOUR, &COLOUR[2..]].concat();
    assert_eq!(decode(&whole, MOST), decode(COLOUR, MOST));
    let cut = decode(&whole[..whole.len() - END.len()], MOST);
    assert_eq!(cut, Err(JpegError::Truncated));
}

#[test]
fn bytes_after_the_end_do_not_matter() {
    let longer = [COLOUR, &[7; 100]].concat();
    assert_eq!(decode(&longer, MOST), decode(COLOUR, MOST));
}

#[test]
fn an_orientation_in_exif_is_not_applied() {
    // "Turn left to see it upright", in the shortest EXIF there is.
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\
        \0\0\0\0";
    let turned = [&COLOUR[..2], exif, &COLOUR[2..]].concat();
    assert_eq!(decode(&turned, MOST), decode(COLOUR, MOST));
}

#[test]
fn damage_is_told_and_a_bomb_does_not_go_off() {
    let no_tables = [&COLOUR[..2], &COLOUR[COLOUR.len() - 2..]].concat();
    let error = decode(&no_tables, MOST).unwrap_err().to_string();
    assert!(
        !error.is_empty() && !error.contains("libjpeg fatal error"),
        "{error}"
    );
    assert!(decode(b"no image at all", MOST).is_err());
    let expected = JpegError::Large {
        width: 21,
        height: 17,
    };
    assert_eq!(decode(COLOUR, 21 * 17 - 1), Err(expected));
    assert!(decode(COLOUR, 21 * 17).is_ok());
    // Any byte may be wrong: what comes is a picture of that size or an error, never a panic.
    for place in 2..COLOUR.len() {
        let mut damaged = COLOUR.to_vec();
        damaged[place] ^= 0x5a;
        if let Ok(picture) = decode(&damaged, MOST) {
            let pixels = picture.width as usize * picture.height as usize;
            assert_eq!(picture.rgb.len(), 3 * pixels, "{place}");
        }
    }
}

#[test]
fn what_another_encoder_wrote_is_read() {
    let image = RgbImage::from_pixel(20, 10, Rgb([200, 100, 50]));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    let decoded = decode(bytes.get_ref(), MOST).unwrap();
    assert_eq!((decoded.width, decoded.height), (20, 10));
    for pixel in decoded.rgb.chunks(3) {
        let off = [0, 1, 2].map(|i| pixel[i].abs_diff([200, 100, 50][i]));
        assert!(off.iter().all(|&off| off <= 3), "{pixel:?}");
    }
    let grey = image::GrayImage::from_pixel(5, 3, image::Luma([77]));
    let mut bytes = Cursor::new(Vec::new());
    grey.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    let decoded = decode(bytes.get_ref(), MOST).unwrap();
    assert_eq!(decoded.rgb.len(), 3 * 15);
    assert!(decoded.rgb.iter().all(|value| value.abs_diff(77) <= 1));
}
