//! Latents in the folders that the scripts of the U-ViT repository write (Bao et al. 2023, arXiv
//! 2209.12152; github.com/baofff/U-ViT, `scripts/extract_imagenet_feature.py` and
//! `scripts/extract_mscoco_feature.py`).

use std::path::{Path, PathBuf};

use adadiff_images::read_at_most;
use adadiff_storage::open_file;

use super::npy::Npy;
use super::npy_folder::count_captions;
use super::sampling::{SCALE_FACTOR, check_finite, draw};
use crate::expected::Expected;
use crate::{
    Conditioning, DataError, ImageError, Label, Split, TrainingSet, Visit, choose_caption,
};

/// Classes of ImageNet.
const CLASSES: usize = 1000;

/// The most bytes of a file: latents of 1024 x 1024 pixels have an eighth of it.
const MOST_BYTES: u64 = 4 << 20;

const EXPECTED: Expected = Expected {
    holds: "latents as the scripts of the U-ViT repository write them",
    help: "https://github.com/baofff/U-ViT says how to prepare them, or to download those of MS-COCO",
};

/// Latents in a folder with a file for each, `0.npy`, `1.npy` and so on; never empty.
///
/// As a [`TrainingSet`] it draws another latent of an image, and takes another of its contexts, on
/// each visit. A flip changes nothing: ImageNet's mirror images are examples of their own.
pub struct NpyLatents {
    folder: PathBuf,
    length: usize,
    shape: [usize; 3],
    captions: Option<Captions>,
    scale_factor: f32,
}

struct Captions {
    /// How many captions each image has.
    counts: Vec<usize>,
    /// Tokens and width of a context.
    shape: [usize; 2],
    empty_context: Vec<f32>,
}

impl NpyLatents {
    /// ImageNet's folder: `I.npy` is an array of two objects, the moments of an image or of its
    /// mirror image, and its class. The script takes 256 images at a time, and writes those of all
    /// their mirror images after those of the images themselves.
    ///
    /// # Errors
    /// Where a file is missing, or the first is not what it should be.
    pub fn image_net(folder: &Path) -> Result<Self, DataError> {
        let files = count_captions(folder, &EXPECTED)?;
        let first = folder.join("0.npy");
        let (shape, ..) = read_labelled(&first).map_err(|error| unusable(&first, error))?;
        Ok(Self {
            folder: folder.to_owned(),
            length: files.len(),
            shape: latent_shape(&first, &shape)?,
            captions: None,
            scale_factor: SCALE_FACTOR,
        })
    }

    /// MS-COCO's folder: in `train` or, for [`Split::Test`], `val`, `I.npy` is an array of moments,
    /// and `I_0.npy` and so on are the contexts of its captions; `empty_context.npy` lies beside
    /// `train` and `val`.
    ///
    /// # Errors
    /// As [`NpyLatents::image_net`], and where an image has no caption.
    pub fn coco(folder: &Path, split: Split) -> Result<Self, DataError> {
        let empty = folder.join("empty_context.npy");
        let folder = folder.join(match split {
            Split::Train => "train",
            Split::Test => "val",
        });
        let counts = count_captions(&folder, &EXPECTED)?;
        if let Some(image) = counts.iter().position(|&count| count == 0) {
            let found = format!("no {image}_0.npy");
            return Err(EXPECTED.content(&folder, found, "a context for each image"));
        }
        let first = folder.join("0.npy");
        let (shape, _) = read_floats(&first).map_err(|error| unusable(&first, error))?;
        let read = read_floats(&empty);
        let (context, empty_context) = read.map_err(|error| unusable(&empty, error))?;
        let &[tokens, width] = context.as_slice() else {
            let found = format!("an array {context:?}");
            return Err(EXPECTED.content(&empty, found, "one of tokens and their width"));
        };
        check_finite(&empty_context).map_err(|error| unusable(&empty, error))?;
        Ok(Self {
            length: counts.len(),
            shape: latent_shape(&first, &shape)?,
            folder,
            captions: Some(Captions {
                counts,
                shape: [tokens, width],
                empty_context,
            }),
            scale_factor: SCALE_FACTOR,
        })
    }

    /// The same latents, multiplied with another factor than [`SCALE_FACTOR`].
    pub fn with_scale_factor(self, scale_factor: f32) -> Self {
        Self {
            scale_factor,
            ..self
        }
    }

