//! The kernels agree with their formulas on every device, forward and backward.

use adadiff_backends::{DeviceTask, run_on};
use adadiff_model::kernels::{self, Kernels};
use adadiff_tests::{
    Draw, Named, announce, assert_close, devices_under_test, reference_device, values,
};
use anyhow::Result;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_autodiff::Autodiff;

use crate::plain;

const EPSILON: f64 = 1e-5;

/// Of the largest expected value, or of one where that is smaller: some hundred roundings.
const TOLERANCE: f32 = 1e-5;

#[derive(Clone, Copy, Debug)]
enum Operation {
    Gelu,
    Sigmoid,
    LayerNorm,
    Linear { outputs: usize, bias: bool },
    LinearOnto { outputs: usize, bias: bool },
    GeluLinearOnto { outputs: usize, bias: bool },
    NormLinear { outputs: usize, bias: bool },
    SelfAttention { heads: usize },
    MeanSigmoid { outputs: usize, skipped: usize },
    MeanCosine { skipped: usize },
}

/// How inputs and the incoming gradient lie in memory.
#[derive(Clone, Copy, Debug)]
enum Layout {
    /// Inputs and gradient in order.
    Contiguous,
    /// Inputs cut out of larger tensors, and one gradient value for all elements.
    Sliced,
    /// Inputs and gradient with their axes swapped.
    Transposed,
}

/// An operation on one input.
#[derive(Clone, Copy, Debug)]
struct Case {
    operation: Operation,
    shape: [usize; 3],
    layout: Layout,
    magnitude: f64,
}

/// Computes output and gradients of a case, by the kernel or by the formula.
#[derive(Clone, Copy, Debug)]
struct Evaluate {
    case: Case,
    by_formula: bool,
}

/// Tensors that require gradients, by name.
struct Inputs<'a, B: Backend> {
    draw: Draw,
    layout: Layout,
    device: &'a B::Device,
}

impl<B: Backend> Inputs<'_, B> {
    /// A stored tensor and the view of it that is computed with.
    fn draw<const D: usize>(
        &mut self,
        shape: [usize; D],
        magnitude: f64,
    ) -> (Tensor<B, D>, Tensor<B, D>) {
        let mut stored_shape = shape;
        match self.layout {
            Layout::Contiguous => {}
            Layout::Sliced => stored_shape.iter_mut().for_each(|size| *size += 2),
            Layout::Transposed if D >= 2 => stored_shape.swap(D - 2, D - 1),
            Layout::Transposed => {}
        }
        let stored = self.draw.normal::<B, D>(stored_shape, self.device) * magnitude;
        let stored = stored.detach().require_grad();
        let view = match self.layout {
            Layout::Contiguous => stored.clone(),
            Layout::Sliced => stored.clone().slice(shape.map(|size| 1..size + 1)),
            Layout::Transposed if D >= 2 => stored.clone().swap_dims(D - 2, D - 1),
            Layout::Transposed => stored.clone(),
        };
        (stored, view)
    }
}

