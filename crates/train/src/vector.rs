//! Losses and gradients as one vector, so that workers exchange everything at once.

use adadiff_uem::AdaDiff;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};

use crate::TrainError;
use crate::objective::Losses;

/// Losses and gradients after `exchange`, which is given them as one vector: the losses, then the
/// gradients in the order of the network's parameters.
pub(crate) fn in_one_vector<B: AutodiffBackend>(
    model: &AdaDiff<B>,
    losses: Losses,
    gradients: GradientsParams,
    device: &B::Device,
    exchange: impl FnOnce(Tensor<B::InnerBackend, 1>) -> Result<Tensor<B::InnerBackend, 1>, TrainError>,
) -> Result<(Losses, GradientsParams), TrainError> {
    let Losses {
        total,
        simple,
        uncertainty,
        layer_wise,
    } = losses;
    let losses = [total, simple, uncertainty, layer_wise].map(|loss| loss as f32);
    let mut flat: Flat<B::InnerBackend> = Flat {
        gradients,
        parts: vec![on_device(losses.to_vec(), device)],
    };
    model.visit(&mut flat);
    let sum = exchange(Tensor::cat(flat.parts, 0))?;

    let found = values_of(sum.clone().narrow(0, 0, losses.len()))?;
    let mut split: Split<B::InnerBackend> = Split {
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

/// A vector on a device.
pub(crate) fn on_device<B: Backend>(values: Vec<f32>, device: &B::Device) -> Tensor<B, 1> {
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The values of a vector.
pub(crate) fn values_of<B: Backend>(values: Tensor<B, 1>) -> Result<Vec<f32>, TrainError> {
    let values = values.into_data().convert::<f32>().into_vec();
    values.map_err(|error| TrainError::Device(format!("{error:?}")))
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
