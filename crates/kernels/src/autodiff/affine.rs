//! Products with weights, and GELU before one.

use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;

use super::*;

/// `onto + x W + b`. Parents: the input, the weight and, where they are there, what is added onto and the
/// bias.
#[derive(Debug)]
struct Affine {
    /// Whether GELU comes before the product. It is the largest tensor of a block, and computed again.
    gelu: bool,
    /// Whether the product is added onto something.
    onto: bool,
}

impl<B: Kernels, const N: usize> Backward<B, N> for Affine {
    /// The input and the weight.
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut step = Step::<B, _, N>::new(ops, grads);
        let (x, weight) = step.state.clone();
        let factor = if self.gelu && step.wants(1) {
            B::exact_gelu(x.clone())
        } else {
            x.clone()
        };
        step.product(factor, weight.dtype(), [1, 2 + usize::from(self.onto)]);
        if step.wants(0) {
            let gradient = B::affine_x_backward(weight, step.grad.clone());
            let gradient = if self.gelu {
                B::exact_gelu_backward(x, gradient)
            } else {
                gradient
            };
            step.give(0, gradient);
        }
        if self.onto {
            step.give(2, step.grad.clone());
        }
    }
}

/// [`Kernels::affine`] or, with `onto`, [`Kernels::affine_onto`], which may be preceded by GELU.
pub(super) fn affine<B: Kernels, C: CheckpointStrategy>(
    x: Tracked<B>,
    weight: Tracked<B>,
    bias: Option<Tracked<B>>,
    onto: Option<Tracked<B>>,
    gelu: bool,
) -> Tracked<B> {
    let state = (x.primitive.clone(), weight.primitive.clone());
    let (input, factor) = state.clone();
    let added = bias.as_ref().map(|bias| bias.primitive.clone());
    let output = match &onto {
        None => B::affine(input, factor, added),
        Some(onto) if gelu => B::gelu_affine_onto(input, factor, added, onto.primitive.clone()),
        Some(onto) => B::affine_onto(input, factor, added, onto.primitive.clone()),
    };
    let operation = Affine {
        gelu,
        onto: onto.is_some(),
    };
    match [&onto, &bias] {
        [None, None] => record::<B, C, _, _>(operation, [&x, &weight], state, output),
        [Some(third), None] | [None, Some(third)] => {
            record::<B, C, _, _>(operation, [&x, &weight, third], state, output)
        }
        [Some(onto), Some(bias)] => {
            record::<B, C, _, _>(operation, [&x, &weight, onto, bias], state, output)
        }
    }
}

impl<B: Kernels, S, const N: usize> Step<'_, B, S, N> {
    /// Gives the gradients of the weight, which is stored in `dtype`, and of the bias that made the output of `x`.
    pub(super) fn product(&mut self, x: FloatTensor<B>, dtype: DType, [weight, bias]: [usize; 2]) {
        if self.wants(weight) {
            let gradient = B::affine_weight_backward(x, self.grad.clone(), dtype);
            self.give(weight, gradient);
        }
        if self.wants(bias) {
            let gradient = B::affine_bias_backward(self.grad.clone());
            self.give(bias, gradient);
        }
    }
}
