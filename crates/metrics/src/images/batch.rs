//! Images of one size.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use image::RgbImage;

/// Red, green and blue.
pub(crate) const CHANNELS: usize = 3;

/// Bytes of the largest image of an array.
pub(crate) const LARGEST_IMAGE: usize = 1 << 28;

/// Bytes after which a batch gets no further image.
pub(crate) const LARGEST_BATCH: usize = 1 << 28;

/// Images of one size with 8 bits for each channel of a pixel, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageBatch {
    pixels: Vec<u8>,
    shape: [usize; 4],
}

impl From<RgbImage> for ImageBatch {
    fn from(image: RgbImage) -> Self {
        let shape = [1, image.height() as usize, image.width() as usize, CHANNELS];
        Self::new(image.into_raw(), shape)
    }
}

impl ImageBatch {
    /// Images of `shape`, which goes with the number of pixels.
    pub(crate) fn new(pixels: Vec<u8>, shape: [usize; 4]) -> Self {
        Self { pixels, shape }
    }

    /// Pixels, image by image, row by row, the channels of a pixel together.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Images, height, width, channels.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.shape[0]
    }

    /// Keeps the first images.
    pub fn truncate(&mut self, images: usize) {
        let [count, height, width, channels] = &mut self.shape;
        *count = images.min(*count);
        self.pixels.truncate(*count * *height * *width * *channels);
    }

    /// Takes in `next` where the images are of one size and neither `images` nor the most memory
    /// is exceeded; gives it back where not.
    pub(crate) fn append(&mut self, next: Self, images: usize) -> Result<(), Self> {
        let is_of_this_size = next.shape[1..] == self.shape[1..];
        let has_room = self.images().saturating_add(next.images()) <= images
            && self.pixels.len() + next.pixels.len() <= LARGEST_BATCH;
        if !is_of_this_size || !has_room {
            return Err(next);
        }
        self.pixels.extend(next.pixels);
        self.shape[0] += next.shape[0];
        Ok(())
    }

    /// The images on a device, with values in `[0, 255]`.
    ///
    /// # Shapes
    /// `[images, channels, height, width]`.
    pub fn to_device<B: Backend>(&self, device: &B::Device) -> Tensor<B, 4> {
        let pixels: Vec<f32> = self.pixels.iter().map(|&pixel| pixel.into()).collect();
        let data = TensorData::new(pixels, self.shape);
        Tensor::from_data(data, device).permute([0, 3, 1, 2])
    }
}

#[cfg(test)]
mod tests {
    use burn_flex::{Flex, FlexDevice};

    use super::*;

    #[test]
    fn channels_come_first_on_a_device() {
        println!("device: flex");
        let batch = ImageBatch::new(vec![1, 2, 3, 4, 5, 255], [1, 1, 2, 3]);
        let tensor = batch.to_device::<Flex>(&FlexDevice);
        assert_eq!(tensor.dims(), [1, 3, 1, 2]);
        let values: Vec<f32> = tensor.into_data().into_vec().unwrap();
        assert_eq!(values, [1.0, 4.0, 2.0, 5.0, 3.0, 255.0]);
    }

    #[test]
    fn only_images_of_one_size_are_joined() {
        let mut batch = ImageBatch::new(vec![1, 2, 3], [1, 1, 1, 3]);
        let next = ImageBatch::new(vec![4, 5, 6], [1, 1, 1, 3]);
        batch.append(next.clone(), 2).unwrap();
        assert_eq!(batch, ImageBatch::new(vec![1, 2, 3, 4, 5, 6], [2, 1, 1, 3]));
        assert_eq!(batch.append(next.clone(), 2), Err(next));
        let wide = ImageBatch::new(vec![0; 6], [1, 1, 2, 3]);
        assert_eq!(batch.append(wide.clone(), 9), Err(wide));
        batch.truncate(1);
        assert_eq!(batch, ImageBatch::new(vec![1, 2, 3], [1, 1, 1, 3]));
    }
}
