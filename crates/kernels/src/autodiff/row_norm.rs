//! Layer normalisation, alone and before a product with a weight.

use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;

use super::*;

/// Parents: the input, the scale and the shift.
#[derive(Debug)]
struct RowNorm;

impl<B: Kernels> Backward<B, 3> for RowNorm {
    /// The input, the scale and the number that keeps deviations above zero.
    type State = (FloatTensor<B>, FloatTensor<B>, f64);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut step = Step::<B, _, 3>::new(ops, grads);
        let (x, scale, epsilon) = step.state.clone();
        let gradients = B::row_norm_backward(x, scale, step.grad.clone(), epsilon);
        for (index, gradient) in gradients.into_iter().enumerate() {
            step.give(index, gradient);
        }
    }
}

pub(super) fn row_norm<B: Kernels, C: CheckpointStrategy>(
    x: Tracked<B>,
    scale: Tracked<B>,
    shift: Tracked<B>,
    epsilon: f64,
) -> Tracked<B> {
    let state = (x.primitive.clone(), scale.primitive.clone(), epsilon);
    let output = B::row_norm(
        x.primitive.clone(),
        scale.primitive.clone(),
        shift.primitive.clone(),
        epsilon,
    );
    record::<B, C, _, _>(RowNorm, [&x, &scale, &shift], state, output)
}

/// What is normalised, and how.
#[derive(Clone, Debug)]
struct Norm<B: Kernels> {
    x: FloatTensor<B>,
    scale: FloatTensor<B>,
    shift: FloatTensor<B>,
    epsilon: f64,
}

/// Parents: the input, the scale, the shift, the weight and, where there is one, the bias. The
/// normalised rows are computed again.
#[derive(Debug)]
struct NormAffine;

impl<B: Kernels, const N: usize> Backward<B, N> for NormAffine {
    type State = (Norm<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut step = Step::<B, _, N>::new(ops, grads);
        let (norm, weight) = step.state.clone();
        let Norm {
            x,
            scale,
            shift,
            epsilon,
        } = norm;
        if step.wants(3) || step.wants(4) {
            let rows = B::row_norm(x.clone(), scale.clone(), shift, epsilon);
            step.product(rows, weight.dtype(), [3, 4]);
        }
        if (0..3).any(|index| step.wants(index)) {
            let gradient = B::affine_x_backward(weight, step.grad.clone());
            let gradients = B::row_norm_backward(x, scale, gradient, epsilon);
            for (index, gradient) in gradients.into_iter().enumerate() {
                step.give(index, gradient);
            }
        }
    }
}

pub(super) fn norm_affine<B: Kernels, C: CheckpointStrategy>(
    x: Tracked<B>,
    scale: Tracked<B>,
    shift: Tracked<B>,
    epsilon: f64,
    weight: Tracked<B>,
    bias: Option<Tracked<B>>,
) -> Tracked<B> {
    let norm = Norm::<B> {
        x: x.primitive.clone(),
        scale: scale.primitive.clone(),
        shift: shift.primitive.clone(),
        epsilon,
    };
    let state = (norm.clone(), weight.primitive.clone());
    let output = B::norm_affine(
        norm.x,
        norm.scale,
        norm.shift,
        epsilon,
        weight.primitive.clone(),
        bias.as_ref().map(|bias| bias.primitive.clone()),
    );
    match bias {
        Some(bias) => record::<B, C, _, _>(
            NormAffine,
            [&x, &scale, &shift, &weight, &bias],
            state,
            output,
        ),
        None => record::<B, C, _, _>(NormAffine, [&x, &scale, &shift, &weight], state, output),
    }
}
