//! Products of single-precision rows with packed factors, added up in single precision. With a bfloat16 factor rows are
//! rounded where they enter a product, so that hidden states, sums and norms keep all their digits.
//!
//! `gemm` and `faer` have no product in bfloat16, and the bindings of oneDNN build oneDNN; so it is written here, on the
//! instructions of AVX-512 BF16. Where the processor has none, the same numbers are rounded and multiplied in single
//! precision. In single precision the same walk over a factor packed once saves `faer`'s packing and passes over memory;
//! where the processor lacks AVX-512, `faer` is what there is.

mod block;
#[cfg(test)]
mod block_tests;
mod format;
mod kept;
mod pairs;
mod panel;
mod rows;
mod tile;

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::product::View;
use super::{Elements, Output, added_to, tensor_from, written};
use crate::NormParameters;
use block::block_of;
pub(super) use block::{attention_onto, joined, mlp_onto};
pub(super) use format::{Format, Half, Single};
use kept::Packed;
pub(super) use pairs::Source;
pub(super) use panel::Panel;
use rows::RowSource;
pub(super) use rows::Rows;
pub(super) use tile::{Out, Target};

/// Columns of a panel: four registers of sixteen.
pub(super) const COLUMNS: usize = 64;

/// What becomes of rows before they enter a product.
pub(super) enum RowInput {
    /// They are taken as they are.
    Plain,
    /// They are normalised with this scale, shift and epsilon.
    Norm(Box<[Elements; 2]>, f32),
    /// They go through GELU.
    Gelu,
}

impl RowInput {
    /// Normalisation of rows of `width` values.
    pub(super) fn norm(parameters: NormParameters<FlexTensor>, width: usize) -> Self {
        let affine = [parameters.scale, parameters.shift].map(Elements::new);
        for values in &affine {
            assert_eq!(values.slice().len(), width, "a norm as wide as its rows");
        }
        Self::Norm(Box::new(affine), parameters.epsilon as f32)
    }
}

/// `f(x) W + b` of `x` `[rows, inputs]` and the bfloat16 weight `[inputs, outputs]`.
pub(super) fn forward(
    x: FlexTensor,
    input: &RowInput,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
) -> FlexTensor {
    let [rows, inputs] = x.shape().dims();
    let outputs = outputs_of(&weight, inputs);
    let (x, weight, bias) = (
        Elements::new(x),
        Elements::new(weight),
        bias.map(Elements::new),
    );
    let factor = View::new(weight.halves(), 0, outputs);
    let bias = bias.as_ref().map(Elements::slice);
    let x = RowSource::Rows(x.slice(), input);
    fresh(&x, [rows, outputs, inputs], factor, bias)
}

/// [`forward`] added onto `onto` `[rows, outputs]`, in place where nobody else holds it.
pub(super) fn onto(
    x: FlexTensor,
    input: &RowInput,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    onto: FlexTensor,
) -> FlexTensor {
    let [rows, inputs] = x.shape().dims();
    let outputs = outputs_of(&weight, inputs);
    let (x, weight, bias) = (
        Elements::new(x),
        Elements::new(weight),
        bias.map(Elements::new),
    );
    assert_eq!(
        onto.layout().num_elements(),
        rows * outputs,
        "what a product is added to has its shape"
    );
    let factor = View::new(weight.halves(), 0, outputs);
    let bias = bias.as_ref().map(Elements::slice);
    let x = RowSource::Rows(x.slice(), input);
    // SAFETY: the product sets every element after it has read it.
    unsafe {
        added_to(onto, |from, out| {
            write(&x, [rows, outputs, inputs], factor, bias, out, Some(from))
        })
    }
}

fn outputs_of(weight: &FlexTensor, inputs: usize) -> usize {
    let [weight_inputs, outputs] = weight.shape().dims();
    assert_eq!(
        inputs, weight_inputs,
        "a weight has a row for each of its inputs"
    );
    outputs
}

