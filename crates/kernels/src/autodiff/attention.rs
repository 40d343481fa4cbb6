//! Self-attention.

use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;

use super::*;

#[derive(Debug)]
struct FusedAttention;

impl<B: Kernels> Backward<B, 1> for FusedAttention {
    type State = (FloatTensor<B>, usize, DType);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut step = Step::<B, _, 1>::new(ops, grads);
        let (qkv, heads, products) = step.state.clone();
        let gradient = B::fused_attention_backward(qkv, step.grad.clone(), heads, products);
        step.give(0, gradient);
    }
}

pub(super) fn fused_attention<B: Kernels, C: CheckpointStrategy>(
    qkv: Tracked<B>,
    heads: usize,
    products: DType,
) -> Tracked<B> {
    let output = B::fused_attention(qkv.primitive.clone(), heads, products);
    let state = (qkv.primitive.clone(), heads, products);
    record::<B, C, _, _>(FusedAttention, [&qkv], state, output)
}
