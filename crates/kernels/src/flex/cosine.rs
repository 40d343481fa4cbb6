//! The mean cosine between rows: what the saturation of hidden states is told by, in one pass over
//! both states.

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use multiversion::multiversion;
use rayon::prelude::*;

use super::{Elements, tensor_from};

/// Partial sums that let the compiler add in vector registers.
const LANES: usize = 16;

/// The cosine of each token of `a` and `b` `[groups, run, width]`, mean over a group's tokens but its
/// first `skipped`.
pub(super) fn mean(a: FlexTensor, b: FlexTensor, skipped: usize) -> FlexTensor {
    let [groups, run, width] = a.shape().dims();
    assert_eq!(b.shape().dims(), [groups, run, width], "two of one shape");
    assert!(
        width > 0 && skipped < run,
        "{run} tokens of width {width}, {skipped} of them skipped"
    );
    let (a, b) = (Elements::new(a), Elements::new(b));
    let mean = |(a, b): (&[f32], &[f32])| {
        let [a, b] = [a, b].map(|group| group[skipped * width..].chunks_exact(width));
        let cosines = a.zip(b).map(|(a, b)| cosine(a, b));
        cosines.sum::<f32>() / (run - skipped) as f32
    };
    let groups_of_a = a.slice().par_chunks_exact(run * width);
    let means = groups_of_a
        .zip(b.slice().par_chunks_exact(run * width))
        .map(mean)
        .collect();
    tensor_from(means, Shape::new([groups]))
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let (mut dot, mut of_a, mut of_b) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    let (whole_a, whole_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (rest_a, rest_b) = (whole_a.remainder(), whole_b.remainder());
    for (a, b) in whole_a.zip(whole_b) {
        for lane in 0..LANES {
            dot[lane] += a[lane] * b[lane];
            of_a[lane] += a[lane] * a[lane];
            of_b[lane] += b[lane] * b[lane];
        }
    }
    for (lane, (a, b)) in rest_a.iter().zip(rest_b).enumerate() {
        dot[lane] += a * b;
        of_a[lane] += a * a;
        of_b[lane] += b * b;
    }
    let [dot, of_a, of_b] = [dot, of_a, of_b].map(|lanes| lanes.iter().sum::<f32>());
    dot / (of_a * of_b).sqrt().max(super::default::LEAST_NORM)
}
