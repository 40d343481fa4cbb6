//! The exchange of losses and gradients between processes, in a few large buckets.

use std::collections::VecDeque;

use adadiff_uem::AdaDiff;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};

use crate::objective::Losses;
use crate::{Communicator, TrainError};

/// Values after which a bucket is full: 32 MiB.
const BUCKET: usize = 1 << 23;

/// The sums of all processes' losses and gradients.
pub(crate) fn sum_over_processes<B: AutodiffBackend>(
    communicator: &dyn Communicator,
    model: &AdaDiff<B>,
    losses: Losses,
    gradients: GradientsParams,
) -> Result<(Losses, GradientsParams), TrainError> {
    if communicator.size() == 1 {
        return Ok((losses, gradients));
    }
    let Losses {
        total,
        simple,
        uncertainty,
        layer_wise,
    } = losses;
    let losses = [total, simple, uncertainty, layer_wise].map(|loss| loss as f32);
    let losses = communicator.sum(losses.to_vec())?;
    let mut flat: Flat<B::InnerBackend> = Flat {
        gradients,
        parts: Vec::new(),
    };
    model.visit(&mut flat);
    let mut split: Split<B::InnerBackend> = Split {
        gradients: flat.gradients,
        sums: sum_parts(communicator, flat.parts)?.into(),
    };
    model.visit(&mut split);
    let losses = Losses {
        total: losses[0].into(),
        simple: losses[1].into(),
        uncertainty: losses[2].into(),
        layer_wise: losses[3].into(),
    };
    Ok((losses, split.gradients))
}

/// The sums of each of `parts`.
fn sum_parts<B: Backend>(
    communicator: &dyn Communicator,
    parts: Vec<Tensor<B, 1>>,
) -> Result<Vec<Tensor<B, 1>>, TrainError> {
    let mut sums = Vec::with_capacity(parts.len());
    let mut bucket = Vec::new();
    let (mut values, count) = (0, parts.len());
    for (number, part) in parts.into_iter().enumerate() {
        values += part.dims()[0];
        bucket.push(part);
        if values >= BUCKET || number + 1 == count {
            sums.extend(sum_bucket(communicator, std::mem::take(&mut bucket))?);
            values = 0;
        }
    }
    Ok(sums)
}

fn sum_bucket<B: Backend>(
    communicator: &dyn Communicator,
    parts: Vec<Tensor<B, 1>>,
) -> Result<Vec<Tensor<B, 1>>, TrainError> {
    let sizes = parts.iter().map(|part| part.dims()[0]).collect::<Vec<_>>();
    let device = parts[0].device();
    let values = Tensor::cat(parts, 0).into_data().convert::<f32>();
    let values = values.into_vec().map_err(TrainError::device)?;
    let sum = communicator.sum(values)?;
    let shape = [sum.len()];
    let sum: Tensor<B, 1> = Tensor::from_data(TensorData::new(sum, shape), &device);
    let mut start = 0;
    let part = |size: usize| {
        let part = sum.clone().narrow(0, start, size);
        start += size;
        part
    };
    Ok(sizes.into_iter().map(part).collect())
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

/// Replaces gradients by the sums of what [`Flat`] gathered.
struct Split<B: Backend> {
    gradients: GradientsParams,
    sums: VecDeque<Tensor<B, 1>>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Split<B::InnerBackend> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let Some(gradient) = self.gradients.remove::<B::InnerBackend, D>(param.id) else {
            return;
        };
        if let Some(sum) = self.sums.pop_front() {
            let sum: Tensor<B::InnerBackend, D> = sum.reshape(gradient.shape());
            self.gradients.register(param.id, sum);
        }
    }
}