impl DeviceTask for Evaluate {
    type Output = Result<Named>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<Named> {
        let Case {
            operation,
            shape,
            layout,
            magnitude,
        } = self.case;
        let mut inputs = Inputs::<Autodiff<B>> {
            draw: Draw::new(1),
            layout,
            device: &device,
        };
        let (stored, x) = inputs.draw(shape, magnitude);
        let width = shape[2];
        let mut vectors = Vec::new();
        let mut matrices = Vec::new();
        let mut wholes = Vec::new();
        // What exits call has a kernel of its own without a graph, whose output is compared as well.
        let mut without_graph = None;
        let output = match operation {
            Operation::Gelu if self.by_formula => plain::gelu(x),
            Operation::Gelu => kernels::gelu(x),
            Operation::Sigmoid if self.by_formula => plain::sigmoid(x),
            Operation::Sigmoid => kernels::sigmoid(x),
            Operation::LayerNorm => {
                let (stored_scale, scale) = inputs.draw([width], 1.0);
                let (stored_shift, shift) = inputs.draw([width], 1.0);
                vectors.extend([("scale", stored_scale), ("shift", stored_shift)]);
                if self.by_formula {
                    plain::layer_norm(x, scale, shift, EPSILON)
                } else {
                    kernels::layer_norm(x, scale, shift, EPSILON)
                }
            }
            Operation::Linear { outputs, bias }
            | Operation::LinearOnto { outputs, bias }
            | Operation::GeluLinearOnto { outputs, bias }
            | Operation::NormLinear { outputs, bias } => {
                let (stored_weight, weight) = inputs.draw([width, outputs], 1.0);
                matrices.push(("weight", stored_weight));
                let bias = bias.then(|| inputs.draw([outputs], 1.0));
                let bias = bias.map(|(stored, bias)| {
                    vectors.push(("bias", stored));
                    bias
                });
                let [batch, count, _] = shape;
                let mut onto = || {
                    let (stored, onto) = inputs.draw([batch, count, outputs], 1.0);
                    wholes.push(("onto", stored));
                    onto
                };
                match operation {
                    Operation::LinearOnto { .. } if self.by_formula => {
                        plain::linear(x, weight, bias) + onto()
                    }
                    Operation::LinearOnto { .. } => kernels::linear_onto(x, weight, bias, onto()),
                    Operation::GeluLinearOnto { .. } if self.by_formula => {
                        plain::linear(plain::gelu(x), weight, bias) + onto()
                    }
                    Operation::GeluLinearOnto { .. } => {
                        kernels::gelu_linear_onto(x, weight, bias, onto())
                    }
                    Operation::NormLinear { .. } => {
                        let (stored_scale, scale) = inputs.draw([width], 1.0);
                        let (stored_shift, shift) = inputs.draw([width], 1.0);
                        vectors.extend([("scale", stored_scale), ("shift", stored_shift)]);
                        if self.by_formula {
                            let rows = plain::layer_norm(x, scale, shift, EPSILON);
                            plain::linear(rows, weight, bias)
                        } else {
                            kernels::norm_linear(x, scale, shift, EPSILON, weight, bias)
                        }
                    }
                    _ if self.by_formula => plain::linear(x, weight, bias),
                    _ => kernels::linear(x, weight, bias),
                }
            }
            Operation::SelfAttention { heads } if self.by_formula => {
                plain::self_attention(x, heads)
            }
            Operation::SelfAttention { heads } => {
                let products = x.dtype();
                kernels::self_attention(x, heads, products)
            }
            Operation::MeanSigmoid { outputs, skipped } => {
                let [batch, count, _] = shape;
                let (stored_weight, weight) = inputs.draw([width, outputs], 1.0);
                let (stored_biases, biases) = inputs.draw([batch, outputs], 1.0);
                matrices.extend([("weight", stored_weight), ("biases", stored_biases)]);
                let means = if self.by_formula {
                    let logits = plain::linear(x, weight, None);
                    let values = plain::sigmoid(logits + biases.reshape([batch, 1, outputs]));
                    let counted = values.narrow(1, skipped, count - skipped);
                    counted.mean_dim(2).mean_dim(1)
                } else {
                    let inner = (
                        x.clone().inner(),
                        weight.clone().inner(),
                        biases.clone().inner(),
                    );
                    let means = kernels::mean_sigmoid(inner.0, inner.1, inner.2, skipped);
                    without_graph = Some(values::<B, 1>(means * 100.0));
                    let means = kernels::mean_sigmoid(x, weight, biases, skipped);
                    means.reshape([batch, 1, 1])
                };
                means * 100.0 // the tolerance is for values of about one
            }
            Operation::MeanCosine { skipped } => {
                let [batch, ..] = shape;
                let (stored_other, other) = inputs.draw(shape, magnitude);
                wholes.push(("the other", stored_other));
                let means = if self.by_formula {
                    let unit = |rows: Tensor<Autodiff<B>, 3>| {
                        let norm = rows.clone().powf_scalar(2.0).sum_dim(2).sqrt();
                        rows / norm
                    };
                    let cosines = (unit(x) * unit(other)).sum_dim(2);
                    let [_, count, _] = shape;
                    let counted = cosines.narrow(1, skipped, count - skipped);
                    counted.mean_dim(1)
                } else {
                    let inner = (x.clone().inner(), other.clone().inner());
                    let means = kernels::mean_cosine(inner.0, inner.1, skipped);
                    without_graph = Some(values::<B, 1>(means * 100.0));
                    kernels::mean_cosine(x, other, skipped).reshape([batch, 1, 1])
                };
                means * 100.0
            }
        };

        let values_of_output = values(output.clone());
        let without_graph = without_graph.unwrap_or_else(|| values_of_output.clone());
        let mut found = vec![
            ("output".to_owned(), values_of_output),
            ("output without a graph".to_owned(), without_graph),
        ];
        let [batch, tokens, width] = output.dims();
        let loss = match layout {
            Layout::Contiguous => {
                (output * Draw::new(2).normal([batch, tokens, width], &device)).sum()
            }
            Layout::Sliced => output.sum(),
            Layout::Transposed => {
                let weights = Draw::new(2).normal([batch, width, tokens], &device);
                (output.swap_dims(1, 2) * weights).sum()
            }
        };
        let gradients = loss.backward();
        found.extend(
            stored
                .grad(&gradients)
                .map(|grad| ("gradient of x".into(), values(grad))),
        );
        for (name, stored) in &matrices {
            let gradient = stored.grad(&gradients);
            found.extend(gradient.map(|grad| (format!("gradient of {name}"), values(grad))));
        }
        for (name, stored) in &vectors {
            let gradient = stored.grad(&gradients);
            found.extend(gradient.map(|grad| (format!("gradient of {name}"), values(grad))));
        }
        for (name, stored) in &wholes {
            let gradient = stored.grad(&gradients);
            found.extend(gradient.map(|grad| (format!("gradient of {name}"), values(grad))));
        }
        assert_eq!(
            found.len(),
            3 + matrices.len() + vectors.len() + wholes.len(),
            "a gradient is missing"
        );
        Ok(found)
    }
}

