//! Products with weights, and GELU before one.

use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;

use super::*;

/// The input and the weight of a product.
type Factors<B> = (FloatTensor<B>, FloatTensor<B>);

/// Parents: the input, the weight and, where there is one, the bias.
#[derive(Debug)]
struct Affine;

impl<B: Kernels, const N: usize> Backward<B, N> for Affine {
    type State = Factors<B>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut step = Step::<B, _, N>::new(ops, grads);
        let (x, weight) = step.state.clone();
        step.product(x, [1, 2]);
        if step.wants(0) {
            let gradient = B::affine_x_backward(weight, step.grad.clone());
            step.give(0, gradient);
        }
    }
}

pub(super) fn affine<B: Kernels, C: CheckpointStrategy>(
    x: Tracked<B>,
    weight: Tracked<B>,
    bias: Option<Tracked<B>>,
) -> Tracked<B> {
    let state = (x.primitive.clone(), weight.primitive.clone());
    let (input, factor) = state.clone();
    match bias {
        Some(bias) => {
            let output = B::affine(input, factor, Some(bias.primitive.clone()));
            record::<B, C, _, _>(Affine, [&x, &weight, &bias], state, output)
        }
        None => {
            let output = B::affine(input, factor, None);
            record::<B, C, _, _>(Affine, [&x, &weight], state, output)
        }
    }
}

/// Parents: the input, the weight, what is added to and, where there is one, the bias.
#[derive(Debug)]
struct AffineOnto;

impl<B: Kernels, const N: usize> Backward<B, N> for AffineOnto {
    type State = Factors<B>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut step = Step::<B, _, N>::new(ops, grads);
        let (x, weight) = step.state.clone();
        step.product(x, [1, 3]);
        if step.wants(0) {
            let gradient = B::affine_x_backward(weight, step.grad.clone());
            step.give(0, gradient);
        }
        step.give(2, step.grad.clone());
    }
}

pub(super) fn affine_onto<B: Kernels, C: CheckpointStrategy>(
    x: Tracked<B>,
    weight: Tracked<B>,
    bias: Option<Tracked<B>>,
    onto: Tracked<B>,
) -> Tracked<B> {
    let state = (x.primitive.clone(), weight.primitive.clone());
    let (input, factor) = state.clone();
    let base = onto.primitive.clone();
    match bias {
        Some(bias) => {
            let output = B::affine_onto(input, factor, Some(bias.primitive.clone()), base);
            record::<B, C, _, _>(AffineOnto, [&x, &weight, &onto, &bias], state, output)
        }
        None => {
            let output = B::affine_onto(input, factor, None, base);
            record::<B, C, _, _>(AffineOnto, [&x, &weight, &onto], state, output)
        }
    }
}

/// Parents as [`AffineOnto`]'s. The activation, the largest tensor of a block, is computed again.
#[derive(Debug)]
struct GeluAffineOnto;

impl<B: Kernels, const N: usize> Backward<B, N> for GeluAffineOnto {
    type State = Factors<B>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut step = Step::<B, _, N>::new(ops, grads);
        let (x, weight) = step.state.clone();
        if step.wants(1) {
            step.product(B::exact_gelu(x.clone()), [1, 3]);
        }
        if step.wants(0) {
            let gradient = B::affine_x_backward(weight, step.grad.clone());
            step.give(0, B::exact_gelu_backward(x, gradient));
        }
        step.give(2, step.grad.clone());
    }
}

pub(super) fn gelu_affine_onto<B: Kernels, C: CheckpointStrategy>(
    x: Tracked<B>,
    weight: Tracked<B>,
    bias: Option<Tracked<B>>,
    onto: Tracked<B>,
) -> Tracked<B> {
    let state = (x.primitive.clone(), weight.primitive.clone());
    let (input, factor) = state.clone();
    let base = onto.primitive.clone();
    match bias {
        Some(bias) => {
            let output = B::gelu_affine_onto(input, factor, Some(bias.primitive.clone()), base);
            record::<B, C, _, _>(GeluAffineOnto, [&x, &weight, &onto, &bias], state, output)
        }
        None => {
            let output = B::gelu_affine_onto(input, factor, None, base);
            record::<B, C, _, _>(GeluAffineOnto, [&x, &weight, &onto], state, output)
        }
    }
}

impl<B: Kernels, S, const N: usize> Step<'_, B, S, N> {
    /// Gives the gradients of the weight and the bias that made the output of `x`.
    pub(super) fn product(&mut self, x: FloatTensor<B>, [weight, bias]: [usize; 2]) {
        if self.wants(weight) {
            let gradient = B::affine_weight_backward(x, self.grad.clone());
            self.give(weight, gradient);
        }
        if self.wants(bias) {
            let gradient = B::affine_bias_backward(self.grad.clone());
            self.give(bias, gradient);
        }
    }
}
