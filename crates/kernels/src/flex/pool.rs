//! Pooling along the rows of a window, then along its columns, of whole rows at a time.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use multiversion::multiversion;
use rayon::prelude::*;

use super::{Elements, tensor_from, written};
use crate::{Pooling, Windows};

pub(super) fn forward(
    x: FlexTensor,
    pooling: Pooling,
    kernel: [usize; 2],
    windows: Windows,
) -> FlexTensor {
    let [batch, channels, height, width] = x.shape().dims();
    let [out_height, out_width] = windows.output([height, width], kernel);
    let plane = (height * width).max(1);
    let out_plane = (out_height * out_width).max(1);
    let x = Elements::new(x);
    // SAFETY: every row of every plane is set.
    let values = unsafe {
        written(batch * channels * out_height * out_width, |out| {
            out.par_chunks_mut(out_plane)
                .zip(x.slice().par_chunks(plane))
                .for_each_init(
                    || vec![0.0; width],
                    |along, (out, x)| {
                        for (y, out) in out.chunks_exact_mut(out_width).enumerate() {
                            let rows = within(y, 0, height, kernel, windows);
                            let mut lines = x.chunks_exact(width).take(rows.end).skip(rows.start);
                            along.copy_from_slice(lines.next().expect("a window with a row"));
                            for line in lines {
                                combine(pooling, along, line);
                            }
                            row(pooling, along, rows.len(), kernel, windows, out);
                        }
                    },
                );
        })
    };
    tensor_from(values, Shape::new([batch, channels, out_height, out_width]))
}

/// What a window covers of an axis of the image.
fn within(
    window: usize,
    axis: usize,
    size: usize,
    kernel: [usize; 2],
    windows: Windows,
) -> Range<usize> {
    let start = window * windows.stride[axis];
    let before = windows.padding[axis][0];
    start.saturating_sub(before)..(start + kernel[axis]).saturating_sub(before).min(size)
}

/// A row of the output, of what the windows' rows, so many, are together.
fn row(
    pooling: Pooling,
    along: &[f32],
    rows: usize,
    kernel: [usize; 2],
    windows: Windows,
    out: &mut [MaybeUninit<f32>],
) {
    for (x, out) in out.iter_mut().enumerate() {
        let columns = within(x, 1, along.len(), kernel, windows);
        let values = &along[columns];
        let first = values[0];
        out.write(match pooling {
            Pooling::Maximum => values[1..].iter().fold(first, |a, &b| larger(a, b)),
            Pooling::Average => {
                values[1..].iter().fold(first, |a, b| a + b) / (rows * values.len()) as f32
            }
        });
    }
}

/// The larger value; what is no number is larger than all.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b || a.is_nan() { a } else { b }
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn combine(pooling: Pooling, along: &mut [f32], line: &[f32]) {
    match pooling {
        Pooling::Maximum => {
            for (a, &b) in along.iter_mut().zip(line) {
                *a = larger(*a, b);
            }
        }
        Pooling::Average => {
            for (a, b) in along.iter_mut().zip(line) {
                *a += b;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::{avg_pool2d, max_pool2d};
    use burn::tensor::{Tensor, Tolerance};
    use burn_flex::Flex;

    use crate::testing::{uniform, values};
    use crate::{Pooling, Windows, pool};

    #[test]
    fn it_is_burns() {
        println!("device: flex");
        for (kernel, stride, padding) in [([3, 3], 2, 0), ([3, 3], 1, 1), ([2, 5], 3, 1)] {
            for image in [[9, 7], [6, 20], [3, 3]] {
                let x = uniform::<Flex, 4>([2, 3, image[0], image[1]]);
                let windows = Windows {
                    stride: [stride; 2],
                    padding: [[padding; 2]; 2],
                };
                let found = |pooling| pool(x.clone(), pooling, kernel, windows).into_data();
                let (strides, paddings) = ([stride; 2], [padding; 2]);
                let largest =
                    max_pool2d(x.clone(), kernel, strides, paddings, [1, 1], false).into_data();
                assert_eq!(found(Pooling::Maximum), largest);
                let mean = avg_pool2d(x.clone(), kernel, strides, paddings, false, false);
                let tolerance = Tolerance::absolute(1e-6);
                found(Pooling::Average).assert_approx_eq::<f32>(&mean.into_data(), tolerance);
            }
        }
    }

    #[test]
    fn what_is_no_number_is_passed_on() {
        println!("device: flex");
        let x = [[[[1.0, 2.0, 0.0, 4.0], [f32::NAN, 3.0, 1.0, 1.0]]]];
        let x = Tensor::<Flex, 4>::from_floats(x, &Default::default());
        let windows = Windows {
            stride: [1, 1],
            padding: [[0; 2]; 2],
        };
        for pooling in [Pooling::Maximum, Pooling::Average] {
            let found = values(pool(x.clone(), pooling, [2, 2], windows));
            assert!(found[0].is_nan() && found[1..].iter().all(|value| value.is_finite()));
        }
    }
}
