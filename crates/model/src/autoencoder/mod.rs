//! The KL autoencoder of latent diffusion (Rombach et al., CVPR 2022, arXiv 2112.10752): images to
//! latents and back.

mod config;
mod decoder;
mod encoder;
mod import;
mod layers;
mod layout;
mod network;

pub use config::AutoencoderConfig;
pub use decoder::{AutoencoderDecoder, UpLevel};
pub use encoder::{AutoencoderEncoder, DownLevel};
pub use import::AutoencoderHints;
pub use layers::{Middle, PixelAttention, ResidualBlock};
pub use network::Autoencoder;
