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
pub use import::AutoencoderHints;
pub use network::Autoencoder;
