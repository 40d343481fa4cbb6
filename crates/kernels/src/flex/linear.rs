//! The affine layer: the product is added in place onto the bias or onto what it is to be added to,
//! so that a sum costs no pass of its own.

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use multiversion::multiversion;
use rayon::prelude::*;

use super::product::Operand::{Plain, Transposed};
use super::product::{Operand, add_product, write_product};
use super::{Elements, all_set, changed, copied, tensor_from, written};

/// Rows whose gradients one task adds up. Fixed, so that sums do not depend on the thread count.
const ROWS: usize = 256;

/// `biases` `[groups, outputs]`, or `[outputs]` for a single group, each for an equal run of rows.
pub(super) fn forward(x: FlexTensor, weight: FlexTensor, biases: FlexTensor) -> FlexTensor {
    let [rows, _] = x.shape().dims();
    let [_, outputs] = weight.shape().dims();
    let biases = Elements::new(biases);
    let biases = biases.slice();
    let groups = biases.len() / outputs.max(1);
    assert!(
        groups > 0 && rows.is_multiple_of(groups),
        "{groups} biases do not divide {rows} rows"
    );
    let run = (rows / groups).max(1);
    let product = Product::new(x, weight);
    // SAFETY: a bias is copied to every row before the product is added to them.
    let values = unsafe {
        written(rows * outputs, |out| {
            out.par_chunks_exact_mut(outputs.max(1))
                .with_min_len(ROWS)
                .enumerate()
                .for_each(|(row, out)| {
                    let start = row / run * outputs;
                    copied(out, &biases[start..start + outputs]);
                });
            product.add_to(all_set(out));
        })
    };
    tensor_from(values, Shape::new([rows, outputs]))
}

/// The product and the bias `[outputs]` added onto `onto` `[rows, outputs]`, in place where nobody
/// else holds it.
pub(super) fn onto(
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    onto: FlexTensor,
) -> FlexTensor {
    let [_, outputs] = weight.shape().dims();
    let bias = bias.map(Elements::new);
    let mut out = changed(onto, ROWS * outputs.max(1), |rows| {
        if let Some(bias) = &bias {
            add_to_rows(bias.slice(), rows);
        }
    });
    Product::new(x, weight).add_to(out.storage_mut());
    out
}

/// `x W` of `x` `[rows, inputs]` and the weight `[inputs, outputs]`.
struct Product {
    x: Elements,
    weight: Elements,
    /// Rows, outputs and inputs.
    sizes: [usize; 3],
}

impl Product {
    fn new(x: FlexTensor, weight: FlexTensor) -> Self {
        let [rows, inputs] = x.shape().dims();
        let [weight_inputs, outputs] = weight.shape().dims();
        assert_eq!(
            inputs, weight_inputs,
            "a weight must have a row for each of its inputs"
        );
        Self {
            x: Elements::new(x),
            weight: Elements::new(weight),
            sizes: [rows, outputs, inputs],
        }
    }

    fn add_to(&self, out: &mut [f32]) {
        let (x, weight) = (Plain(self.x.slice()), Plain(self.weight.slice()));
        add_product(self.sizes, out, x, weight);
    }
}

/// `grad W^T`: the gradient of the layer's input.
pub(super) fn x_backward(weight: FlexTensor, grad: FlexTensor) -> FlexTensor {
    let [rows, outputs] = grad.shape().dims();
    let [inputs, _] = weight.shape().dims();
    let (grad, weight) = (Elements::new(grad), Elements::new(weight));
    fresh(
        [rows, inputs, outputs],
        Plain(grad.slice()),
        Transposed(weight.slice()),
    )
}

/// `x^T grad`: the gradient of the layer's weight.
pub(super) fn weight_backward(x: FlexTensor, grad: FlexTensor) -> FlexTensor {
    let [rows, outputs] = grad.shape().dims();
    let [_, inputs] = x.shape().dims();
    let (grad, x) = (Elements::new(grad), Elements::new(x));
    fresh(
        [inputs, outputs, rows],
        Transposed(x.slice()),
        Plain(grad.slice()),
    )
}

