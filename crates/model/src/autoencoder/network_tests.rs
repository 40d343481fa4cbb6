use burn::tensor::TensorData;
use burn_flex::Flex;

use super::*;
use crate::testing::{file, needed, uniform, values};

fn config() -> AutoencoderConfig {
    AutoencoderConfig {
        resolution: 8,
        in_channels: 2,
        out_channels: 3,
        channels: 32,
        channel_multipliers: vec![1, 2],
        residual_blocks: 1,
        attention_resolutions: vec![8],
        z_channels: 3,
        latent_channels: 2,
        scale_factor: 0.5,
    }
}

fn network() -> Autoencoder<Flex> {
    let (_folder, file) = file(&needed(&config().placements().unwrap()));
    config().import(&file, &Default::default()).unwrap()
}

#[test]
fn images_of_any_divisible_size_are_encoded_and_decoded() {
    let network = network();
    let moments = network.encode_moments(uniform([2, 2, 6, 10])).unwrap();
    assert_eq!(moments.dims(), [2, 4, 3, 5]);
    let latents = network.sample(moments, uniform([2, 2, 3, 5])).unwrap();
    assert_eq!(latents.dims(), [2, 2, 3, 5]);
    assert_eq!(network.decode(latents).unwrap().dims(), [2, 3, 6, 10]);
}

#[test]
fn log_variances_are_clamped_and_latents_scaled() {
    let network = network();
    // Mean and log-variance of two channels, each of three pixels.
    let moments = [
        [1.0, -2.0, 3.0],
        [0.0, 0.0, 0.0],
        [0.0, 2.0, 50.0],
        [-1.0, -99.0, 20.0],
    ];
    let moments = Tensor::from_data(
        TensorData::new(moments.concat(), [1, 4, 1, 3]),
        &Default::default(),
    );
    let noise = Tensor::from_data(
        TensorData::new(vec![0.5f32, 1.0, -1.0, 2.0, 1.0, 1.0], [1, 2, 1, 3]),
        &Default::default(),
    );
    let found = values(network.sample(moments, noise).unwrap());
    let ten = 10f64.exp();
    let expected = [
        1.5,
        -2.0 + 1f64.exp(),
        3.0 - ten,
        2.0 * (-0.5f64).exp(),
        (-15f64).exp(),
        ten,
    ];
    for (found, expected) in found.into_iter().zip(expected.map(|value| 0.5 * value)) {
        let error = (f64::from(found) - expected).abs();
        assert!(
            error <= 1e-6 * expected.abs().max(1e-6),
            "{found}, {expected}"
        );
    }
}

#[test]
fn attention_of_a_level_takes_part() {
    let images = || uniform([1, 2, 8, 8]);
    let latents = || uniform([1, 2, 4, 4]);
    let mut network = network();
    let moments = values(network.encode_moments(images()).unwrap());
    let decoded = values(network.decode(latents()).unwrap());
    assert_eq!(network.encoder.down[1].attn.len(), 0);
    assert_eq!(network.decoder.up[0].attn.len(), 2);
    let queries = |attention: &mut super::super::layers::PixelAttention<Flex>| {
        attention.q.weight = attention.q.weight.clone().map(|weight| weight * 3.0);
    };
    queries(&mut network.encoder.down[0].attn[0]);
    assert_ne!(values(network.encode_moments(images()).unwrap()), moments);
    assert_eq!(values(network.decode(latents()).unwrap()), decoded);
    queries(&mut network.decoder.up[0].attn[1]);
    assert_ne!(values(network.decode(latents()).unwrap()), decoded);
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let network = network();
    let images = uniform::<Flex, 4>([3, 2, 8, 8]);
    let together = network.encode_moments(images.clone()).unwrap();
    let alone = network.encode_moments(images.narrow(0, 1, 1)).unwrap();
    let together = values(together.narrow(0, 1, 1));
    for (alone, together) in values(alone).into_iter().zip(together) {
        assert!((alone - together).abs() < 1e-5, "{alone}, {together}");
    }
}

#[test]
fn shapes_that_do_not_suit_are_refused() {
    let network = network();
    let refused = |result: Result<Tensor<Flex, 4>, ModelError>, what: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    refused(network.encode_moments(uniform([1, 3, 8, 8])), "images");
    refused(network.encode_moments(uniform([0, 2, 8, 8])), "images");
    refused(network.encode_moments(uniform([1, 2, 8, 0])), "images");
    refused(
        network.encode_moments(uniform([1, 2, 8, 7])),
        "multiples of 2",
    );
    refused(network.decode(uniform([1, 3, 4, 4])), "latents");
    refused(network.decode(uniform([1, 2, 0, 4])), "latents");
    let moments = || uniform([1, 4, 4, 4]);
    refused(network.sample(moments(), uniform([1, 4, 4, 4])), "noise");
    refused(network.sample(moments(), uniform([2, 2, 4, 4])), "noise");
    refused(
        network.sample(uniform([1, 2, 4, 4]), uniform([1, 1, 4, 4])),
        "moments",
    );
}
