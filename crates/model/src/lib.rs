//! U-ViT (Bao et al., CVPR 2023, arXiv 2209.12152), the backbone of AdaDiff, with the autoencoder and the
//! text encoder that stand before it; generic over Burn's backends.
//!
//! A [`UVitConfig`] describes a network and [`init`](UVitConfig::init)s it. [`UVit`] predicts noise whole,
//! or block by block: the stepwise form is what early exits, caching and merging are made of, and whoever
//! wants to do something after each block has one place for it, [`UVit::walk_blocks`].
//!
//! ```
//! use adadiff_model::{Condition, ModelError, UVitConfig};
//! use burn::tensor::{Distribution, Tensor};
//! use burn_flex::Flex;
//!
//! let device = Default::default();
//! let config = UVitConfig { image_size: 16, channels: 1, depth: 4, ..UVitConfig::tiny() };
//! let network = config.init::<Flex>(7, &device)?;
//! let noisy = Tensor::random([2, 1, 16, 16], Distribution::Normal(0.0, 1.0), &device);
//! let timesteps = [900.0, 100.0];
//! let whole = network.forward(noisy.clone(), &timesteps, &Condition::None)?;
//!
//! // What every block predicts; the last block's prediction is the network's.
//! let mut layers = Vec::new();
//! let state = network.embed(noisy, &timesteps, &Condition::None)?;
//! network.for_each_block(0..network.num_blocks(), state, |_block, state| {
//!     layers.push(network.decode(state.hidden()));
//! });
//! assert_eq!(layers.len(), 5);
//! assert_eq!(layers[4].to_data(), whole.to_data());
//! # Ok::<(), ModelError>(())
//! ```
//!
//! Solvers see a [`Denoiser`], which [`UVit`] is, and so are the accelerations that need no training:
//! [`FeatureCache`], [`EasyCache`], [`TaylorSeer`], [`SpeCa`], [`TokenMerging`], and [`Switched`] between two
//! networks. [`autoencoder`] and [`clip`] are what latents and prompts need; [`kernels`] are the operations
//! that a backend may have its own form of.

pub mod autoencoder;
pub mod clip;

pub use adadiff_kernels as kernels;

mod batch_memory;
mod block;
mod condition;
mod config;
mod denoiser;
mod easy_cache;
mod error;
mod feature_cache;
mod flops;
mod head;
mod import;
mod init;
mod precision;
mod rows;
mod speca;
mod state;
mod switched;
mod taylor;
mod taylor_seer;
#[cfg(all(test, feature = "flex"))]
mod testing;
mod timestep;
mod token_merging;
mod uvit;

pub use batch_memory::{BatchMemory, Remembered};
pub use block::{Attention, Block, Mlp};
pub use condition::Condition;
pub use config::{TextConfig, UVitConfig};
pub use denoiser::{Denoiser, NoisyBatch, Prediction};
pub use easy_cache::EasyCache;
pub use error::ModelError;
pub use feature_cache::FeatureCache;
pub use flops::UVitFlops;
pub use head::Head;
pub use import::{ImportError, ImportHints};
pub use init::Initializer;
pub use precision::cast;
pub use rows::DecisionScope;
pub use speca::SpeCa;
pub use state::{TokenState, bytes_per_row, gather, read_back};
pub use switched::Switched;
pub use taylor_seer::TaylorSeer;
pub use timestep::{TimeMlp, apply, timestep_embedding};
pub use token_merging::TokenMerging;
pub use uvit::UVit;
