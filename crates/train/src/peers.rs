//! What a worker of a training exchanges with those it shares the training with.

use std::ops::Range;

use adadiff_uem::AdaDiff;
use burn::optim::GradientsParams;
use burn::tensor::backend::AutodiffBackend;

use crate::TrainError;
use crate::objective::Losses;

/// The workers of a training, seen by one of them. All of them call the same methods in the same
/// order.
pub(crate) trait Peers<B: AutodiffBackend> {
    /// The rows of a batch that this worker computes.
    fn rows(&self, batch_size: usize) -> Range<usize>;

    /// Whether this worker writes logs and checkpoints.
    fn leads(&self) -> bool;

    /// The sums of losses and gradients over all workers.
    fn sum(
        &self,
        model: &AdaDiff<B>,
        losses: Losses,
        gradients: GradientsParams,
    ) -> Result<(Losses, GradientsParams), TrainError>;

    /// Whether any worker wishes it.
    fn any(&self, wish: bool) -> Result<bool, TrainError>;
}

/// The rows of a batch that the worker `rank` of `count` computes.
pub(crate) fn rows_of(rank: usize, count: usize, batch_size: usize) -> Range<usize> {
    let border = |rank: usize| batch_size * rank / count;
    border(rank)..border(rank + 1)
}

/// A worker without others.
pub(crate) struct Alone;

impl<B: AutodiffBackend> Peers<B> for Alone {
    fn rows(&self, batch_size: usize) -> Range<usize> {
        0..batch_size
    }

    fn leads(&self) -> bool {
        true
    }

    fn sum(
        &self,
        _model: &AdaDiff<B>,
        losses: Losses,
        gradients: GradientsParams,
    ) -> Result<(Losses, GradientsParams), TrainError> {
        Ok((losses, gradients))
    }

    fn any(&self, wish: bool) -> Result<bool, TrainError> {
        Ok(wish)
    }
}
