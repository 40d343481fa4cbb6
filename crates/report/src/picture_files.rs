//! Drawings on disk: SVG, and PNG beside it in builds that can draw it.

use std::fs::remove_file;
use std::path::{Path, PathBuf};

use adadiff_storage::{StorageError, replace_file};

use super::ReportError;

/// Whether a PNG is written beside every SVG: in builds with the feature `png`.
pub const WRITES_PNG: bool = cfg!(feature = "png");

/// Pixels of a PNG for each unit of a drawing, enough for print at the width of a column.
pub const DRAWING_SCALE: f32 = 2.0;

/// Writes an SVG document to `<name>.svg` in `folder` and, where [`WRITES_PNG`] says so, its PNG of this
/// scale to `<name>.png`.
///
/// # Errors
/// [`ReportError::Drawing`] where the PNG cannot be drawn, and [`ReportError::Storage`] where a file
/// cannot be written.
pub fn write_pictures(folder: &Path, name: &str, svg: &str, scale: f32) -> Result<(), ReportError> {
    let png = png_of(svg, scale)?;
    Ok(replace(folder, name, svg, png.as_deref())?)
}

/// The picture that was written for `name` in `folder`: the PNG where there is one, which everything
/// shows, and otherwise the SVG.
pub fn picture_path(folder: &Path, name: &str) -> PathBuf {
    let png = folder.join(format!("{name}.png"));
    if png.exists() {
        return png;
    }
    folder.join(format!("{name}.svg"))
}

#[cfg(feature = "png")]
fn png_of(svg: &str, scale: f32) -> Result<Option<Vec<u8>>, ReportError> {
    super::raster::png_of_svg(svg, scale).map(Some)
}

#[cfg(not(feature = "png"))]
fn png_of(_svg: &str, _scale: f32) -> Result<Option<Vec<u8>>, ReportError> {
    Ok(None)
}

/// Without a PNG an earlier one goes, as it may show something else.
fn replace(folder: &Path, name: &str, svg: &str, png: Option<&[u8]>) -> Result<(), StorageError> {
    replace_file(&folder.join(format!("{name}.svg")), svg.as_bytes())?;
    let path = folder.join(format!("{name}.png"));
    match png {
        Some(png) => replace_file(&path, png),
        None if path.exists() => remove_file(&path).map_err(StorageError::file("remove", &path)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_earlier_png_stays_beside_a_new_svg() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        for (svg, png, shown) in [
            ("first", None, "chart.svg"),
            ("second", Some(&b"second"[..]), "chart.png"),
            ("third", None, "chart.svg"),
        ] {
            replace(folder, "chart", svg, png)?;
            assert_eq!(std::fs::read_to_string(folder.join("chart.svg"))?, svg);
            assert_eq!(picture_path(folder, "chart"), folder.join(shown));
        }
        Ok(())
    }
}
