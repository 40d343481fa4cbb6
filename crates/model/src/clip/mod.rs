//! CLIP (Radford et al., ICML 2021, arXiv 2103.00020). Its text side: captions to token ids, token
//! ids to the context of a text-conditional network. Its image side: images to embeddings, by which
//! sets of images are compared.

mod config;
mod import;
mod layer;
mod text;
#[cfg(feature = "tokenizer")]
pub mod tokenizer;
mod vision;
mod vision_config;
mod vision_import;

pub use config::{Activation, ClipTextConfig};
pub use import::ClipTextHints;
pub use text::{ClipText, TextFeatures};
pub use vision::ClipVision;
pub use vision_config::ClipVisionConfig;
pub use vision_import::ClipVisionHints;
