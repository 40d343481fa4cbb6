//! The exchange between workers through Burn's collectives.

use std::ops::Range;

use adadiff_uem::AdaDiff;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData, TensorPrimitive};
use burn_collective::{
    CollectiveConfig, CollectiveError, PeerId, ReduceOperation, all_reduce, finish_collective,
    register, reset_collective,
};

use crate::TrainError;
use crate::objective::Losses;
use crate::peers::Peers;

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

    fn on_device(&self, values: Vec<f32>) -> Tensor<B, 1> {
        let shape = [values.len()];
        Tensor::from_data(TensorData::new(values, shape), &self.device)
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

fn read<B: Backend>(values: Tensor<B, 1>) -> Result<Vec<f32>, TrainError> {
    let values = values.into_data().convert::<f32>().into_vec();
    values.map_err(|error| TrainError::Device(format!("{error:?}")))
}

impl<B: AutodiffBackend> Peers<B> for Peer<B::InnerBackend> {
    fn rows(&self, batch_size: usize) -> Range<usize> {
        let border = |rank: usize| batch_size * rank / self.count;
        border(self.rank)..border(self.rank + 1)
    }

    fn leads(&self) -> bool {
        self.rank == 0
    }

    /// One exchange for everything: the losses, then the gradients in the order of the network's
    /// parameters.
    fn sum(
        &self,
        model: &AdaDiff<B>,
        losses: Losses,
        gradients: GradientsParams,
    ) -> Result<(Losses, GradientsParams), TrainError> {
        let Losses {
            total,
            simple,
            uncertainty,
            layer_wise,
        } = losses;
        let losses = [total, simple, uncertainty, layer_wise].map(|loss| loss as f32);
        let mut flat = Flat {
            gradients,
            parts: vec![self.on_device(losses.to_vec())],
        };
        model.visit(&mut flat);
        let sum = self.sum_of(Tensor::cat(flat.parts, 0))?;

        let found = read(sum.clone().narrow(0, 0, losses.len()))?;
        let mut split = Split {
            gradients: flat.gradients,
            sum,
            read: losses.len(),
        };
        model.visit(&mut split);
        let losses = Losses {
            total: f64::from(found[0]),
            simple: f64::from(found[1]),
            uncertainty: f64::from(found[2]),
            layer_wise: f64::from(found[3]),
        };
        Ok((losses, split.gradients))
    }

    fn any(&self, wish: bool) -> Result<bool, TrainError> {
        let wishes = self.sum_of(self.on_device(vec![f32::from(u8::from(wish))]))?;
        Ok(read(wishes)?.iter().any(|&wishes| wishes > 0.0))
    }
}

/// Gathers gradients one after the other.
struct Flat<B: Backend> {
    gradients: GradientsParams,
    parts: Vec<Tensor<B, 1>>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Flat<B::InnerBackend> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.get::<B::InnerBackend, D>(param.id) {
            let values = gradient.shape().num_elements();
            self.parts.push(gradient.reshape([values]));
        }
    }
}

/// Replaces gradients by what [`Flat`] made of them.
struct Split<B: Backend> {
    gradients: GradientsParams,
    sum: Tensor<B, 1>,
    /// Values that were taken so far.
    read: usize,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Split<B::InnerBackend> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.remove::<B::InnerBackend, D>(param.id) {
            let shape = gradient.shape();
            let values = shape.num_elements();
            let sum = self.sum.clone().narrow(0, self.read, values);
            let sum: Tensor<B::InnerBackend, D> = sum.reshape(shape);
            self.gradients.register(param.id, sum);
            self.read += values;
        }
    }
}
