//! Group normalisation and swish in one task for each group.

use burn::tensor::TensorMetadata;
use burn_flex::FlexTensor;
use multiversion::multiversion;
use rayon::prelude::*;

use super::math::exp;
use super::row_norm::sum;
use super::{Elements, copied, tensor_from, written};
use crate::Grouping;

/// Values that are added up in single precision: over all of a large image digits would be lost.
const RUN: usize = 1 << 10;

pub(super) fn forward(
    x: FlexTensor,
    scale: FlexTensor,
    shift: FlexTensor,
    grouping: Grouping,
) -> FlexTensor {
    let shape = x.shape();
    let [batch, channels, height, width] = shape.dims();
    let (positions, of_group) = (height * width, channels / grouping.groups);
    assert_eq!(of_group * grouping.groups, channels, "groups of equal size");
    let (x, scale, shift) = (Elements::new(x), Elements::new(scale), Elements::new(shift));
    let (scale, shift) = (scale.slice(), shift.slice());
    let chunk = (of_group * positions).max(1);
    // SAFETY: every group is copied whole.
    let values = unsafe {
        written(batch * channels * positions, |out| {
            out.par_chunks_mut(chunk)
                .zip(x.slice().par_chunks(chunk))
                .enumerate()
                .for_each(|(index, (out, x))| {
                    let out = copied(out, x);
                    let mean = mean(out);
                    let inverse = (mean_square(out, mean) + grouping.epsilon).sqrt().recip();
                    let first = index % grouping.groups * of_group;
                    for (channel, out) in (first..).zip(out.chunks_exact_mut(positions)) {
                        let scale = (f64::from(scale[channel]) * inverse) as f32;
                        map(out, mean, scale, shift[channel], grouping.swish);
                    }
                });
        })
    };
    tensor_from(values, shape)
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn mean(values: &[f32]) -> f32 {
    let runs = values
        .chunks(RUN)
        .map(|run| f64::from(sum(run, |_, value| value)));
    (runs.sum::<f64>() / values.len() as f64) as f32
}

/// The mean square of the distances from `centre`.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn mean_square(values: &[f32], centre: f32) -> f64 {
    let square = |_, value: f32| (value - centre) * (value - centre);
    let runs = values.chunks(RUN).map(|run| f64::from(sum(run, square)));
    runs.sum::<f64>() / values.len() as f64
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn map(values: &mut [f32], centre: f32, scale: f32, shift: f32, swish: bool) {
    for value in values.iter_mut() {
        *value = (*value - centre) * scale + shift;
    }
    if swish {
        for value in values {
            *value /= 1.0 + exp(-*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::GroupNormConfig;
    use burn::tensor::Tolerance;
    use burn::tensor::activation::silu;
    use burn_flex::Flex;

    use crate::group_norm;
    use crate::testing::uniform;

    #[test]
    fn it_is_burns() {
        println!("device: flex");
        for [groups, channels, height, width] in [[4, 8, 5, 7], [1, 3, 40, 33], [2, 2, 1, 1]] {
            let mut norm = GroupNormConfig::new(groups, channels)
                .with_epsilon(1e-6)
                .init::<Flex>(&Default::default());
            norm.gamma = norm.gamma.map(|gamma| gamma.map(|_| uniform([channels])));
            norm.beta = norm
                .beta
                .map(|beta| beta.map(|_| uniform([channels]) * 0.3));
            let x = uniform::<Flex, 4>([2, channels, height, width]) * 3.0 + 2.0;
            let expected = norm.forward(x.clone());
            let exact = Tolerance::absolute(1e-5);
            let plain = group_norm(x.clone(), &norm, false).into_data();
            plain.assert_approx_eq::<f32>(&expected.clone().into_data(), exact);
            let with_swish = group_norm(x, &norm, true).into_data();
            with_swish.assert_approx_eq::<f32>(&silu(expected).into_data(), exact);
        }
    }
}
