//! SVG documents as PNG, with a font that comes with the program: no machine needs to have one.

use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};

use super::ReportError;

/// The most pixels along a side of a PNG.
const LARGEST_SIDE: f32 = 16_384.0;

/// The PNG of an SVG document on white, `scale` pixels for each of its units.
///
/// # Errors
/// [`ReportError::Drawing`] where the document is no SVG or too large a picture.
pub fn png_of_svg(svg: &str, scale: f32) -> Result<Vec<u8>, ReportError> {
    let fail = |reason: String| ReportError::Drawing {
        figure: "a figure as PNG",
        reason,
    };
    let options = Options {
        fontdb: fonts(),
        font_family: FAMILY.to_owned(),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options).map_err(|error| fail(error.to_string()))?;
    let [width, height] = [tree.size().width(), tree.size().height()].map(|side| side * scale);
    if width > LARGEST_SIDE || height > LARGEST_SIDE {
        return Err(fail(format!("{width} x {height} pixels are too many")));
    }
    let mut pixels = Pixmap::new(width.ceil() as u32, height.ceil() as u32)
        .ok_or_else(|| fail("it has no pixels".to_owned()))?;
    pixels.fill(Color::WHITE);
    resvg::render(
        &tree,
        Transform::from_scale(scale, scale),
        &mut pixels.as_mut(),
    );
    pixels.encode_png().map_err(|error| fail(error.to_string()))
}

const FAMILY: &str = "DejaVu Sans";

fn fonts() -> Arc<Database> {
    static FONTS: OnceLock<Arc<Database>> = OnceLock::new();
    let load = || {
        let mut fonts = Database::new();
        for font in [dejavu::sans::regular(), dejavu::sans::bold()] {
            fonts.load_font_data(font.to_vec());
        }
        fonts.set_sans_serif_family(FAMILY);
        Arc::new(fonts)
    };
    FONTS.get_or_init(load).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn text_is_drawn_without_fonts_of_the_machine() -> TestResult {
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40\" height=\"20\">\
                   <rect width=\"10\" height=\"20\" fill=\"#D55E00\"/>\
                   <text x=\"14\" y=\"18\" font-family=\"sans-serif\" font-size=\"20\">×</text></svg>";
        let pixels = image::load_from_memory(&png_of_svg(svg, 2.0)?)?.into_rgb8();
        assert_eq!(pixels.dimensions(), (80, 40));
        assert_eq!(pixels.get_pixel(5, 5).0, [0xd5, 0x5e, 0]);
        assert_eq!(pixels.get_pixel(79, 0).0, [255; 3]);
        let dark = pixels
            .enumerate_pixels()
            .filter(|(x, _, pixel)| *x > 20 && pixel[0] < 64);
        assert!(dark.count() > 30, "the letter is missing");
        Ok(())
    }

    #[test]
    fn what_is_no_drawing_is_refused() {
        assert!(png_of_svg("<svg", 1.0).is_err());
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9000\" height=\"2\"/>";
        let error = png_of_svg(svg, 2.0).unwrap_err().to_string();
        assert!(error.contains("18000 x 4"), "{error}");
    }
}
