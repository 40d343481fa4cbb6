//! Where a walk's noise comes from.

mod source;
mod stream;

pub(crate) use source::BatchOfNoise;
pub use source::NoiseSource;
pub use stream::NoiseStream;