/// `grad W^T` of `grad` `[rows, outputs]`: the gradient of the layer's input.
pub(super) fn x_backward(weight: FlexTensor, grad: FlexTensor) -> FlexTensor {
    let [rows, outputs] = grad.shape().dims();
    let [inputs, _] = weight.shape().dims();
    let (grad, weight) = (Elements::new(grad), Elements::new(weight));
    let factor = View::new(weight.halves(), 0, outputs).transposed();
    let grad = RowSource::Rows(grad.slice(), &RowInput::Plain);
    fresh(&grad, [rows, inputs, outputs], factor, None)
}

/// `x^T grad` of `x` `[rows, inputs]` and `grad` `[rows, outputs]`, both rounded: the gradient of the layer's weight.
pub(super) fn weight_backward(x: FlexTensor, grad: FlexTensor) -> FlexTensor {
    let [rows, inputs] = x.shape().dims();
    let [_, outputs] = grad.shape().dims();
    let (grad, x) = (Elements::new(grad), Elements::new(x));
    let factor = View::new(grad.slice(), 0, outputs);
    let x = RowSource::Columns(x.slice());
    fresh(&x, [inputs, outputs, rows], factor, None)
}

/// A product of these sizes in memory of its own.
fn fresh<T: Source>(
    rows: &RowSource<'_>,
    sizes: [usize; 3],
    factor: View<T>,
    bias: Option<&[f32]>,
) -> FlexTensor {
    let [count, columns, _] = sizes;
    // SAFETY: the product sets every element.
    let values = unsafe {
        written(count * columns, |out| {
            let out = Output(out.as_mut_ptr().cast());
            write(rows, sizes, factor, bias, out, None);
        })
    };
    tensor_from(values, Shape::new([count, columns]))
}

