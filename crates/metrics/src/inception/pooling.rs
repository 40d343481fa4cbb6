//! The poolings between and within the blocks.

use adadiff_kernels::{Kernels, Pooling, Windows, pool};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// Side of every window.
const WINDOW: [usize; 2] = [3, 3];

/// Windows at every position, over the border as well.
const EVERYWHERE: Windows = Windows {
    stride: [1, 1],
    padding: [[1, 1], [1, 1]],
};

/// The largest value of each window; about half the height and width remain.
pub(super) fn halving_maximum<B: Kernels>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let windows = Windows {
        stride: [2, 2],
        padding: [[0, 0], [0, 0]],
    };
    pool(x, Pooling::Maximum, WINDOW, windows)
}

/// The largest value of each window; the size stays.
pub(super) fn maximum<B: Kernels>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    pool(x, Pooling::Maximum, WINDOW, EVERYWHERE)
}

/// The mean of each window's values within the image; the size stays.
///
/// Inception as torchvision has it counts the zeros around the image too; the network whose
/// features define FID does not.
pub(super) fn average<B: Kernels>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    pool(x, Pooling::Average, WINDOW, EVERYWHERE)
}

/// The mean over height and width.
///
/// # Shapes
/// `[batch, channels, height, width]` to `[batch, channels]`.
pub(super) fn spatial_mean<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 2> {
    let [batch, channels, _, _] = x.dims();
    x.flatten::<3>(2, 3).mean_dim(2).reshape([batch, channels])
}

#[cfg(test)]
mod tests {
    use burn_flex::{Flex, FlexDevice};

    use super::*;

    fn values(x: Tensor<Flex, 4>) -> Vec<f32> {
        x.into_data().into_vec().unwrap()
    }

    #[test]
    fn borders_count_only_what_is_in_the_image() {
        let device = FlexDevice;
        println!("device: flex");
        let x = Tensor::<Flex, 4>::from_floats([[[[-9.0, 3.0], [-6.0, -12.0]]]], &device);
        assert_eq!(values(average(x.clone())), [-6.0; 4]);
        assert_eq!(values(maximum(x.clone() - 4.0)), [-1.0; 4]);
        let mean: Vec<f32> = spatial_mean(x).into_data().into_vec().unwrap();
        assert_eq!(mean, [-6.0]);
    }

    #[test]
    fn an_incomplete_window_is_dropped() {
        let device = FlexDevice;
        println!("device: flex");
        let x = Tensor::<Flex, 4>::zeros([1, 1, 147, 8], &device);
        assert_eq!(halving_maximum(x).dims(), [1, 1, 73, 3]);
    }
}