/// Compares every device's kernel with the formula on the reference device.
fn compare(test: &str, operation: Operation, inputs: &[([usize; 3], f64)]) {
    let devices = devices_under_test();
    announce(test, &devices);
    for &(shape, magnitude) in inputs {
        for layout in [Layout::Contiguous, Layout::Sliced, Layout::Transposed] {
            let case = Case {
                operation,
                shape,
                layout,
                magnitude,
            };
            let expected = run_on(
                reference_device(),
                Evaluate {
                    case,
                    by_formula: true,
                },
            )
            .unwrap();
            for &device in &devices {
                let found = run_on(
                    device,
                    Evaluate {
                        case,
                        by_formula: false,
                    },
                )
                .unwrap();
                assert_eq!(found.len(), expected.len());
                for ((name, found), (_, expected)) in found.iter().zip(&expected) {
                    let largest = expected.iter().fold(1.0, |a: f32, b| a.max(b.abs()));
                    let what = format!("{case:?} on {device}, {name}");
                    assert_close(&what, found, expected, TOLERANCE * largest);
                }
            }
        }
    }
}

// Shapes: odd sizes, a single value, rows that fill no vector register, and enough elements or rows
// that the work is split between threads.

#[test]
fn gelu_is_its_formula() {
    let inputs = [
        ([3, 7, 20], 3.0),
        ([1, 1, 1], 1.0),
        ([2, 5, 17], 30.0),
        ([2, 100, 101], 1.0),
    ];
    compare("gelu_is_its_formula", Operation::Gelu, &inputs);
}

#[test]
fn sigmoid_is_its_formula() {
    let inputs = [
        ([3, 7, 20], 3.0),
        ([1, 1, 1], 1.0),
        ([2, 5, 17], 10.0),
        ([2, 100, 101], 1.0),
    ];
    compare("sigmoid_is_its_formula", Operation::Sigmoid, &inputs);
}

#[test]
fn layer_norm_is_its_formula() {
    let inputs = [
        ([3, 7, 20], 1.0),
        ([1, 1, 3], 1.0),
        ([3, 50, 37], 10.0),
        ([1, 2, 256], 0.1),
    ];
    compare("layer_norm_is_its_formula", Operation::LayerNorm, &inputs);
}

#[test]
fn linear_is_its_formula() {
    for (outputs, bias) in [(33, true), (5, false), (1, true)] {
        let inputs = [([3, 7, 20], 1.0), ([1, 1, 16], 1.0), ([3, 100, 3], 1.0)];
        compare(
            "linear_is_its_formula",
            Operation::Linear { outputs, bias },
            &inputs,
        );
    }
    let large = [([4, 100, 140], 1.0)];
    for bias in [true, false] {
        compare(
            "linear_is_its_formula",
            Operation::Linear { outputs: 140, bias },
            &large,
        );
    }
}

#[test]
fn joined_operations_are_their_formulas() {
    for (operation, sizes) in [
        (
            Operation::LinearOnto {
                outputs: 33,
                bias: false,
            },
            [4, 100, 140],
        ),
        (
            Operation::GeluLinearOnto {
                outputs: 33,
                bias: true,
            },
            [4, 100, 140],
        ),
        (
            Operation::NormLinear {
                outputs: 33,
                bias: false,
            },
            [3, 7, 20],
        ),
        (
            Operation::NormLinear {
                outputs: 33,
                bias: true,
            },
            [4, 100, 140],
        ),
    ] {
        compare(
            "joined_operations_are_their_formulas",
            operation,
            &[(sizes, 1.0)],
        );
    }
}

#[test]
fn self_attention_is_its_formula() {
    for heads in [1, 2, 5] {
        let inputs = [
            ([3, 7, 60], 1.0),
            ([1, 1, 30], 1.0),
            ([2, 33, 30], 3.0),
            ([1, 16, 60], 2.0),
        ];
        compare(
            "self_attention_is_its_formula",
            Operation::SelfAttention { heads },
            &inputs,
        );
    }
}

#[test]
fn mean_sigmoid_is_its_formula() {
    for (outputs, skipped) in [(5, 0), (16, 1), (33, 2)] {
        let inputs = [([3, 7, 20], 1.0), ([1, 3, 16], 3.0), ([20, 66, 128], 0.3)];
        compare(
            "mean_sigmoid_is_its_formula",
            Operation::MeanSigmoid { outputs, skipped },
            &inputs,
        );
    }
}

#[test]
fn mean_cosine_is_its_formula() {
    for skipped in [0, 2] {
        let inputs = [([3, 7, 20], 1.0), ([1, 3, 16], 3.0), ([20, 66, 128], 0.3)];
        compare(
            "mean_cosine_is_its_formula",
            Operation::MeanCosine { skipped },
            &inputs,
        );
    }
}
