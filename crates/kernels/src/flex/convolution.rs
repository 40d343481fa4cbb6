//! Convolutions as products of the weight with gathered windows, a tile of positions at a time: on all cores, with what
//! follows a product done while it lies in cache.

use std::ops::Range;

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use faer::Par;
use multiversion::multiversion;
use rayon::prelude::*;

use super::product::{Onto, View, product};
use super::{Elements, Output, tensor_from, written};
use crate::{Epilogue, Windows};

/// Values of the windows that are gathered at once, which a core's cache holds beside a part of the weight.
const TILE: usize = 1 << 16;

/// Positions of a tile at least: fewer are not worth reading the weight for.
const LEAST_POSITIONS: usize = 64;

/// The sizes of one call.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    inputs: usize,
    outputs: usize,
    /// Height and width of the image, of the kernel and of the output.
    image: [usize; 2],
    kernel: [usize; 2],
    output: [usize; 2],
    windows: Windows,
}

impl Sizes {
    fn new(x: &FlexTensor, weight: &FlexTensor, windows: Windows) -> Self {
        let [batch, inputs, height, width] = x.shape().dims();
        let [outputs, of_weight, kernel_height, kernel_width] = weight.shape().dims();
        assert_eq!(inputs, of_weight, "a weight for each input channel");
        let (image, kernel) = ([height, width], [kernel_height, kernel_width]);
        Self {
            batch,
            inputs,
            outputs,
            image,
            kernel,
            output: windows.output(image, kernel),
            windows,
        }
    }

