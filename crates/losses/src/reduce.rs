//! Reductions that the losses share.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// The mean over everything but the batch: `[batch, channels, height, width]` to `[batch]`.
pub(crate) fn mean_per_sample<B: Backend>(map: Tensor<B, 4>) -> Tensor<B, 1> {
    let [batch, ..] = map.dims();
    map.flatten::<2>(1, 3).mean_dim(1).reshape([batch])
}

/// The mean square over everything but the batch: `[batch, channels, height, width]` to `[batch]`.
pub(crate) fn mean_square_per_sample<B: Backend>(map: Tensor<B, 4>) -> Tensor<B, 1> {
    // The product is exact and cheap everywhere; a power of two is a call to `powi` on some backends.
    mean_per_sample(map.clone() * map)
}

/// The losses of the single blocks, each `[batch]`, as the columns of `[batch, blocks]`.
pub(crate) fn columns<B: Backend>(per_block: Vec<Tensor<B, 1>>) -> Tensor<B, 2> {
    Tensor::stack(per_block, 1)
}

/// The sum over the columns of `[batch, blocks]`.
pub(crate) fn sum_columns<B: Backend>(per_block: Tensor<B, 2>) -> Tensor<B, 1> {
    let [batch, _] = per_block.dims();
    per_block.sum_dim(1).reshape([batch])
}

/// `g_i - eps` for every block.
///
/// # Panics
/// Where the numbers of uncertainty maps and of predictions differ or are zero: a loss over blocks
/// that were silently left out would train the wrong thing.
pub(crate) fn residuals<B: Backend>(
    uncertainties: &[Tensor<B, 4>],
    layer_predictions: &[Tensor<B, 4>],
    noise: &Tensor<B, 4>,
) -> Vec<Tensor<B, 4>> {
    assert!(
        !layer_predictions.is_empty(),
        "the losses over blocks need at least one block"
    );
    assert_eq!(
        uncertainties.len(),
        layer_predictions.len(),
        "the losses over blocks need one uncertainty map and one noise prediction of each block"
    );
    layer_predictions
        .iter()
        .map(|prediction| prediction.clone() - noise.clone())
        .collect()
}
