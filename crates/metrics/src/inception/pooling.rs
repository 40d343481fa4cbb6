//! The poolings between and within the blocks.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::module::{avg_pool2d, max_pool2d};

/// Side of every window.
const WINDOW: [usize; 2] = [3, 3];

/// The largest value of each window; about half the height and width remain. It passes over what is no number.
pub(super) fn halving_maximum<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    max_pool2d(x, WINDOW, [2, 2], [0, 0], [1, 1], false)
}

/// The largest value of each window; the size stays. It passes over what is no number.
pub(super) fn maximum<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    max_pool2d(x, WINDOW, [1, 1], [1, 1], [1, 1], false)
}

/// Zero where all values of a sample are finite, no number elsewhere: what is added to features beyond a maximum,
/// where no convolution of the same values carries on what is none.
///
/// # Shapes
/// `[batch, channels, height, width]` to `[batch, 1]`.
pub(super) fn flaw<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 2> {
    (spatial_mean(x) * 0.0).sum_dim(1)
}

/// The mean of each window's values within the image; the size stays.
///
/// Inception as torchvision has it counts the zeros around the image too; the network whose
/// features define FID does not.
pub(super) fn average<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    avg_pool2d(x, WINDOW, [1, 1], [1, 1], false, false)
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
    fn what_is_no_number_is_found() {
        let device = FlexDevice;
        println!("device: flex");
        let flaws = |bad: f32| {
            let x =
                Tensor::<Flex, 4>::from_floats([[[[1.0]], [[2.0]]], [[[bad]], [[3.0]]]], &device);
            let flaws: Vec<f32> = flaw(x).into_data().into_vec().unwrap();
            flaws
        };
        assert_eq!(flaws(-7.0), [0.0, 0.0]);
        for bad in [f32::NAN, f32::INFINITY] {
            let found = flaws(bad);
            assert!(found[0] == 0.0 && found[1].is_nan());
        }
    }

    #[test]
    fn an_incomplete_window_is_dropped() {
        let device = FlexDevice;
        println!("device: flex");
        let x = Tensor::<Flex, 4>::zeros([1, 1, 147, 8], &device);
        assert_eq!(halving_maximum(x).dims(), [1, 1, 73, 3]);
    }
}
