//! The exchange between workers through Burn's collectives.

use std::ops::Range;

use adadiff_uem::AdaDiff;
use burn::optim::GradientsParams;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorPrimitive};
use burn_collective::{
    CollectiveConfig, CollectiveError, PeerId, ReduceOperation, all_reduce, finish_collective,
    register, reset_collective,
};

use crate::TrainError;
use crate::objective::Losses;
use crate::peers::{Peers, rows_of};
use crate::vector::{in_one_vector, on_device, values_of};

/// A worker's place among the others. Where it is dropped without leaving, after an error or in a
/// panic, the others are told, who would otherwise wait for it.
pub(crate) struct Peer<B: Backend> {
    rank: usize,
    count: usize,
    device: B::Device,
    left: bool,
}

impl<B: Backend> Peer<B> {
    /// Waits for the others.
    pub fn join(rank: usize, count: usize, device: &B::Device) -> Result<Self, TrainError> {
        let config = CollectiveConfig::default().with_num_devices(count);
        register::<B>(PeerId::from(rank), device.clone(), config).map_err(lost)?;
        Ok(Self {
            rank,
            count,
            device: device.clone(),
            left: false,
        })
    }

    pub fn leave(mut self) -> Result<(), TrainError> {
        self.left = true;
        finish_collective::<B>(PeerId::from(self.rank)).map_err(lost)
    }

    /// The sum of all workers' values.
    fn sum_of(&self, values: Tensor<B, 1>) -> Result<Tensor<B, 1>, TrainError> {
        let values = values.into_primitive().tensor();
        let sum =
            all_reduce::<B>(PeerId::from(self.rank), values, ReduceOperation::Sum).map_err(lost)?;
        Ok(Tensor::from_primitive(TensorPrimitive::Float(sum)))
    }
}

impl<B: Backend> Drop for Peer<B> {
    fn drop(&mut self) {
        if !self.left {
            reset_collective::<B>();
        }
    }
}

fn lost(error: CollectiveError) -> TrainError {
    TrainError::Collective(format!("{error:?}"))
}

impl<B: AutodiffBackend> Peers<B> for Peer<B::InnerBackend> {
    fn rows(&self, batch_size: usize) -> Range<usize> {
        rows_of(self.rank, self.count, batch_size)
    }

    fn leads(&self) -> bool {
        self.rank == 0
    }

    fn sum(
        &self,
        model: &AdaDiff<B>,
        losses: Losses,
        gradients: GradientsParams,
    ) -> Result<(Losses, GradientsParams), TrainError> {
        in_one_vector(model, losses, gradients, &self.device, |values| {
            self.sum_of(values)
        })
    }

    fn any(&self, wish: bool) -> Result<bool, TrainError> {
        let wish = on_device(vec![f32::from(u8::from(wish))], &self.device);
        let wishes = values_of(self.sum_of(wish)?)?;
        Ok(wishes.iter().any(|&wishes| wishes > 0.0))
    }
}
