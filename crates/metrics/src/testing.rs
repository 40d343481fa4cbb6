//! What the tests of several metrics share.

use burn::tensor::{Distribution, Tensor, Tolerance, s};
use burn_flex::{Flex, FlexDevice};

use crate::Classifier;

/// Values without a simple pattern.
pub(crate) fn wave(samples: usize, dims: usize, phase: f64) -> Vec<f32> {
    (0..samples * dims)
        .map(|index| {
            let index = index as f64;
            ((index * 0.731 + phase).sin() + (index * index * 0.0137 + phase).cos()) as f32
        })
        .collect()
}

/// What `work` gives on a number of threads.
pub(crate) fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(work)
}

/// Asserts that an image has the same 64 features alone and in a batch, of ten classes.
#[track_caller]
pub(crate) fn assert_features_are_the_images_own<C: Classifier<Flex>>(network: &C) {
    println!("device: flex");
    let [channels, height, width] = network.shape();
    let images = Tensor::random(
        [5, channels, height, width],
        Distribution::Uniform(-1.0, 1.0),
        &FlexDevice,
    );
    let together = network.features(images.clone());
    assert_eq!(together.dims(), [5, 64]);
    assert_eq!(network.logits(images.clone()).dims(), [5, 10]);
    let alone = network.features(images.slice(s![3..4]));
    let row = together.slice(s![3..4]).into_data();
    row.assert_approx_eq::<f32>(&alone.into_data(), Tolerance::absolute(1e-5));
}
