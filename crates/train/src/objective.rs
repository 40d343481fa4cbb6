//! The objective of a phase and its gradients.

use adadiff_losses::{joint_objective, simple_loss};
use adadiff_model::Condition;
use adadiff_model::kernels::Kernels;
use adadiff_uem::{AdaDiff, LayerPredictions};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

use crate::graph::Graph;
use crate::{Objective, TrainError};

/// Some rows of a batch as the network is given them.
#[derive(Clone, Debug)]
pub(crate) struct Input<B: Backend> {
    /// Noisy images `[rows, channels, height, width]`.
    pub noisy: Tensor<B, 4>,
    /// The noise in them, of the same shape: what is to be predicted.
    pub noise: Tensor<B, 4>,
    /// A timestep for each row, in the network's units.
    pub timesteps: Vec<f32>,
    /// The conditions, some of them dropped.
    pub condition: Condition<B>,
}

/// The objective and its parts, means over rows; parts that an objective lacks are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Losses {
    pub total: f64,
    pub simple: f64,
    pub uncertainty: f64,
    pub layer_wise: f64,
}

impl Losses {
    /// Whether all of them are numbers.
    pub fn are_finite(self) -> bool {
        let Self {
            total,
            simple,
            uncertainty,
            layer_wise,
        } = self;
        [total, simple, uncertainty, layer_wise]
            .iter()
            .all(|loss| loss.is_finite())
    }

    /// All of them times a factor.
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            total: self.total * factor,
            simple: self.simple * factor,
            uncertainty: self.uncertainty * factor,
            layer_wise: self.layer_wise * factor,
        }
    }
}

impl std::ops::AddAssign for Losses {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.simple += other.simple;
        self.uncertainty += other.uncertainty;
        self.layer_wise += other.layer_wise;
    }
}

/// The losses of some rows, and the gradients of their mean objective times `share`.
///
/// # Errors
/// Where the input does not suit the network or the device fails.
pub(crate) fn gradients<B: AutodiffBackend + Kernels>(
    model: &AdaDiff<B>,
    objective: Objective,
    input: Input<B>,
    share: f64,
) -> Result<(Losses, GradientsParams), TrainError> {
    let Input {
        noisy,
        noise,
        timesteps,
        condition,
    } = input;
    let graph = Graph::start();
    let layers = match objective {
        Objective::Simple => LayerPredictions {
            noise: vec![model.backbone.forward(noisy, &timesteps, &condition)?],
            uncertainty: Vec::new(),
        },
        Objective::Joint { .. } => model.layer_predictions(noisy, &timesteps, &condition)?,
    };
    let (total, losses) = mean_objective(objective, &layers, noise);
    let gradients = graph.backward(&(total * share));
    let gradients = GradientsParams::from_grads(gradients, model);
    Ok((losses.read()?, gradients))
}

/// The mean objective `[1]` of what the blocks predict, and the losses that it is made of. L_simple
/// alone needs no more than the last block's noise prediction.
pub(crate) fn mean_objective<B: AutodiffBackend>(
    objective: Objective,
    layers: &LayerPredictions<B>,
    noise: Tensor<B, 4>,
) -> (Tensor<B, 1>, MeanLosses<B::InnerBackend>) {
    match objective {
        Objective::Simple => {
            let prediction = layers.noise[layers.noise.len() - 1].clone();
            let total = simple_loss(prediction, noise).mean();
            let losses = MeanLosses::Simple(total.clone().inner());
            (total, losses)
        }
        Objective::Joint { form, weights } => {
            let loss = joint_objective(&layers.uncertainty, &layers.noise, noise, weights, form);
            let total = loss.total.mean();
            let losses = MeanLosses::Joint([
                total.clone().inner(),
                loss.simple.mean().inner(),
                loss.uncertainty.mean().inner(),
                loss.layer_wise.mean().inner(),
            ]);
            (total, losses)
        }
    }
}

/// Losses `[1]` that are still on the device, which the backward pass need not wait for.
pub(crate) enum MeanLosses<B: Backend> {
    /// The objective itself.
    Simple(Tensor<B, 1>),
    /// The objective, L_simple, L_u and UAL.
    Joint([Tensor<B, 1>; 4]),
}

impl<B: Backend> MeanLosses<B> {
    /// Waits for their values.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn read(self) -> Result<Losses, TrainError> {
        match self {
            Self::Simple(total) => {
                let [total] = read([total])?;
                Ok(Losses {
                    total,
                    simple: total,
                    ..Losses::default()
                })
            }
            Self::Joint(means) => {
                let [total, simple, uncertainty, layer_wise] = read(means)?;
                Ok(Losses {
                    total,
                    simple,
                    uncertainty,
                    layer_wise,
                })
            }
        }
    }
}

/// Reads scalars `[1]` back from the device at once.
fn read<B: Backend, const N: usize>(scalars: [Tensor<B, 1>; N]) -> Result<[f64; N], TrainError> {
    let values = Tensor::cat(scalars.to_vec(), 0)
        .into_data()
        .convert::<f64>()
        .into_vec::<f64>();
    let values = values.map_err(TrainError::device)?;
    values
        .try_into()
        .map_err(|_| TrainError::Device("a scalar is missing".to_owned()))
}
