use burn::module::Param;
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor};
use burn_autodiff::Autodiff;
use burn_flex::Flex;

use crate::testing::{uniform, values};
use crate::{AdamWStep, Kernels, adam_w, attention_onto, joined_linear, mlp_onto};

const EPSILON: f64 = 1e-5;

/// The layers of a block, drawn once, on a backend with gradients or without.
struct Layers<B: Backend> {
    norm: LayerNorm<B>,
    qkv: Linear<B>,
    projection: Linear<B>,
    first: Linear<B>,
    second: Linear<B>,
    skip: Linear<B>,
}

fn linear(inputs: usize, outputs: usize, bias: bool, dtype: FloatDType) -> Linear<Flex> {
    let weight = uniform::<Flex, 2>([inputs, outputs]) / (inputs as f32).sqrt();
    Linear {
        weight: Param::from_tensor(weight.cast(dtype)),
        bias: bias.then(|| Param::from_tensor(uniform([outputs]))),
    }
}

fn layers(width: usize, hidden: usize, dtype: FloatDType) -> Layers<Flex> {
    let mut norm = LayerNormConfig::new(width).init(&Default::default());
    norm.gamma = Param::from_tensor(uniform([width]));
    norm.beta = Some(Param::from_tensor(uniform([width])));
    Layers {
        norm,
        qkv: linear(width, 3 * width, false, dtype),
        projection: linear(width, width, true, dtype),
        first: linear(width, hidden, true, dtype),
        second: linear(hidden, width, true, dtype),
        skip: linear(2 * width, width, true, dtype),
    }
}

fn tracked(layer: &Linear<Flex>) -> Linear<Autodiff<Flex>> {
    Linear {
        weight: Param::from_tensor(Tensor::from_inner(layer.weight.val())),
        bias: layer
            .bias
            .as_ref()
            .map(|bias| Param::from_tensor(Tensor::from_inner(bias.val()))),
    }
}

impl Layers<Flex> {
    fn tracked(&self) -> Layers<Autodiff<Flex>> {
        let mut norm = LayerNormConfig::new(self.norm.gamma.dims()[0]).init(&Default::default());
        norm.gamma = Param::from_tensor(Tensor::from_inner(self.norm.gamma.val()));
        let shift = self
            .norm
            .beta
            .as_ref()
            .map(|beta| Tensor::from_inner(beta.val()));
        norm.beta = shift.map(Param::from_tensor);
        Layers {
            norm,
            qkv: tracked(&self.qkv),
            projection: tracked(&self.projection),
            first: tracked(&self.first),
            second: tracked(&self.second),
            skip: tracked(&self.skip),
        }
    }
}

impl<B: Kernels> Layers<B> {
    /// What a block makes of `x` and a skip, part by part.
    fn parts(&self, x: Tensor<B, 3>, skip: Tensor<B, 3>, heads: usize) -> [Tensor<B, 3>; 3] {
        let attention = [&self.qkv, &self.projection];
        [
            joined_linear(x.clone(), skip, &self.skip),
            attention_onto(x.clone(), &self.norm, EPSILON, attention, heads),
            mlp_onto(x, &self.norm, EPSILON, [&self.first, &self.second]),
        ]
    }
}

/// The size of the difference over that of what is expected.
fn error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let squares = |values: &mut dyn Iterator<Item = f32>| {
        values.map(|value| f64::from(value).powi(2)).sum::<f64>()
    };
    let difference = squares(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    (difference / squares(&mut expected.iter().copied())).sqrt()
}

