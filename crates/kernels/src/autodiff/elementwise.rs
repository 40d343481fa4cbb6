//! GELU and the logistic function.

use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;

use super::*;

#[derive(Debug)]
struct ExactGelu;

impl<B: Kernels> Backward<B, 1> for ExactGelu {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut step = Step::<B, _, 1>::new(ops, grads);
        let gradient = B::exact_gelu_backward(step.state.clone(), step.grad.clone());
        step.give(0, gradient);
    }
}

pub(super) fn exact_gelu<B: Kernels, C: CheckpointStrategy>(x: Tracked<B>) -> Tracked<B> {
    let output = B::exact_gelu(x.primitive.clone());
    record::<B, C, _, _>(ExactGelu, [&x], x.primitive.clone(), output)
}

/// Keeps its output: the derivative is a polynomial of it.
#[derive(Debug)]
struct Logistic;

impl<B: Kernels> Backward<B, 1> for Logistic {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut step = Step::<B, _, 1>::new(ops, grads);
        let gradient = B::sigmoid_backward(step.state.clone(), step.grad.clone());
        step.give(0, gradient);
    }
}

pub(super) fn logistic<B: Kernels, C: CheckpointStrategy>(x: Tracked<B>) -> Tracked<B> {
    let output = B::logistic(x.primitive.clone());
    record::<B, C, _, _>(Logistic, [&x], output.clone(), output)
}
