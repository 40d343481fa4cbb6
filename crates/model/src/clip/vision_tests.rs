use burn_flex::Flex;

use super::*;
use crate::testing::{file, file_of, needed, uniform, values};

fn config() -> ClipVisionConfig {
    ClipVisionConfig {
        image_size: 12,
        patch_size: 4,
        width: 16,
        mlp_width: 24,
        layers: 2,
        heads: 2,
        embedding: 6,
        ..ClipVisionConfig::vit_l_14_336()
    }
}

/// The weights of number `k` among the sorted names are 0.4 sin(0.7 k + 0.37 i), and one more for
/// the scale of a norm. `tests/oracles/metrics/pinned.py` printed what transformers' network makes
/// of them and of the same images in double precision.
#[test]
fn embeddings_are_those_of_the_published_network() {
    let mut entries = needed(&config().placements().unwrap());
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let names: Vec<_> = entries.iter().map(|entry| entry.name.clone()).collect();
    let (_folder, weights) = file_of(&entries, |entry, index| {
        let ordinal = names.iter().position(|name| *name == entry.name).unwrap();
        let value = 0.4 * (0.7 * ordinal as f64 + 0.37 * index as f64).sin();
        let is_norm = entry.name.contains("norm") || entry.name.contains("layrnorm");
        let is_scale = is_norm && entry.name.ends_with("weight");
        value as f32 + f32::from(u8::from(is_scale))
    });
    let network = config()
        .import::<Flex>(&weights, &Default::default())
        .unwrap();
    let pixels: Vec<f32> = (0..2 * 3 * 12 * 12)
        .map(|index| (37 * index % 251) as f32)
        .collect();
    let images = TensorData::new(pixels, [2, 3, 12, 12]);
    let images = Tensor::from_data(images, &Default::default());
    let found = values(network.embed(images).unwrap());
    let expected = [
        [1.533_86, 1.257739, 0.817533, 0.270671, -0.311502, -0.853037],
        [1.696048, 1.438002, 0.992354, 0.417243, -0.212301, -0.814148],
    ];
    for (found, expected) in found.iter().zip(expected.as_flattened()) {
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }
    assert_eq!(found.len(), 12);
}

#[test]
fn an_embedding_does_not_depend_on_the_batch() {
    let (_folder, weights) = file(&needed(&config().placements().unwrap()));
    let network = config()
        .import::<Flex>(&weights, &Default::default())
        .unwrap();
    let images: Tensor<Flex, 4> = uniform([3, 3, 12, 12]);
    let together = values(network.forward(images.clone()).unwrap());
    for index in 0..3 {
        let alone = values(network.forward(images.clone().narrow(0, index, 1)).unwrap());
        for (found, expected) in alone.iter().zip(&together[6 * index..]) {
            assert!((found - expected).abs() < 1e-5);
        }
    }
}

#[test]
fn images_of_another_size_are_refused() {
    let network: ClipVision<Flex> = config().init(&Default::default()).unwrap();
    for shape in [[1, 3, 12, 8], [1, 1, 12, 12], [0, 3, 12, 12]] {
        let images = Tensor::<Flex, 4>::zeros(shape, &Default::default());
        let error = network.embed(images).unwrap_err();
        assert!(matches!(error, ModelError::Shape { .. }), "{error}");
    }
}
