//! Pictures of data sets and of generated samples: found in a folder or a zip archive, read and decoded to
//! the very values that Pillow gives for `Image.open(file).convert("RGB")`, and so the published programs
//! that read through it.
//!
//! [`ImageFiles`] lists a folder or an archive and says what it left out, [`Archive`] and [`read_file`] read
//! single files, [`decode`] decodes one, and [`BadImages`] counts what cannot be used. Nothing that a file
//! claims is believed: memory is bounded by what a picture is allowed to take, and what is no file is never
//! opened. [`npy`] reads and writes the headers of NumPy's arrays, in which sets of pictures are published too.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! image::RgbImage::from_pixel(2, 1, image::Rgb([7; 3])).save(folder.path().join("a.png"))?;
//! std::fs::write(folder.path().join("a.gif"), b"GIF89a")?;
//! let files = adadiff_images::ImageFiles::folder(folder.path())?;
//! assert_eq!(files.len(), 1);
//! assert_eq!(files.left_out().to_string(), "1 file with another ending (.gif 1)");
//! assert_eq!(files.decode(0)?.into_raw(), [7; 6]);
//! # Ok(())
//! # }
//! ```

mod archive;
mod bad_images;
mod decode;
mod error;
mod files;
mod folder;
mod jpeg;
mod left_out;
mod names;
pub mod npy;

pub use archive::{Archive, ArchiveError};
pub use bad_images::{BadImage, BadImages, TooManyBadImages};
pub use decode::{MOST_PIXELS, check_pixels, decode};
pub use error::{ImageFilesError, PictureError};
pub use files::{ImageFiles, MOST_BYTES, read_at_most, read_file};
pub use folder::{Listing, list_folder};
pub use left_out::LeftOut;
pub use names::{ENDINGS, is_hidden};