/// Writes the product of `rows` and a factor, of so many rows, columns and inputs, on all cores. The rows of a task stay
/// in its core's cache, and the packed columns pass by.
///
/// # Safety
/// `out` must be valid for writes of all columns of all rows, and what the product is added to for reads.
unsafe fn write<T: Source>(
    rows: &RowSource<'_>,
    [count, columns, inputs]: [usize; 3],
    factor: View<T>,
    bias: Option<&[f32]>,
    out: Output,
    onto: Option<Output>,
) {
    if let Some(bias) = bias {
        assert_eq!(bias.len(), columns, "a bias for each output");
    }
    let packed = Packed::<Half>::new([inputs, columns], |columns, out| {
        pairs::pack(factor, 0..inputs, columns, out);
    });
    let block = block_of(count);
    let blocks = count.div_ceil(block);
    // Where there are fewer blocks than cores, these share the columns of a block.
    let panels = columns.div_ceil(COLUMNS);
    let shares = (rayon::current_num_threads() / blocks.max(1)).max(1);
    let share = panels.div_ceil(shares).max(1);
    let shares = panels.div_ceil(share);
    (0..blocks * shares).into_par_iter().for_each_init(
        Default::default,
        |(scratch, units), task| {
            let start = task / shares * block;
            let range = start..count.min(start + block);
            let units = rows.take(range.clone(), [count, inputs], (scratch, units));
            let target = Target {
                scale: 1.0,
                bias,
                gelu: false,
                onto: onto.map(|onto| onto.at(0).cast_const()),
                out: Out::Single(out.at(0)),
                stride: columns,
            };
            let panels = packed.panels().skip(task % shares * share).take(share);
            for (first, panel) in panels {
                let target = target.moved(start * columns + first, first..first + panel.count);
                // SAFETY: tasks write disjoint blocks of rows and columns, which lie within `out`.
                unsafe { panel.product_anywhere(units, 0..range.len(), target) };
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, FloatDType, Tensor, bf16};
    use burn_autodiff::Autodiff;
    use burn_flex::Flex;

    use crate::testing::{uniform, values};
    use crate::{
        gelu, gelu_linear_onto, layer_norm, linear, linear_onto, norm_linear, self_attention,
    };

    // Not by a cast of Flex's, which rounds twice.
    fn rounded<const D: usize>(tensor: Tensor<Flex, D>) -> Vec<f32> {
        let values = values(tensor).into_iter();
        values.map(|value| bf16::from_f32(value).to_f32()).collect()
    }

    fn assert_close<const D: usize>(
        what: &str,
        found: Tensor<Flex, D>,
        expected: &[f32],
        terms: usize,
    ) {
        let found = values(found);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.into_iter().zip(expected) {
            let error = (found - expected).abs();
            assert!(
                error < 1e-5 * (terms as f32).sqrt(),
                "{what}, sums of {terms}: {found} for {expected}"
            );
        }
    }

    /// Products of rounded factors in double precision, and what ours are.
    fn assert_product([rows, inputs, outputs]: [usize; 3]) {
        let x = uniform::<Flex, 3>([1, rows, inputs]);
        let weight = uniform::<Flex, 2>([inputs, outputs]).cast(FloatDType::BF16);
        let bias = uniform::<Flex, 1>([outputs]);
        let base = uniform::<Flex, 3>([1, rows, outputs]);
        let weights = values(weight.clone().cast(FloatDType::F32));
        let expect = |x: Tensor<Flex, 3>, start: &dyn Fn(usize, usize) -> f32| {
            let x = rounded(x);
            let mut expected = Vec::new();
            for row in 0..rows {
                for column in 0..outputs {
                    let terms = (0..inputs).map(|input| {
                        f64::from(x[row * inputs + input])
                            * f64::from(weights[input * outputs + column])
                    });
                    expected.push((f64::from(start(row, column)) + terms.sum::<f64>()) as f32);
                }
            }
            expected
        };
        let close = |what: &str, found: Tensor<Flex, 3>, expected: Vec<f32>| {
            assert_close(what, found, &expected, inputs);
        };
        let biases = values(bias.clone());
        let bases = values(base.clone());
        close(
            "bias",
            linear(x.clone(), weight.clone(), Some(bias.clone())),
            expect(x.clone(), &|_, column| biases[column]),
        );
        close(
            "plain",
            linear(x.clone(), weight.clone(), None),
            expect(x.clone(), &|_, _| 0.0),
        );
        close(
            "onto",
            linear_onto(x.clone(), weight.clone(), None, base.clone()),
            expect(x.clone(), &|row, column| bases[row * outputs + column]),
        );
        let both = |row: usize, column: usize| bases[row * outputs + column] + biases[column];
        close(
            "gelu",
            gelu_linear_onto(x.clone(), weight.clone(), Some(bias.clone()), base),
            expect(gelu(x.clone()), &both),
        );
        let [scale, shift] = [(); 2].map(|()| uniform::<Flex, 1>([inputs]));
        close(
            "norm",
            norm_linear(
                x.clone(),
                scale.clone(),
                shift.clone(),
                1e-5,
                weight,
                Some(bias),
            ),
            expect(layer_norm(x, scale, shift, 1e-5), &|_, column| {
                biases[column]
            }),
        );
    }

    /// Both gradients of a product as products of rounded factors in double precision, and what ours are.
    fn assert_gradients([rows, inputs, outputs]: [usize; 3]) {
        let x = uniform::<Flex, 3>([1, rows, inputs]);
        let weight = uniform::<Flex, 2>([inputs, outputs]).cast(FloatDType::BF16);
        let grad = uniform::<Flex, 3>([1, rows, outputs]);
        let tracked_x = Tensor::<Autodiff<Flex>, 3>::from_inner(x.clone()).require_grad();
        let tracked = Tensor::<Autodiff<Flex>, 2>::from_inner(weight.clone()).require_grad();
        let output = linear(tracked_x.clone(), tracked.clone(), None);
        let gradients = (output * Tensor::from_inner(grad.clone())).sum().backward();
        let (x, grad) = (rounded(x), rounded(grad));
        let weights = values(weight.cast(FloatDType::F32));
        let sum = |count: usize, term: &dyn Fn(usize) -> [f32; 2]| {
            let products = (0..count).map(term).map(|pair| pair.map(f64::from));
            products.map(|[a, b]| a * b).sum::<f64>() as f32
        };
        let (mut for_x, mut for_weight) = (Vec::new(), Vec::new());
        for row in 0..rows {
            for input in 0..inputs {
                for_x.push(sum(outputs, &|output| {
                    [
                        grad[row * outputs + output],
                        weights[input * outputs + output],
                    ]
                }));
            }
        }
        for input in 0..inputs {
            for output in 0..outputs {
                for_weight.push(sum(rows, &|row| {
                    [x[row * inputs + input], grad[row * outputs + output]]
                }));
            }
        }
        assert_close(
            "input",
            tracked_x.grad(&gradients).unwrap(),
            &for_x,
            outputs,
        );
        let found = tracked.grad(&gradients).unwrap();
        assert_eq!(found.dtype(), DType::F32, "sums keep all their digits");
        assert_close("weight", found, &for_weight, rows);
    }

    #[test]
    fn gradients_are_products_of_rounded_factors() {
        println!("device: flex");
        // As below, and more rows than are multiplied at once.
        for sizes in [
            [12, 64, 128],
            [7, 33, 70],
            [1, 5, 3],
            [2100, 6, 9],
            [129, 65, 67],
        ] {
            assert_gradients(sizes);
        }
    }

    #[test]
    fn attention_of_rounded_factors_is_close_to_that_in_single_precision() {
        println!("device: flex");
        // Whole panels, ragged ones, odd tokens and heads of odd width.
        for (tokens, heads, width) in [(64, 2, 128), (65, 3, 27), (130, 1, 70)] {
            let qkv = uniform::<Flex, 3>([2, tokens, 3 * width]) * 2.0;
            let grad = uniform::<Flex, 3>([2, tokens, width]);
            let [single, half] = [DType::F32, DType::BF16].map(|products| {
                let qkv = Tensor::<Autodiff<Flex>, 3>::from_inner(qkv.clone()).require_grad();
                let output = self_attention(qkv.clone(), heads, products);
                let loss = (output.clone() * Tensor::from_inner(grad.clone())).sum();
                let gradient = qkv.grad(&loss.backward()).unwrap();
                [output.inner(), gradient]
            });
            for (single, half) in single.into_iter().zip(half) {
                let difference = (half - single.clone()).square().sum() / single.square().sum();
                let difference = difference.into_scalar().sqrt();
                println!("{tokens} tokens: {difference:.1e}");
                assert!((1e-5..5e-3).contains(&difference), "{difference}");
            }
        }
    }

    #[test]
    fn products_are_those_of_rounded_factors() {
        println!("device: flex");
        // Whole panels, ragged ones, odd inputs, one row, more rows than a task has.
        for sizes in [
            [12, 64, 128],
            [7, 33, 70],
            [1, 5, 3],
            [300, 48, 16],
            [129, 2, 65],
            [5, 2050, 66],
        ] {
            assert_product(sizes);
        }
    }

    #[test]
    fn a_part_of_a_weight_is_taken_as_it_is() {
        println!("device: flex");
        let weight = uniform::<Flex, 2>([64, 32]).cast(FloatDType::BF16);
        let x = uniform::<Flex, 3>([2, 5, 32]);
        let part = weight.clone().narrow(0, 32, 32);
        let copy = Tensor::<Flex, 2>::from_data(part.to_data(), &Default::default());
        let copy = copy.cast(FloatDType::BF16);
        let [found, expected] = [part, copy].map(|weight| values(linear(x.clone(), weight, None)));
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_number_stays_none() {
        println!("device: flex");
        let weight = uniform::<Flex, 2>([4, 4]).cast(FloatDType::BF16);
        for bad in [f32::NAN, -f32::NAN, f32::from_bits(0x7fff_ffff)] {
            let x = Tensor::<Flex, 1>::from_floats([0.5, bad, 0.5, 0.5], &Default::default());
            let found = values(linear(x.reshape([1, 1, 4]), weight.clone(), None));
            assert!(found.iter().all(|value| value.is_nan()), "{found:?}");
        }
    }
}
