//! Products of single-precision rows with bfloat16 weights, added up in single precision: rows are rounded
//! where they enter a product, so that hidden states, sums and norms keep all their digits.
//!
//! `gemm` and `faer` have no such product, and the bindings of oneDNN build oneDNN; so it is written here, on the
//! instructions of AVX-512 BF16. Where the processor has none, the same numbers are rounded and multiplied in single
//! precision.

mod panel;
mod rows;

use burn::tensor::{Shape, TensorMetadata, bf16};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::product::{Operand, add_product};
use super::{Elements, Output, changed, tensor_from, written};
use panel::{COLUMNS, Panel, Target};
use rows::Rows;

/// What becomes of rows before they are rounded.
pub(super) enum RowInput {
    /// They are taken as they are.
    Plain,
    /// They are normalised with this scale, shift and epsilon.
    Norm(Box<[Elements; 2]>, f32),
    /// They go through GELU.
    Gelu,
}

/// Rows of a task at least: fewer are not worth packing a panel of the weight for.
const LEAST_ROWS: usize = 96;

/// Tasks for each thread, so that all end at about the same time.
const TASKS: usize = 4;

/// Whether the processor has the instructions.
pub(super) fn is_fast() -> bool {
    panel::is_supported()
}

/// `f(x) W + b` of `x` `[rows, inputs]` and the bfloat16 weight `[inputs, outputs]`.
pub(super) fn forward(
    x: FlexTensor,
    input: &RowInput,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
) -> FlexTensor {
    let product = Product::new(x, input, weight, bias);
    let [rows, outputs] = [product.rows.count(), product.outputs];
    // SAFETY: the product sets every element.
    let values = unsafe {
        written(rows * outputs, |out| {
            product.write(Output(out.as_mut_ptr().cast()), false);
        })
    };
    tensor_from(values, Shape::new([rows, outputs]))
}

/// [`forward`] added onto `onto` `[rows, outputs]`, in place where nobody else holds it.
pub(super) fn onto(
    x: FlexTensor,
    input: &RowInput,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    onto: FlexTensor,
) -> FlexTensor {
    let product = Product::new(x, input, weight, bias);
    let length = product.rows.count() * product.outputs;
    let mut out = changed(onto, length.max(1), |_| ());
    let values = out.storage_mut::<f32>();
    assert_eq!(
        values.len(),
        length,
        "what a product is added to has its shape"
    );
    // SAFETY: the values are borrowed mutably, and all of them are set.
    unsafe { product.write(Output(values.as_mut_ptr()), true) };
    out
}

struct Product {
    rows: Rows,
    weight: FlexTensor,
    bias: Option<Elements>,
    outputs: usize,
}

impl Product {
    fn new(x: FlexTensor, input: &RowInput, weight: FlexTensor, bias: Option<FlexTensor>) -> Self {
        let [_, inputs] = x.shape().dims();
        let [weight_inputs, outputs] = weight.shape().dims();
        assert_eq!(
            inputs, weight_inputs,
            "a weight has a row for each of its inputs"
        );
        let bias = bias.map(Elements::new);
        let outputs_of_bias = bias.as_ref().map_or(outputs, |bias| bias.slice().len());
        assert_eq!(outputs, outputs_of_bias, "a bias for each output");
        Self {
            rows: Rows::new(&Elements::new(x), inputs, input),
            weight,
            bias,
            outputs,
        }
    }

    /// # Safety
    /// `out` must be valid for writes of all outputs of all rows and, where `adds`, hold values.
    unsafe fn write(self, out: Output, adds: bool) {
        let Self {
            rows,
            weight,
            bias,
            outputs,
        } = self;
        let weight = Elements::new(weight);
        let weight = weight.halves();
        let bias: Option<&[f32]> = bias.as_ref().map(Elements::slice);
        if !is_fast() {
            // SAFETY: the caller's promise.
            return unsafe { in_single_precision(&rows, weight, outputs, bias, out, adds) };
        }
        let panels = outputs.div_ceil(COLUMNS);
        let blocks = (TASKS * rayon::current_num_threads()).div_ceil(panels.max(1));
        let block = rows.count().div_ceil(blocks.max(1)).max(LEAST_ROWS);
        let blocks = rows.count().div_ceil(block);
        (0..panels * blocks)
            .into_par_iter()
            .for_each_init(Panel::default, |panel, task| {
                let first = task / blocks * COLUMNS;
                panel.pack(weight, outputs, first);
                let start = task % blocks * block;
                let target = Target {
                    bias: bias.map(|bias| &bias[first..outputs.min(first + COLUMNS)]),
                    out: out.at(start * outputs + first),
                    stride: outputs,
                    adds,
                };
                // SAFETY: tasks write disjoint blocks of rows and columns, which lie within `out`, and the
                // processor has the instructions.
                unsafe { panel.multiply(&rows, start..rows.count().min(start + block), target) };
            });
    }
}

/// The same from factors that are rounded alike.
///
/// # Safety
/// As [`Product::write`].
unsafe fn in_single_precision(
    rows: &Rows,
    weight: &[bf16],
    outputs: usize,
    bias: Option<&[f32]>,
    out: Output,
    adds: bool,
) {
    let length = rows.count() * outputs;
    let (values, weight) = (
        rows.single(),
        weight.iter().map(|w| w.to_f32()).collect::<Vec<_>>(),
    );
    if !adds {
        // SAFETY: the caller's promise; zero is a value of every element.
        unsafe { std::ptr::write_bytes(out.at(0), 0, length) };
    }
    // SAFETY: all elements are set now.
    let out = unsafe { std::slice::from_raw_parts_mut(out.at(0), length) };
    if let Some(bias) = bias {
        for row in out.chunks_exact_mut(outputs) {
            for (value, bias) in row.iter_mut().zip(bias) {
                *value += bias;
            }
        }
    }
    let sizes = [rows.count(), outputs, rows.inputs()];
    add_product(sizes, out, Operand::Plain(&values), Operand::Plain(&weight));
}

#[cfg(test)]
mod tests {
    use burn::tensor::{FloatDType, Tensor, bf16};
    use burn_flex::Flex;

    use crate::kernels::{gelu, gelu_linear_onto, layer_norm, linear, linear_onto, norm_linear};
    use crate::testing::{uniform, values};

    /// Products of rounded factors in double precision, and what ours are.
    fn assert_product([rows, inputs, outputs]: [usize; 3]) {
        let x = uniform::<Flex, 3>([1, rows, inputs]);
        let weight = uniform::<Flex, 2>([inputs, outputs]).cast(FloatDType::BF16);
        let bias = uniform::<Flex, 1>([outputs]);
        let base = uniform::<Flex, 3>([1, rows, outputs]);
        // Not by a cast of Flex's, which rounds twice.
        let rounded = |tensor: Tensor<Flex, 3>| -> Vec<f32> {
            let values = values(tensor).into_iter();
            values.map(|value| bf16::from_f32(value).to_f32()).collect()
        };
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
            for (found, expected) in values(found).into_iter().zip(expected) {
                let error = (found - expected).abs();
                assert!(
                    error < 1e-5 * (inputs as f32).sqrt(),
                    "{what} of {rows} rows of {inputs} to {outputs}: {found} for {expected}"
                );
            }
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
