//! The operations under automatic differentiation: each keeps its inputs and calls the inner
//! backend's backward operation.

use burn::tensor::ops::FloatTensor;
use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind, unary};

use super::Kernels;

impl<B: Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct ExactGelu;

        impl<B: Kernels> Backward<B, 1> for ExactGelu {
            type State = FloatTensor<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                unary::<B, _>(ops.parents, ops.node, grads, |grad| {
                    B::exact_gelu_backward(ops.state, grad)
                });
            }
        }

        match ExactGelu
            .prepare::<C>([x.node.clone()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(x.primitive.clone(), B::exact_gelu(x.primitive)),
            OpsKind::UnTracked(prep) => prep.finish(B::exact_gelu(x.primitive)),
        }
    }

    fn logistic(x: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Logistic;

        impl<B: Kernels> Backward<B, 1> for Logistic {
            type State = FloatTensor<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                unary::<B, _>(ops.parents, ops.node, grads, |grad| {
                    B::sigmoid_backward(ops.state, grad)
                });
            }
        }

        match Logistic
            .prepare::<C>([x.node.clone()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let output = B::logistic(x.primitive);
                prep.finish(output.clone(), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::logistic(x.primitive)),
        }
    }

    fn row_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct RowNorm;

        impl<B: Kernels> Backward<B, 3> for RowNorm {
            type State = (FloatTensor<B>, FloatTensor<B>, f64);

            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let (x, scale, epsilon) = ops.state;
                let grad = grads.consume::<B>(&ops.node);
                let inputs = B::row_norm_backward(x, scale, grad, epsilon);
                for (parent, grad) in ops.parents.into_iter().zip(inputs) {
                    if let Some(parent) = parent {
                        grads.register::<B>(parent.id, grad);
                    }
                }
            }
        }

        let nodes = [x.node.clone(), scale.node.clone(), shift.node.clone()];
        match RowNorm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(
                (x.primitive.clone(), scale.primitive.clone(), epsilon),
                B::row_norm(x.primitive, scale.primitive, shift.primitive, epsilon),
            ),
            OpsKind::UnTracked(prep) => prep.finish(B::row_norm(
                x.primitive,
                scale.primitive,
                shift.primitive,
                epsilon,
            )),
        }
    }

    fn affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Affine;

        impl<B: Kernels, const N: usize> Backward<B, N> for Affine {
            type State = (FloatTensor<B>, FloatTensor<B>);

            fn backward(
                self,
                ops: Ops<Self::State, N>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let (x, weight) = ops.state;
                let grad = grads.consume::<B>(&ops.node);
                let parent = |index: usize| ops.parents.get(index).cloned().flatten();
                if let Some(parent) = parent(0) {
                    grads.register::<B>(parent.id, B::linear_x_backward(weight, grad.clone()));
                }
                if let Some(parent) = parent(1) {
                    grads.register::<B>(parent.id, B::linear_weight_backward(x, grad.clone()));
                }
                if let Some(parent) = parent(2) {
                    grads.register::<B>(parent.id, B::affine_bias_backward(grad));
                }
            }
        }

        let state = (x.primitive.clone(), weight.primitive.clone());
        match bias {
            Some(bias) => {
                let nodes = [x.node.clone(), weight.node.clone(), bias.node.clone()];
                let output = B::affine(x.primitive, weight.primitive, Some(bias.primitive));
                match Affine.prepare::<C>(nodes).compute_bound().stateful() {
                    OpsKind::Tracked(prep) => prep.finish(state, output),
                    OpsKind::UnTracked(prep) => prep.finish(output),
                }
            }
            None => {
                let nodes = [x.node.clone(), weight.node.clone()];
                let output = B::affine(x.primitive, weight.primitive, None);
                match Affine.prepare::<C>(nodes).compute_bound().stateful() {
                    OpsKind::Tracked(prep) => prep.finish(state, output),
                    OpsKind::UnTracked(prep) => prep.finish(output),
                }
            }
        }
    }

    fn fused_attention(qkv: FloatTensor<Self>, heads: usize) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct FusedAttention;

        impl<B: Kernels> Backward<B, 1> for FusedAttention {
            type State = (FloatTensor<B>, usize);

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let (qkv, heads) = ops.state;
                unary::<B, _>(ops.parents, ops.node, grads, |grad| {
                    B::fused_attention_backward(qkv, grad, heads)
                });
            }
        }

        match FusedAttention
            .prepare::<C>([qkv.node.clone()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(
                (qkv.primitive.clone(), heads),
                B::fused_attention(qkv.primitive, heads),
            ),
            OpsKind::UnTracked(prep) => prep.finish(B::fused_attention(qkv.primitive, heads)),
        }
    }
}
