//! Convolutions as products of the weight with gathered windows, a tile of positions at a time: on all cores, with what
//! follows a product done while it lies in cache.

mod backward;
mod windows;

use std::ops::Range;

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use faer::Par;
use multiversion::multiversion;
use rayon::prelude::*;

use super::product::{Onto, View, product};
use super::{Elements, Output, tensor_from, written};
use crate::{Epilogue, Windows};
pub(super) use backward::{weight_backward, x_backward};

/// Values of the windows that are gathered at once, which a core's cache holds beside a part of the weight.
const TILE: usize = 1 << 16;

/// Positions of a tile at least: fewer are not worth reading the weight for.
const LEAST_POSITIONS: usize = 64;

/// Positions of images that have fewer than that, several of which are multiplied at once.
const POSITIONS_OF_SMALL_IMAGES: usize = 128;

/// Samples that are multiplied at once at most.
const MOST_SAMPLES: usize = 8;

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

    /// Values of a sample's image.
    fn of_sample(self) -> usize {
        self.inputs * self.image[0] * self.image[1]
    }

    /// Values of a window.
    fn window(self) -> usize {
        self.inputs * self.kernel[0] * self.kernel[1]
    }

    /// Positions of a sample that are multiplied at once: few enough for a core's cache.
    fn tile(self) -> usize {
        let positions = self.positions().max(LEAST_POSITIONS);
        (TILE / self.window().max(1)).clamp(LEAST_POSITIONS, positions)
    }

    /// Samples that are multiplied at once: several, where one has few positions. Not by the number of cores, so that sums are
    /// the same on all.
    fn samples_at_once(self) -> usize {
        if self.positions() >= LEAST_POSITIONS {
            return 1;
        }
        (POSITIONS_OF_SMALL_IMAGES / self.positions().max(1)).clamp(1, MOST_SAMPLES)
    }

    /// Whether each window is one value, in the image's own order.
    fn is_pointwise(self) -> bool {
        self.kernel == [1, 1] && self.output == self.image && self.windows.stride == [1, 1]
    }
}

/// Some positions of some samples, which are multiplied at once: of one sample, or all positions of several.
struct Tile {
    samples: Range<usize>,
    positions: Range<usize>,
}

impl Tile {
    /// All tiles of some samples.
    fn of(samples: Range<usize>, sizes: Sizes) -> impl Iterator<Item = Self> {
        let (group, tile) = (sizes.samples_at_once(), sizes.tile());
        let (positions, end) = (sizes.positions(), samples.end);
        samples.step_by(group).flat_map(move |sample| {
            (0..positions).step_by(tile).map(move |first| Self {
                samples: sample..end.min(sample + group),
                positions: first..positions.min(first + tile),
            })
        })
    }

    /// Columns of the product.
    fn columns(&self) -> usize {
        self.samples.len() * self.positions.len()
    }

    /// The place of the first output among all values of the output.
    fn start(&self, sizes: Sizes) -> usize {
        self.samples.start * sizes.outputs * sizes.positions() + self.positions.start
    }

    /// The windows of these samples `[window, columns]`, gathered unless they lie as they are needed.
    fn windows<'a>(&self, x: &'a [f32], sizes: Sizes, scratch: &'a mut Vec<f32>) -> View<'a> {
        let image = sizes.of_sample();
        if sizes.is_pointwise() && self.samples.len() == 1 {
            let x = &x[self.samples.start * image..][..image];
            return View::new(x, self.positions.start, sizes.positions());
        }
        let columns = self.columns();
        scratch.resize(sizes.window() * columns, 0.0);
        for (index, sample) in self.samples.clone().enumerate() {
            let place = [columns, index * self.positions.len()];
            let x = &x[sample * image..][..image];
            windows::gather(x, sizes, &self.positions, scratch, place);
        }
        View::new(scratch, 0, columns)
    }

