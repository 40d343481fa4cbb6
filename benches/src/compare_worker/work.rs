//! What a case does.

use anyhow::Result;
use burn::tensor::TensorData;

/// Arrays by the names that the peer gives them too.
pub type Outputs = Vec<(&'static str, TensorData)>;

/// Something that is loaded once and run many times.
pub trait Work {
    /// Does once what is timed and waits until the device is done.
    ///
    /// # Errors
    /// Where the inputs do not suit the case or the device fails.
    fn run(&mut self) -> Result<()>;

    /// Does it once and returns what the two sides have to agree on.
    ///
    /// # Errors
    /// As [`Self::run`].
    fn outputs(&mut self) -> Result<Outputs>;

    /// Floating-point operations of a run, where only matrix products count and all are known.
    fn flops(&self) -> Option<f64> {
        None
    }
}
