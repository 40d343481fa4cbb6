//! The losses of AdaDiff (Tang et al., ECCV 2024, arXiv 2309.17074) as pure functions of tensors.
//!
//! Every loss is given per sample, `[batch]`, so that it can be logged or weighted before it is
//! averaged. Blocks are numbered in the order of execution. `eps` is the noise that was added to the
//! image, `g_i` the noise predicted from the hidden state of block `i`, and `u_i` that block's
//! estimated uncertainty in `[0, 1]`; certainty is `1 - u_i`. All of them have the image's shape
//! `[batch, channels, height, width]`.
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
