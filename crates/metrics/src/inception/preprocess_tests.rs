//! The numbers are those of the published tools, pytorch-fid by PyTorch 2.15, clean-fid 0.1.35 and
//! torch-fidelity 0.4.0:
//!
//! ```python
//! import numpy as np, torch
//! from cleanfid.resize import build_resizer
//! from torch_fidelity.interpolate_compat_tensorflow import (
//!     interpolate_bilinear_2d_like_tensorflow1x as tensorflow)
//! row, column = np.indices((5, 400))
//! x = ((row * 37 + column * 11) % 256).astype(np.uint8)
//! t = torch.tensor(x)[None, None].float()
//! size = (299, 299)
//! ways = [torch.nn.functional.interpolate(t / 255, size, mode="bilinear")[0, 0].numpy() * 2 - 1,
//!         (build_resizer("clean")(np.stack([x] * 3, 2))[:, :, 0] - 128) / 128,
//!         (tensorflow(t, size=size, align_corners=False)[0, 0].numpy() - 128) / 128]
//! for v in ways:
//!     v = v.astype(np.float64)
//!     print([v[p] for p in [(0, 0), (0, 298), (77, 150), (149, 149), (200, 37), (298, 298)]],
//!           v.mean(), (v ** 2).mean())
//! ```

use burn::tensor::{Shape, TensorData};
use burn_flex::{Flex, FlexDevice};

use super::*;

/// Places in a prepared image.
const PLACES: [[usize; 2]; 6] = [
    [0, 0],
    [0, 298],
    [77, 150],
    [149, 149],
    [200, 37],
    [298, 298],
];

/// An image of one channel that is to be enlarged along one axis and shrunk along the other.
fn prepared(way: Preprocessing) -> Vec<f32> {
    let [height, width] = [5, 400];
    let pixels: Vec<f32> = (0..height * width)
        .map(|index| ((index / width * 37 + index % width * 11) % 256) as f32)
        .collect();
    let data = TensorData::new(pixels, Shape::new([1, 1, height, width]));
    let images = Tensor::<Flex, 4>::from_data(data, &FlexDevice);
    let prepared = way.prepare(images);
    assert_eq!(prepared.dims(), [1, 1, SIDE, SIDE]);
    prepared.into_data().into_vec().unwrap()
}

#[track_caller]
fn assert_prepared(way: Preprocessing, places: [f64; 6], mean: f64, mean_square: f64) {
    println!("device: flex");
    let found = prepared(way);
    for ([row, column], expected) in PLACES.into_iter().zip(places) {
        let found = f64::from(found[row * SIDE + column]);
        assert!(
            (found - expected).abs() < 1e-5,
            "{found} instead of {expected} in row {row}, column {column}"
        );
    }
    let mean_of = |power: i32| {
        let values = found.iter().map(|&value| f64::from(value).powi(power));
        values.sum::<f64>() / found.len() as f64
    };
    assert!((mean_of(1) - mean).abs() < 1e-6, "{}", mean_of(1));
    assert!((mean_of(2) - mean_square).abs() < 1e-6, "{}", mean_of(2));
}

#[test]
fn pytorch_fid_resizes_between_the_centres_of_pixels() {
    assert_prepared(
        Preprocessing::PytorchFid,
        [
            -0.985_428_6,
            -0.724_374_3,
            0.495_429_8,
            0.729_411_8,
            0.097_213_0,
            0.436_410_0,
        ],
        -0.001_776_333,
        0.249_099_211,
    );
}

#[test]
fn clean_fid_filters_what_would_alias() {
    assert_prepared(
        Preprocessing::Clean,
        [
            -1.0,
            -0.763_494_0,
            0.475_545_3,
            0.722_656_2,
            0.091_309_2,
            0.464_705_7,
        ],
        -0.006_321_780,
        0.280_985_540,
    );
    // 255 is the brightest that the filter may overshoot to.
    let brightest = prepared(Preprocessing::Clean).into_iter().reduce(f32::max);
    assert_eq!(brightest, Some(127.0 / 128.0));
}

#[test]
fn tensorflow_measures_from_the_corner() {
    assert_prepared(
        Preprocessing::Tf,
        [
            -1.0,
            -0.739_967_1,
            0.617_187_8,
            0.524_692_2,
            0.220_526_9,
            0.416_282_9,
        ],
        -0.005_187_083,
        0.246_802_045,
    );
}

#[test]
fn images_of_the_right_size_are_only_brought_to_the_range() {
    println!("device: flex");
    let images = Tensor::<Flex, 1>::from_floats([0.0, 64.0, 128.0, 255.0], &FlexDevice)
        .reshape([1, 4, 1, 1])
        .repeat(&[1, 1, SIDE, SIDE]);
    for (way, expected) in [
        (
            Preprocessing::PytorchFid,
            [-1.0, -0.498_039_2, 0.003_921_6, 1.0],
        ),
        (Preprocessing::Clean, [-1.0, -0.5, 0.0, 0.992_187_5]),
        (Preprocessing::Tf, [-1.0, -0.5, 0.0, 0.992_187_5]),
    ] {
        let prepared = way.prepare(images.clone());
        for (channel, expected) in expected.into_iter().enumerate() {
            let values = prepared.clone().narrow(1, channel, 1).into_data();
            for value in values.iter::<f32>() {
                assert!((value - expected).abs() < 1e-6, "{way:?}: {value}");
            }
        }
    }
}
