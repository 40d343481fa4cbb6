//! U-ViT (Bao et al., CVPR 2023, arXiv 2209.12152), the backbone of AdaDiff: whole and stepwise,
//! with the autoencoder and the text encoder that stand before it. Generic over Burn backends.

pub mod autoencoder;
pub mod clip;
pub mod kernels;

mod block;
mod condition;
mod config;
mod denoiser;
mod error;
mod flops;
mod import;
mod init;
mod precision;
mod state;
#[cfg(all(test, feature = "flex"))]
mod testing;
mod timestep;
mod uvit;

pub use block::{Attention, Block, Mlp};
pub use condition::Condition;
pub use config::{TextConfig, UVitConfig};
pub use denoiser::{Denoiser, Prediction};
pub use error::ModelError;
pub use flops::UVitFlops;
pub use import::{ImportError, ImportHints};
pub use init::Initializer;
pub use precision::cast;
pub use state::{TokenState, gather};
pub use timestep::{TimeMlp, apply, timestep_embedding};
pub use uvit::UVit;