    /// Hands each channel of each sample on: its number, its place among all values of the output, and its place in a row
    /// of the product.
    fn rows(&self, sizes: Sizes, mut each: impl FnMut(usize, Range<usize>, Range<usize>)) {
        let count = self.positions.len();
        for channel in 0..sizes.outputs {
            for (index, sample) in self.samples.clone().enumerate() {
                let row = (sample * sizes.outputs + channel) * sizes.positions();
                let start = row + self.positions.start;
                each(
                    channel,
                    start..start + count,
                    index * count..(index + 1) * count,
                );
            }
        }
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
    let tiles: Vec<Tile> = Tile::of(0..sizes.batch, sizes).collect();
    // SAFETY: the tiles cover all positions of all samples, each once.
    let values = unsafe {
        written(sizes.batch * sizes.outputs * positions, |out| {
            let out = Output(out.as_mut_ptr().cast());
            tiles.par_iter().for_each_init(
                Default::default,
                |(gathered, sums): &mut (_, Vec<f32>), tile| {
                    let columns = tile.columns();
                    let factors = [
                        View::new(weight, 0, window),
                        tile.windows(x, sizes, gathered),
                    ];
                    let shape = [sizes.outputs, columns, window];
                    let is_in_place = tile.samples.len() == 1;
                    let (product_out, stride) = if is_in_place {
                        (out.at(tile.start(sizes)), positions)
                    } else {
                        sums.resize(sizes.outputs * columns, 0.0);
                        (sums.as_mut_ptr(), columns)
                    };
                    product(
                        shape,
                        product_out,
                        stride,
                        Onto::Nothing,
                        factors,
                        1.0,
                        Par::Seq,
                    );
                    tile.rows(sizes, |channel, place, from| {
                        let row = out.at(place.start);
                        if !is_in_place {
                            let sums = &sums[channel * columns..][from];
                            row.copy_from_nonoverlapping(sums.as_ptr(), sums.len());
                        }
                        let row = std::slice::from_raw_parts_mut(row, place.len());
                        let scale = scale.map_or(1.0, |scale| scale[channel]);
                        let shift = shift.map_or(0.0, |shift| shift[channel]);
                        finish(row, scale, shift, epilogue.rectifies);
                    });
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
    use burn::tensor::backend::Backend;
    use burn::tensor::{Tensor, Tolerance};
    use burn_autodiff::Autodiff;
    use burn_flex::Flex;

    use crate::convolution;
    use crate::testing::{uniform, values};

    /// Several tasks of some samples each, the last of fewer.
    const BATCH: usize = 19;

    struct Case {
        channels: [usize; 2],
        kernel: [usize; 2],
        stride: usize,
        /// Above, to the left, below and to the right.
        padding: [usize; 4],
        image: [usize; 2],
    }

    impl Case {
        fn layer<B: Backend>(&self) -> Conv2d<B> {
            let [top, left, bottom, right] = self.padding;
            let config = Conv2dConfig::new(self.channels, self.kernel)
                .with_stride([self.stride; 2])
                .with_padding(PaddingConfig2d::Explicit(top, left, bottom, right));
            config.init(&Default::default())
        }
    }

    fn cases() -> [Case; 9] {
        let case = |channels, kernel, stride, padding, image| Case {
            channels,
            kernel,
            stride,
            padding,
            image,
        };
        [
            case([5, 7], [1, 1], 1, [0; 4], [9, 11]),
            case([5, 7], [1, 1], 2, [0; 4], [9, 11]),
            case([3, 4], [3, 3], 1, [1; 4], [6, 5]),
            case([3, 4], [3, 3], 2, [0; 4], [7, 9]),
            case([3, 4], [3, 3], 2, [0, 0, 1, 1], [8, 8]),
            case([2, 3], [1, 7], 1, [0, 3, 0, 3], [4, 5]),
            case([2, 3], [7, 1], 1, [3, 0, 3, 0], [2, 40]),
            // More positions than a tile has.
            case([70, 2], [5, 5], 1, [2; 4], [40, 33]),
            case([5, 7], [3, 3], 2, [1; 4], [8, 8]),
        ]
    }

    #[test]
    fn it_is_burns_and_what_follows() {
        println!("device: flex");
        for case in cases() {
            let layer = case.layer();
            let [inputs, outputs] = case.channels;
            let [height, width] = case.image;
            let x = uniform::<Flex, 4>([BATCH, inputs, height, width]);
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
    fn gradients_are_burns() {
        println!("device: flex");
        for case in cases() {
            let [inputs, outputs] = case.channels;
            let [height, width] = case.image;
            let layer = case.layer::<Autodiff<Flex>>();
            let x = uniform::<Flex, 4>([BATCH, inputs, height, width]);
            let gradients = |ours: bool| {
                let x = Tensor::from_inner(x.clone()).require_grad();
                let output = if ours {
                    convolution(x.clone(), &layer, None, false)
                } else {
                    layer.forward(x.clone())
                };
                let weights = uniform(output.dims());
                let gradients = (output * weights).sum().backward();
                let bias = layer.bias.as_ref().unwrap();
                let of_bias = bias.grad(&gradients).unwrap();
                let of_weight = layer.weight.grad(&gradients).unwrap();
                [
                    values(x.grad(&gradients).unwrap()),
                    values(of_weight),
                    values(of_bias),
                ]
            };
            let ([x, weight, bias], [of_x, of_weight, of_bias]) =
                (gradients(true), gradients(false));
            assert_eq!(bias.len(), outputs);
            for (found, expected) in [(x, of_x), (weight, of_weight), (bias, of_bias)] {
                assert_eq!(found.len(), expected.len());
                let norm =
                    |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
                let pairs = found.iter().zip(&expected);
                let difference = norm(&mut pairs.map(|(a, b)| f64::from(a - b)));
                let relative = (difference / norm(&mut expected.iter().map(|&x| x.into()))).sqrt();
                assert!(relative < 1e-5, "{relative}");
            }
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
