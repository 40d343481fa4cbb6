//! How the published readers cut a square out of a photograph.

use adadiff_images::check_pixels;
use image::RgbImage;
use image::imageops::crop_imm;
use serde::{Deserialize, Serialize};

use crate::ImageError;
use crate::resample::{Filter, resize};

/// The size of CelebA's aligned images.
const CELEBA_SIZE: (u32, u32) = (178, 218);

/// Left, top, and side of the square around the face: 128 pixels around x = 89, y = 121.
const CELEBA_FACE: (u32, u32, u32) = (25, 57, 128);

/// How a photograph becomes a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// It is the square already; any other size is an error.
    Exact,
    /// CelebA's, as U-ViT and DDIM have it: columns 25..153 and rows 57..185 of the aligned image of
    /// 178 x 218, resized bilinearly.
    #[serde(rename = "celeba")]
    CelebA,
    /// ImageNet's, as ADM has it (Dhariwal & Nichol 2021, `center_crop_arr`): halved with a box
    /// filter while the shorter side is at least twice the target, then bicubic, then the centre.
    Adm,
    /// MS-COCO's, as U-ViT has it: the centre square, then Lanczos.
    Lanczos,
}

impl Framing {
    /// The square of `side` pixels, which is not 0.
    ///
    /// # Errors
    /// Where the image does not have the size that it must have, or is so narrow that it would be
    /// too large on the way.
    pub(crate) fn apply(self, image: RgbImage, side: u32) -> Result<RgbImage, ImageError> {
        match self {
            Self::Exact => exact(image, (side, side)),
            Self::CelebA => {
                let (left, top, size) = CELEBA_FACE;
                let image = exact(image, CELEBA_SIZE)?;
                let face = crop_imm(&image, left, top, size, size).to_image();
                Ok(resize(&face, side, side, Filter::Bilinear))
            }
            Self::Adm => adm(image, side),
            Self::Lanczos => {
                let square = centre(&image, image.width().min(image.height()));
                Ok(resize(&square, side, side, Filter::Lanczos))
            }
        }
    }
}

/// The centre square, resized to `side` pixels, which is not 0, by Pillow's bicubic filter: as CMMD's
/// published reader frames images (Jayasumana et al. 2024, arXiv 2401.09603).
///
/// An image without pixels stays one.
pub fn centre_square(image: &RgbImage, side: u32) -> RgbImage {
    match image.width().min(image.height()) {
        0 => RgbImage::new(0, 0),
        shorter => resize(&centre(image, shorter), side, side, Filter::Bicubic),
    }
}

fn exact(image: RgbImage, (width, height): (u32, u32)) -> Result<RgbImage, ImageError> {
    if image.dimensions() == (width, height) {
        return Ok(image);
    }
    Err(ImageError::Size {
        width: image.width(),
        height: image.height(),
        expected: format!("{width} x {height}"),
    })
}

fn adm(mut image: RgbImage, side: u32) -> Result<RgbImage, ImageError> {
    let shorter = |image: &RgbImage| image.width().min(image.height());
    while shorter(&image) >= 2 * side {
        image = resize(&image, image.width() / 2, image.height() / 2, Filter::Box);
    }
    let scale = f64::from(side) / f64::from(shorter(&image));
    // Python's `round` goes to the even number from the middle.
    let scaled = |length: u32| (f64::from(length) * scale).round_ties_even() as u32;
    let (width, height) = (scaled(image.width()), scaled(image.height()));
    check_pixels(width.into(), height.into())?;
    Ok(centre(
        &resize(&image, width, height, Filter::Bicubic),
        side,
    ))
}

/// The square of `side` pixels in the middle; of two middles, the left and upper one.
fn centre(image: &RgbImage, side: u32) -> RgbImage {
    let (left, top) = ((image.width() - side) / 2, (image.height() - side) / 2);
    crop_imm(image, left, top, side, side).to_image()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resample::tests::{checksum, pattern};

    fn assert_pillow(framing: Framing, (width, height): (u32, u32), side: u32, expected: u32) {
        let framed = framing.apply(pattern(width, height), side).unwrap();
        assert_eq!(framed.dimensions(), (side, side));
        assert_eq!(
            checksum(&framed),
            expected,
            "{framing:?} of {width} x {height} to {side}"
        );
    }

    // Numbers of Pillow 9.5.0, printed by fixtures/make.py.

    #[test]
    fn imagenets_crop_is_adms() {
        assert_pillow(Framing::Adm, (100, 67), 12, 0x828c4d04);
        assert_pillow(Framing::Adm, (67, 100), 16, 0x362f4403);
        assert_pillow(Framing::Adm, (20, 31), 32, 0xf14b4ab1);
        assert_pillow(Framing::Adm, (64, 64), 16, 0x9fce1092);
    }

    #[test]
    fn cocos_crop_is_uvits() {
        assert_pillow(Framing::Lanczos, (101, 67), 16, 0x0745adde);
        assert_pillow(Framing::Lanczos, (33, 50), 40, 0x8a50de9e);
    }

    #[test]
    fn cmmds_crop_is_its_readers() {
        for (width, height, side, expected) in [(101, 67, 16, 0x1f729b55), (33, 50, 40, 0xd3c9c001)]
        {
            let square = centre_square(&pattern(width, height), side);
            assert_eq!(square.dimensions(), (side, side));
            assert_eq!(checksum(&square), expected, "{width} x {height} to {side}");
        }
    }

    #[test]
    fn celebas_crop_is_uvits() {
        assert_pillow(Framing::CelebA, (178, 218), 64, 0x37e51a96);
        assert_pillow(Framing::CelebA, (178, 218), 32, 0x653815b1);
    }

    #[test]
    fn a_size_that_must_be_is_checked() {
        let error = |framing: Framing, image| framing.apply(image, 64).unwrap_err().to_string();
        assert_eq!(
            error(Framing::CelebA, pattern(218, 178)),
            "has 218 x 178 pixels instead of 178 x 218"
        );
        assert_eq!(
            error(Framing::Exact, pattern(64, 63)),
            "has 64 x 63 pixels instead of 64 x 64"
        );
        assert_eq!(
            Framing::Exact.apply(pattern(4, 4), 4).unwrap(),
            pattern(4, 4)
        );
        // A line of one pixel would become 64 times as long.
        let error = error(Framing::Adm, RgbImage::new(1 << 16, 1));
        assert!(error.contains("4194304 x 64 pixels"), "{error}");
    }
}
