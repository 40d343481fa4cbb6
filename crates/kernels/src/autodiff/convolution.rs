//! Convolutions.

use burn::tensor::Tensor;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;

use super::*;
use crate::{Windows, default};

/// Parents: the image, the weight and, where it is there, the bias.
#[derive(Debug)]
struct Convolution;

impl<B: Kernels, const N: usize> Backward<B, N> for Convolution {
    /// The image, the weight and where the windows lie.
    type State = (FloatTensor<B>, FloatTensor<B>, Windows);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut step = Step::<B, _, N>::new(ops, grads);
        let (x, weight, windows) = step.state.clone();
        let grad = step.grad.clone();
        if step.wants(2) {
            let grad: Tensor<B, 4> = default::wrap(grad.clone());
            let sums = grad.sum_dim(3).sum_dim(2).sum_dim(0).flatten::<1>(0, 3);
            step.give(2, default::unwrap(sums));
        }
        if step.wants(1) {
            let gradient =
                B::convolution_weight_backward(x.clone(), weight.clone(), grad.clone(), windows);
            step.give(1, gradient);
        }
        if step.wants(0) {
            step.give(0, B::convolution_x_backward(x, weight, grad, windows));
        }
    }
}

pub(super) fn convolution<B: Kernels, C: CheckpointStrategy>(
    x: Tracked<B>,
    weight: Tracked<B>,
    epilogue: Epilogue<Tracked<B>>,
    windows: Windows,
) -> Tracked<B> {
    if epilogue.scale.is_some() || epilogue.rectifies || !windows.is_symmetric() {
        return default::convolution::<Autodiff<B, C>>(x, weight, epilogue, windows);
    }
    let state = (x.primitive.clone(), weight.primitive.clone(), windows);
    let inner = Epilogue {
        scale: None,
        shift: epilogue.shift.as_ref().map(|shift| shift.primitive.clone()),
        rectifies: false,
    };
    let output = B::convolution(state.0.clone(), state.1.clone(), inner, windows);
    match &epilogue.shift {
        None => record::<B, C, _, _>(Convolution, [&x, &weight], state, output),
        Some(bias) => record::<B, C, _, _>(Convolution, [&x, &weight, bias], state, output),
    }
}