#[test]
fn a_block_is_the_same_with_and_without_gradients() {
    println!("device: flex");
    // Whole panels and ragged ones, samples for every core and too few, blocks of one row, odd widths.
    for ([batch, tokens, width, hidden], heads) in [
        ([4, 65, 128, 256], 2),
        ([1, 257, 64, 200], 4),
        ([3, 7, 30, 33], 5),
        ([2, 1, 27, 16], 3),
        ([64, 9, 16, 64], 1),
    ] {
        let x = uniform::<Flex, 3>([batch, tokens, width]);
        let skip = uniform::<Flex, 3>([batch, tokens, width]);
        // Half precision: a sum that ends on the other side of a rounding limit is another factor.
        for (dtype, tolerance) in [(FloatDType::F32, 1e-6), (FloatDType::BF16, 1e-3)] {
            let layers = layers(width, hidden, dtype);
            let [x2, skip2] = [&x, &skip].map(|tensor| Tensor::from_inner(tensor.clone()));
            let expected = layers
                .tracked()
                .parts(x2, skip2, heads)
                .map(|part| values(part.inner()));
            let found = layers.parts(x.clone(), skip.clone(), heads).map(values);
            let again = layers.parts(x.clone(), skip.clone(), heads).map(values);
            assert_eq!(found, again, "packed weights are those that were packed");
            for (found, expected) in found.iter().zip(&expected) {
                let error = error(found, expected);
                println!("{batch} x {tokens} x {width} in {dtype:?}: {error:.1e}");
                assert!(error < tolerance, "{error}");
            }
        }
    }
}

#[test]
fn what_others_hold_is_not_changed_by_a_block() {
    println!("device: flex");
    let layers = layers(32, 64, FloatDType::F32);
    let x = uniform::<Flex, 3>([2, 5, 32]);
    let before = values(x.clone());
    let output = values(mlp_onto(
        x.clone(),
        &layers.norm,
        EPSILON,
        [&layers.first, &layers.second],
    ));
    assert_eq!(values(x.clone()), before);
    // Nobody else holds it now: the output takes its place.
    let in_place = mlp_onto(x, &layers.norm, EPSILON, [&layers.first, &layers.second]);
    assert_eq!(values(in_place), output);
}

#[test]
fn a_weight_that_changes_is_packed_anew() {
    println!("device: flex");
    let mut layers = layers(32, 64, FloatDType::F32);
    let x = || uniform::<Flex, 3>([2, 5, 32]);
    let run = |layers: &Layers<Flex>| {
        values(mlp_onto(
            x(),
            &layers.norm,
            EPSILON,
            [&layers.first, &layers.second],
        ))
    };
    let x2 = || Tensor::<Autodiff<Flex>, 3>::from_inner(x());
    let expect = |layers: &Layers<Flex>| {
        let tracked = layers.tracked();
        let output = mlp_onto(
            x2(),
            &tracked.norm,
            EPSILON,
            [&tracked.first, &tracked.second],
        );
        values(output.inner())
    };
    let before = run(&layers);
    // A step of the optimizer, which would take the place of what nobody else holds.
    let (_, weight, _) = layers.first.weight.consume();
    let gradient = weight.clone() * 3.0 + 1.0;
    let moments = [(); 2].map(|()| gradient.zeros_like());
    let step = AdamWStep {
        learning_rate: 0.1,
        betas: [0.9, 0.99],
        epsilon: 1e-8,
        weight_decay: 0.0,
        time: 1,
    };
    let (weight, _) = adam_w(weight, gradient, moments, step);
    layers.first.weight = Param::from_tensor(weight);
    let after = run(&layers);
    assert!(error(&after, &before) > 1e-2, "the step changed the output");
    assert!(error(&after, &expect(&layers)) < 1e-6);
    for index in 0..3 {
        // One of Burn's operations in place, then a weight that may lie where one lay before.
        let (_, weight, _) = layers.first.weight.consume();
        layers.first.weight = Param::from_tensor(weight * (2.0 + index as f32));
        assert!(error(&run(&layers), &expect(&layers)) < 1e-6);
        layers.first = linear(32, 64, true, FloatDType::F32);
        assert!(error(&run(&layers), &expect(&layers)) < 1e-6);
    }
}

#[test]
#[should_panic(expected = "a norm as wide as its rows")]
fn a_norm_of_another_width_is_refused() {
    println!("device: flex");
    let [narrow, wide] = [48, 64].map(|width| layers(width, 64, FloatDType::F32));
    let x = uniform::<Flex, 3>([1, 5, 64]);
    let _ = mlp_onto(x, &narrow.norm, EPSILON, [&wide.first, &wide.second]);
}
