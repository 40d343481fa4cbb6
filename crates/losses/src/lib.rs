//! The losses of AdaDiff (Tang et al., ECCV 2024, arXiv 2309.17074) as pure functions of tensors.
//!
//! Every loss is given per sample, `[batch]`, so that it can be logged or weighted before it is
//! averaged. Blocks are numbered in the order of execution. `eps` is the noise that was added to the
//! image, `g_i` the noise predicted from the hidden state of block `i`, and `u_i` that block's
//! estimated uncertainty in `[0, 1]`; certainty is `1 - u_i`. All of them have the image's shape
//! `[batch, channels, height, width]`.
//!
//! ```
//! use adadiff_losses::{JointWeights, LossForm, joint_objective};
//! use burn::backend::Autodiff;
//! use burn::tensor::{Distribution, Tensor};
//! use burn_flex::Flex;
//!
//! let device = Default::default();
//! let shape = [2, 1, 4, 4];
//! let noise = Tensor::<Autodiff<Flex>, 4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
//! // What two blocks predict, and how unsure they are of it.
//! let predictions = [0.5, 0.1].map(|error| (noise.clone() + error).require_grad());
//! let uncertainties = [0.4, 0.1].map(|u| Tensor::full(shape, u, &device).require_grad());
//!
//! let weights = JointWeights { uncertainty: 1.0, layer_wise: 1.0 };
//! let loss = joint_objective(&uncertainties, &predictions, noise, weights, LossForm::Paper);
//! assert_eq!(loss.total.dims(), [2]);
//! let gradients = loss.total.mean().backward();
//! // UAL reaches the first block, whose error weighs as much as it is sure.
//! assert!(predictions[0].grad(&gradients).unwrap().abs().sum().into_scalar() > 0.0);
//! ```
//!
//! The paper and the code published with it define two of the losses differently. Both are here:
//! [`LossForm`] chooses for [`joint_objective`].

mod joint;
mod layer_wise;
mod reduce;
mod simple;
#[cfg(test)]
mod testing;
mod uncertainty;

pub use joint::{JointLoss, JointWeights, LossForm, joint_objective};
pub use layer_wise::{ual_paper, ual_published};
pub use simple::simple_loss;
pub use uncertainty::{uncertainty_loss, uncertainty_loss_published};
