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
mod feature_cache;
mod flops;
mod head;
mod import;
mod init;
mod precision;
mod state;
mod switched;
#[cfg(all(test, feature = "flex"))]
mod testing;
mod timestep;
mod token_merging;
mod uvit;

pub use block::{Attention, Block, Mlp};
pub use condition::Condition;
pub use config::{TextConfig, UVitConfig};
pub use denoiser::{Denoiser, Prediction};
pub use error::ModelError;
pub use feature_cache::FeatureCache;
pub use flops::UVitFlops;
pub use head::Head;
pub use import::{ImportError, ImportHints};
pub use init::Initializer;
pub use precision::cast;
pub use state::{TokenState, gather};
pub use switched::Switched;
pub use timestep::{TimeMlp, apply, timestep_embedding};
pub use token_merging::TokenMerging;
pub use uvit::UVit;