    /// Draws a latent where the moments are as many as those of the other images.
    fn draw(
        &self,
        shape: &[usize],
        moments: &[f32],
        visit: Visit,
        values: &mut [f32],
    ) -> Result<(), ImageError> {
        let [channels, height, width] = self.shape;
        check_shape(shape, &[2 * channels, height, width])?;
        draw(moments, self.scale_factor, visit, values)
    }
}

impl TrainingSet for NpyLatents {
    fn len(&self) -> usize {
        self.length
    }

    fn shape(&self) -> [usize; 3] {
        self.shape
    }

    fn name(&self, index: usize) -> String {
        let file = self.folder.join(format!("{index}.npy"));
        file.display().to_string()
    }

    fn conditioning(&self) -> Conditioning {
        match &self.captions {
            None => Conditioning::Class { classes: CLASSES },
            Some(captions) => {
                let [tokens, width] = captions.shape;
                Conditioning::Text { tokens, width }
            }
        }
    }

    fn empty_context(&self) -> Option<&[f32]> {
        let captions = self.captions.as_ref()?;
        Some(&captions.empty_context)
    }

    fn read(&self, index: usize, visit: Visit, values: &mut [f32]) -> Result<Label, ImageError> {
        assert!(index < self.length, "example {index} of {}", self.length);
        let file = self.folder.join(format!("{index}.npy"));
        let Some(captions) = &self.captions else {
            let (shape, moments, label) = read_labelled(&file)?;
            self.draw(&shape, &moments, visit, values)?;
            return Ok(Label::Class(label));
        };
        let (shape, moments) = read_floats(&file)?;
        self.draw(&shape, &moments, visit, values)?;
        let count = captions.counts[index];
        let Some(caption) = choose_caption(visit.seed, visit.position, count) else {
            return Ok(Label::None);
        };
        let name = format!("{index}_{caption}.npy");
        let read = || {
            let (shape, context) = read_floats(&self.folder.join(&name))?;
            check_shape(&shape, &captions.shape)?;
            check_finite(&context)?;
            Ok(context)
        };
        let context = read().map_err(|error| ImageError::Context {
            name: name.clone(),
            error: Box::new(error),
        })?;
        Ok(Label::Context(context))
    }
}

/// The shape of the latents whose moments have this shape.
fn latent_shape(file: &Path, moments: &[usize]) -> Result<[usize; 3], DataError> {
    match *moments {
        [channels, height, width] if channels.is_multiple_of(2) && !moments.contains(&0) => {
            Ok([channels / 2, height, width])
        }
        _ => Err(EXPECTED.content(
            file,
            format!("an array {moments:?}"),
            "means and log-variances of channels, height and width",
        )),
    }
}

fn check_shape(found: &[usize], expected: &[usize]) -> Result<(), ImageError> {
    if found == expected {
        return Ok(());
    }
    Err(ImageError::Array {
        found: format!("an array {found:?}"),
        expected: format!("one {expected:?}"),
    })
}

/// The shape and the numbers of an array.
fn read_floats(file: &Path) -> Result<(Vec<usize>, Vec<f32>), ImageError> {
    let bytes = read_at_most(MOST_BYTES, open_file(file)?)?;
    let read = || {
        let array = Npy::read(&bytes)?;
        let floats = array.floats()?;
        Ok((array.shape, floats))
    };
    read().map_err(|found| ImageError::Array {
        found,
        expected: "an array of floats of 32 bits".to_owned(),
    })
}

/// The shape and the numbers of an array, and the class beside it.
fn read_labelled(file: &Path) -> Result<(Vec<usize>, Vec<f32>, usize), ImageError> {
    let bytes = read_at_most(MOST_BYTES, open_file(file)?)?;
    let read = || {
        let (shape, floats, label) = Npy::read(&bytes)?.labelled()?;
        let class = usize::try_from(label).ok().filter(|&class| class < CLASSES);
        let class = class.ok_or_else(|| format!("an array with the class {label}"))?;
        Ok((shape, floats, class))
    };
    read().map_err(|found| ImageError::Array {
        found,
        expected: format!("an array of moments with one of {CLASSES} classes"),
    })
}

/// The file on which all others are measured cannot be used.
fn unusable(file: &Path, error: ImageError) -> DataError {
    match error {
        ImageError::Read(source) => EXPECTED.unopened(file, source),
        ImageError::Array { found, expected } => EXPECTED.content(file, found, expected),
        other => EXPECTED.content(file, format!("a file that {other}"), EXPECTED.holds),
    }
}