    fn positions(self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Values of a window.
    fn window(self) -> usize {
        self.inputs * self.kernel[0] * self.kernel[1]
    }

    /// Whether each window is one value, in the image's own order.
    fn is_pointwise(self) -> bool {
        self.kernel == [1, 1] && self.output == self.image && self.windows.stride == [1, 1]
    }
}

pub(super) fn forward(
    x: FlexTensor,
    weight: FlexTensor,
    epilogue: Epilogue<FlexTensor>,
    windows: Windows,
) -> FlexTensor {
    let sizes = Sizes::new(&x, &weight, windows);
    let (x, weight) = (Elements::new(x), Elements::new(weight));
    let (x, weight) = (x.slice(), weight.slice());
    let [scale, shift] = [epilogue.scale, epilogue.shift].map(|values| values.map(Elements::new));
    let [scale, shift] = [&scale, &shift].map(|values| values.as_ref().map(Elements::slice));
    let (positions, window) = (sizes.positions(), sizes.window());
    let tile = (TILE / window.max(1)).clamp(LEAST_POSITIONS, positions.max(LEAST_POSITIONS));
    let tiles = positions.div_ceil(tile);
    let image = sizes.inputs * sizes.image[0] * sizes.image[1];
    // SAFETY: the tiles cover all positions of all samples, each once.
    let values = unsafe {
        written(sizes.batch * sizes.outputs * positions, |out| {
            let out = Output(out.as_mut_ptr().cast());
            (0..sizes.batch * tiles).into_par_iter().for_each_init(
                || {
                    Vec::with_capacity(if sizes.is_pointwise() {
                        0
                    } else {
                        window * tile
                    })
                },
                |gathered, task| {
                    let (sample, first) = (task / tiles, task % tiles * tile);
                    let range = first..positions.min(first + tile);
                    let x = &x[sample * image..][..image];
                    let windows = if sizes.is_pointwise() {
                        View::new(x, first, positions)
                    } else {
                        gathered.resize(window * range.len(), 0.0);
                        gather(x, sizes, range.clone(), gathered);
                        View::new(gathered, 0, range.len())
                    };
                    let out = out.at(sample * sizes.outputs * positions + first);
                    let shape = [sizes.outputs, range.len(), window];
                    let factors = [View::new(weight, 0, window), windows];
                    product(shape, out, positions, Onto::Nothing, factors, 1.0, Par::Seq);
                    for channel in 0..sizes.outputs {
                        let row = out.add(channel * positions);
                        let row = std::slice::from_raw_parts_mut(row, range.len());
                        let scale = scale.map_or(1.0, |scale| scale[channel]);
                        let shift = shift.map_or(0.0, |shift| shift[channel]);
                        finish(row, scale, shift, epilogue.rectifies);
                    }
                },
            );
        })
    };
    let [height, width] = sizes.output;
    tensor_from(
        values,
        Shape::new([sizes.batch, sizes.outputs, height, width]),
    )
}

/// The windows of some positions `[window, positions]`: a row for each of a window's values.
fn gather(x: &[f32], sizes: Sizes, positions: Range<usize>, out: &mut [f32]) {
    let [height, width] = sizes.image;
    let [kernel_height, kernel_width] = sizes.kernel;
    let mut rows = out.chunks_exact_mut(positions.len());
    for channel in x.chunks_exact(height * width) {
        for row in 0..kernel_height {
            for column in 0..kernel_width {
                let out = rows.next().expect("a row for each of a window's values");
                gather_one(channel, sizes, [row, column], positions.clone(), out);
            }
        }
    }
}

/// One value of each window.
fn gather_one(
    channel: &[f32],
    sizes: Sizes,
    [row, column]: [usize; 2],
    positions: Range<usize>,
    mut out: &mut [f32],
) {
    let [height, width] = sizes.image;
    let Windows { stride, padding } = sizes.windows;
    let (mut y, mut x) = (
        positions.start / sizes.output[1],
        positions.start % sizes.output[1],
    );
    while !out.is_empty() {
        let count = (sizes.output[1] - x).min(out.len());
        let (line, rest) = out.split_at_mut(count);
        let image_row = (y * stride[0] + row).wrapping_sub(padding[0][0]);
        if image_row < height {
            let values = &channel[image_row * width..][..width];
            let start = (x * stride[1] + column) as isize - padding[1][0] as isize;
            take(values, start, stride[1], line);
        } else {
            line.fill(0.0);
        }
        out = rest;
        (y, x) = (y + 1, 0);
    }
}

/// Every `stride`th value from `start` on; zeros beyond the row.
fn take(row: &[f32], start: isize, stride: usize, out: &mut [f32]) {
    // The first and the first no longer within the row.
    let first = (-start).max(0) as usize;
    let first = first.div_ceil(stride).min(out.len());
    let end = (row.len() as isize - start).max(0) as usize;
    let end = end.div_ceil(stride).clamp(first, out.len());
    out[..first].fill(0.0);
    out[end..].fill(0.0);
    let Some(values) = row.get((start + (first * stride) as isize).max(0) as usize..) else {
        return;
    };
    let out = &mut out[first..end];
    if stride == 1 {
        out.copy_from_slice(&values[..out.len()]);
    } else {
        for (out, value) in out.iter_mut().zip(values.iter().step_by(stride)) {
            *out = *value;
        }
    }
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn finish(values: &mut [f32], scale: f32, shift: f32, rectifies: bool) {
    for value in values.iter_mut() {
        *value = *value * scale + shift;
    }
    if rectifies {
        for value in values {
            // What is no number stays none.
            *value = if *value < 0.0 { 0.0 } else { *value };
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::PaddingConfig2d;
    use burn::nn::conv::{Conv2d, Conv2dConfig};
    use burn::tensor::{Tensor, Tolerance};
    use burn_flex::Flex;

    use crate::convolution;
    use crate::testing::{uniform, values};

    struct Case {
        channels: [usize; 2],
        kernel: [usize; 2],
        stride: usize,
        /// Above, to the left, below and to the right.
        padding: [usize; 4],
        image: [usize; 2],
    }

    impl Case {
        fn layer(&self) -> Conv2d<Flex> {
            let [top, left, bottom, right] = self.padding;
            let config = Conv2dConfig::new(self.channels, self.kernel)
                .with_stride([self.stride; 2])
                .with_padding(PaddingConfig2d::Explicit(top, left, bottom, right));
            config.init(&Default::default())
        }
    }

    #[test]
    fn it_is_burns_and_what_follows() {
        println!("device: flex");
        let case = |channels, kernel, stride, padding, image| Case {
            channels,
            kernel,
            stride,
            padding,
            image,
        };
        let cases = [
            case([5, 7], [1, 1], 1, [0; 4], [9, 11]),
            case([5, 7], [1, 1], 2, [0; 4], [9, 11]),
            case([3, 4], [3, 3], 1, [1; 4], [6, 5]),
            case([3, 4], [3, 3], 2, [0; 4], [7, 9]),
            case([3, 4], [3, 3], 2, [0, 0, 1, 1], [8, 8]),
            case([2, 3], [1, 7], 1, [0, 3, 0, 3], [4, 5]),
            case([2, 3], [7, 1], 1, [3, 0, 3, 0], [2, 40]),
            // More positions than a tile has.
            case([70, 2], [5, 5], 1, [2; 4], [40, 33]),
        ];
        for case in cases {
            let layer = case.layer();
            let [inputs, outputs] = case.channels;
            let [height, width] = case.image;
            let x = uniform::<Flex, 4>([2, inputs, height, width]);
            let [scale, shift] = [uniform::<Flex, 1>([outputs]), uniform([outputs]) * 0.3];
            let plain = layer.forward(x.clone());
            let found = convolution(x.clone(), &layer, None, false).into_data();
            let exact = Tolerance::absolute(1e-5);
            found.assert_approx_eq::<f32>(&plain.clone().into_data(), exact);
            let per_channel = |values: Tensor<Flex, 1>| values.reshape([1, outputs, 1, 1]);
            let expected = plain * per_channel(scale.clone()) + per_channel(shift.clone());
            let found = convolution(x, &layer, Some([scale, shift]), true).into_data();
            found.assert_approx_eq::<f32>(&expected.clamp_min(0.0).into_data(), exact);
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        println!("device: flex");
        let case = Case {
            channels: [1, 1],
            kernel: [3, 3],
            stride: 1,
            padding: [1; 4],
            image: [5, 5],
        };
        let x = uniform::<Flex, 4>([1, 1, 5, 5]);
        let flawed = x.clone().slice_assign(
            [0..1, 0..1, 0..1, 0..1],
            x.zeros_like().slice([0..1, 0..1, 0..1, 0..1]) / 0.0,
        );
        let found = values(convolution(flawed, &case.layer(), None, true));
        let flawed: Vec<usize> = (0..25).filter(|&place| found[place].is_nan()).collect();
        assert_eq!(flawed, [0, 1, 5, 6]);
    }
}
