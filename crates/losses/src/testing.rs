//! What the tests of the losses share: images of two pixels on an autodiff device.

use burn::backend::Autodiff;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_flex::{Flex, FlexDevice};

/// The backend under test.
pub(crate) type Differentiable = Autodiff<Flex>;

/// The device under test, named in the test's output.
pub(crate) fn device() -> FlexDevice {
    let device = FlexDevice;
    println!("device: flex ({})", Differentiable::name(&device));
    device
}

/// A batch of images of one channel and 1x2 pixels.
pub(crate) fn images<const BATCH: usize>(
    pixels: [[f32; 2]; BATCH],
    device: &FlexDevice,
) -> Tensor<Differentiable, 4> {
    Tensor::<Differentiable, 2>::from_floats(pixels, device).reshape([BATCH, 1, 1, 2])
}

/// A batch of one image of 1x2 pixels.
pub(crate) fn image(pixels: [f32; 2], device: &FlexDevice) -> Tensor<Differentiable, 4> {
    images([pixels], device)
}

/// A tensor's values.
pub(crate) fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().to_vec().unwrap()
}

/// Asserts equality up to a few units in the last place of `f32`.
#[track_caller]
pub(crate) fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!(
            (a - b).abs() <= 1e-6 * b.abs().max(1.0),
            "found {found:?}, expected {expected:?}"
        );
    }
}
