//! Where training images come from.

use adadiff_data::FashionMnist;

/// A data set of equally shaped images in `[-1, 1]`, labelled or not.
pub trait ImageSource {
    /// Number of images.
    fn len(&self) -> usize;

    /// Whether there is no image.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, height and width.
    fn shape(&self) -> [usize; 3];

    /// Writes an image, mirrored if asked for, channel by channel.
    fn write(&self, index: usize, flip: bool, pixels: &mut [f32]);

    /// The label of an image, if the data set has labels.
    fn label(&self, index: usize) -> Option<usize>;
}

impl ImageSource for FashionMnist {
    fn len(&self) -> usize {
        FashionMnist::len(self)
    }

    fn shape(&self) -> [usize; 3] {
        [1, 32, 32]
    }

    fn write(&self, index: usize, flip: bool, pixels: &mut [f32]) {
        pixels.copy_from_slice(&self.image(index, flip));
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.labels().get(index).map(|&label| usize::from(label))
    }
}
