//! The operations under automatic differentiation: each keeps its inputs and calls the inner
//! backend's backward operation.

mod affine;
mod attention;
mod convolution;
mod elementwise;
mod row_norm;

use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, TensorMetadata};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_autodiff::{Autodiff, NodeId};

use super::{Epilogue, Kernels, Windows};

/// A tensor that gradients may flow through.
type Tracked<B> = FloatTensor<Autodiff<B>>;

impl<B: Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        elementwise::exact_gelu::<B, C>(x)
    }

    fn logistic(x: FloatTensor<Self>) -> FloatTensor<Self> {
        elementwise::logistic::<B, C>(x)
    }

    fn row_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        row_norm::row_norm::<B, C>(x, scale, shift, epsilon)
    }

    fn affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
    ) -> FloatTensor<Self> {
        affine::affine::<B, C>(x, weight, bias, None, false)
    }

    fn affine_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        onto: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        affine::affine::<B, C>(x, weight, bias, Some(onto), false)
    }

    fn gelu_affine_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        onto: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        affine::affine::<B, C>(x, weight, bias, Some(onto), true)
    }

    fn norm_affine(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        epsilon: f64,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
    ) -> FloatTensor<Self> {
        row_norm::norm_affine::<B, C>(x, scale, shift, epsilon, weight, bias)
    }

    fn fused_attention(qkv: FloatTensor<Self>, heads: usize, products: DType) -> FloatTensor<Self> {
        attention::fused_attention::<B, C>(qkv, heads, products)
    }

    fn convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epilogue: Epilogue<FloatTensor<Self>>,
        windows: Windows,
    ) -> FloatTensor<Self> {
        convolution::convolution::<B, C>(x, weight, epilogue, windows)
    }
}

/// Hands `output` on as what `operation` made of `parents`; `state` is what its backward pass needs.
fn record<B: Kernels, C: CheckpointStrategy, O: Backward<B, N>, const N: usize>(
    operation: O,
    parents: [&Tracked<B>; N],
    state: O::State,
    output: FloatTensor<B>,
) -> Tracked<B> {
    let nodes = parents.map(|parent| parent.node.clone());
    match operation.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(state, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

/// A backward pass with its parts named.
struct Step<'a, B: Kernels, S, const N: usize> {
    state: S,
    /// The gradient of the output.
    grad: FloatTensor<B>,
    /// The parents that want a gradient.
    parents: [Option<NodeId>; N],
    grads: &'a mut Gradients,
}

impl<'a, B: Kernels, S, const N: usize> Step<'a, B, S, N> {
    fn new(ops: Ops<S, N>, grads: &'a mut Gradients) -> Self {
        Self {
            grad: grads.consume::<B>(&ops.node),
            state: ops.state,
            parents: ops.parents.map(|parent| parent.map(|parent| parent.id)),
            grads,
        }
    }

    /// Whether the parent at `index` wants a gradient; one that was not given wants none.
    fn wants(&self, index: usize) -> bool {
        self.parents.get(index).is_some_and(Option::is_some)
    }

    fn give(&mut self, index: usize, gradient: FloatTensor<B>) {
        if let Some(Some(parent)) = self.parents.get(index) {
            self.grads.register::<B>(*parent, gradient);
        }
    }
}
