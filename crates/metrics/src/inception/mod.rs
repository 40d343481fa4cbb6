//! The network whose features define FID: Inception-v3 (Szegedy et al. 2016, arXiv 1512.00567) as
//! TensorFlow published it in 2015 and pytorch-fid holds it.
//!
//! It differs from torchvision's Inception in its weights, its 1,008 classes, averages that leave
//! out what lies beyond the border, and the maximum in the last block's pooling branch.

mod block_a;
mod block_b;
mod block_c;
mod block_d;
mod block_e;
mod convolution;
mod import;
mod network;
mod pooling;
mod preprocess;
mod resampling;

pub use block_a::BlockA;
pub use block_b::BlockB;
pub use block_c::BlockC;
pub use block_d::BlockD;
pub use block_e::BlockE;
pub use convolution::Convolution;
pub use import::INCEPTION_LANDMARK;
pub use network::{INCEPTION_CLASSES, INCEPTION_FEATURES, Inception, InceptionOutput};
pub use preprocess::Preprocessing;