/// A product in memory of its own.
fn fresh(sizes: [usize; 3], a: Operand, b: Operand) -> FlexTensor {
    let [m, n, _] = sizes;
    // SAFETY: the product sets every element.
    let values = unsafe { written(m * n, |out| write_product(sizes, out, a, b)) };
    tensor_from(values, Shape::new([m, n]))
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn add_to_rows(bias: &[f32], rows: &mut [f32]) {
    for row in rows.chunks_exact_mut(bias.len()) {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value += bias;
        }
    }
}

pub(super) fn bias_backward(grad: FlexTensor) -> FlexTensor {
    let [_, outputs] = grad.shape().dims();
    let grad = Elements::new(grad);
    let sums: Vec<Vec<f32>> = grad
        .slice()
        .par_chunks(ROWS * outputs)
        .map(|rows| {
            let mut sum = vec![0.0; outputs];
            add_rows(rows, &mut sum);
            sum
        })
        .collect();
    tensor_from(added_up(&sums, outputs), Shape::new([outputs]))
}

/// The sum of sums of so many values each.
pub(super) fn added_up(sums: &[Vec<f32>], length: usize) -> Vec<f32> {
    let mut total = vec![0.0; length];
    for sum in sums {
        add_rows(sum, &mut total);
    }
    total
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn add_rows(rows: &[f32], sum: &mut [f32]) {
    for row in rows.chunks_exact(sum.len().max(1)) {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;
    use burn_flex::Flex;

    use crate::{gelu, linear_onto};

    fn tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<Flex, D> {
        Tensor::<Flex, 1>::from_floats(values, &Default::default()).reshape(shape)
    }

    fn values<const D: usize>(tensor: Tensor<Flex, D>) -> Vec<f32> {
        tensor.into_data().into_vec().unwrap()
    }

    #[test]
    fn what_others_hold_is_not_changed() {
        println!("device: flex");
        let weight = || tensor(&[1.0, 2.0, 3.0, 4.0], [2, 2]);
        let base = || tensor(&[10.0, 20.0, 30.0, 40.0, 50.0, 60.0], [1, 3, 2]);
        let x = base().narrow(1, 0, 2); // a part, from the start of a larger array
        let expected = [80.0, 120.0, 180.0, 260.0];

        let alone = linear_onto(x.clone(), weight(), None, base().narrow(1, 0, 2));
        assert_eq!(values(alone), expected);

        let onto = base();
        let shared = linear_onto(x.clone(), weight(), None, onto.clone().narrow(1, 0, 2));
        assert_eq!(values(shared), expected);
        let itself = linear_onto(onto.clone(), weight(), None, onto.clone());
        assert_eq!(values(itself)[..4], expected);
        let large = gelu(onto.clone());
        assert_eq!(values(large), values(base())); // far from zero GELU changes nothing
        assert_eq!(values(onto), values(base()));

        let negative = tensor(&[-10.0, 10.0], [1, 1, 2]);
        let activated = gelu(negative.clone());
        assert_eq!(values(activated), [0.0, 10.0]);
        assert_eq!(values(negative), [-10.0, 10.0]);
    }

    #[test]
    fn what_nobody_else_holds_is_changed_in_place() {
        println!("device: flex");
        let onto = tensor(&[1.0; 6], [1, 3, 2]);
        let address = |tensor: &Tensor<Flex, 3>| {
            let primitive = tensor.clone().into_primitive().tensor();
            primitive.bytes().as_ptr()
        };
        let before = address(&onto);
        let after = linear_onto(
            tensor(&[0.0; 6], [1, 3, 2]),
            tensor(&[0.0; 4], [2, 2]),
            None,
            onto,
        );
        assert_eq!(address(&after), before);
    }
}
