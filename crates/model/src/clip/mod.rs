//! CLIP's text side (Radford et al., ICML 2021, arXiv 2103.00020): captions to token ids, token ids
//! to the context of a text-conditional network.

mod config;
mod import;
mod layer;
mod text;
pub mod tokenizer;

pub use config::{Activation, ClipTextConfig};
pub use import::ClipTextHints;
pub use layer::{ClipAttention, ClipLayer, ClipMlp};
pub use text::{ClipText, TextFeatures};
