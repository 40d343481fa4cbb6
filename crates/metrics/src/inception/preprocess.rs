//! What pytorch-fid does to images before the network.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};

/// Side of the images that the network was trained on.
const SIDE: usize = 299;

/// Brings images to the network's size and range.
///
/// Bilinear between the centres of pixels (`align_corners=False`) and without a filter against
/// aliasing where images become smaller. Libraries for images have one, and other numbers.
///
/// # Shapes
/// `[batch, 3, height, width]` in `[0, 255]` to `[batch, 3, 299, 299]` in `[-1, 1]`.
pub(super) fn preprocess<B: Backend>(images: Tensor<B, 4>) -> Tensor<B, 4> {
    let options = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
    let resized = interpolate(images / 255.0, [SIDE, SIDE], options);
    resized * 2.0 - 1.0
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Shape, TensorData, Tolerance};
    use burn_flex::{Flex, FlexDevice};

    use super::*;

    #[test]
    fn images_are_resized_between_the_centres_of_pixels() {
        let device = FlexDevice;
        println!("device: flex");
        let [height, width] = [5, 400];
        let pixel = |row: usize, column: usize| ((row * 37 + column * 11) % 256) as f64;
        let values: Vec<f32> = (0..height * width)
            .map(|index| pixel(index / width, index % width) as f32)
            .collect();
        let data = TensorData::new(values, Shape::new([1, 1, height, width]));
        let found = preprocess(Tensor::<Flex, 4>::from_data(data, &device));
        // The formula of PyTorch's `interpolate`, for enlarging and for shrinking.
        let neighbours = |index: usize, size: usize| {
            let position = (index as f64 + 0.5) * size as f64 / SIDE as f64 - 0.5;
            let position = position.max(0.0);
            let first = position as usize;
            (first, (first + 1).min(size - 1), position - first as f64)
        };
        let mut expected = Vec::new();
        for row in 0..SIDE {
            let (top, bottom, down) = neighbours(row, height);
            for column in 0..SIDE {
                let (left, right, along) = neighbours(column, width);
                let line = |row| (1.0 - along) * pixel(row, left) + along * pixel(row, right);
                let value = (1.0 - down) * line(top) + down * line(bottom);
                expected.push((value / 255.0 * 2.0 - 1.0) as f32);
            }
        }
        let expected = TensorData::new(expected, Shape::new([1, 1, SIDE, SIDE]));
        found
            .into_data()
            .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
    }
}
