//! Early exit for U-ViT: estimators that tell after every block how wrong the noise prediction would be,
//! policies that decide by it, and the network that runs blocks only for the samples that still need
//! them.
//!
//! [`AdaDiff`] is the network that is trained: a backbone of any size with an [`UncertaintyEstimator`]
//! behind every block. [`AdaptiveUVit`] runs it under an [`ExitPolicy`], of which there are several:
//! [`FullDepth`], [`FixedDepth`], [`Threshold`] (the paper's), [`Patience`] (the published code's),
//! [`ExitWindows`], [`DepthSchedule`], [`Saturation`]. A policy sees one sample at a time, and is asked
//! what it wants to know: what nobody asks for is not computed.
//!
//! A policy of one's own, on a network of one's own size:
//!
//! ```
//! use adadiff_model::{Condition, Denoiser, ModelError, UVitConfig};
//! use adadiff_uem::{AdaDiffConfig, AdaptiveUVit, BlockContext, ExitPolicy, ExitSignal};
//! use burn::tensor::{Distribution, Tensor};
//! use burn_flex::Flex;
//!
//! /// A sample leaves once a further block has not made it surer.
//! #[derive(Debug)]
//! struct Plateau;
//!
//! impl ExitPolicy for Plateau {
//!     fn signal(&self, _context: BlockContext) -> ExitSignal {
//!         ExitSignal::Uncertainty
//!     }
//!
//!     fn should_exit(&self, _context: BlockContext, uncertainty: &[f32]) -> bool {
//!         matches!(uncertainty, [.., before, latest] if latest >= before)
//!     }
//! }
//!
//! let device = Default::default();
//! let backbone = UVitConfig { depth: 6, width: 48, ..UVitConfig::tiny() };
//! let network = AdaDiffConfig::new(backbone).init::<Flex>(0, &device)?;
//! let noisy = Tensor::random([4, 2, 8, 8], Distribution::Default, &device);
//! let found = AdaptiveUVit::new(&network, Plateau).predict(noisy, 500.0, &Condition::None)?;
//! assert_eq!(found.noise.dims(), [4, 2, 8, 8]);
//! for (&blocks, uncertainty) in found.blocks.iter().zip(&found.exit_signal) {
//!     println!("left after {blocks} of 7 blocks: {uncertainty:.3?}");
//!     assert!((2..=7).contains(&blocks));
//! }
//! # Ok::<(), ModelError>(())
//! ```
//!
//! A policy may have samples leave with a [`Forecast`] of the blocks that they skip, made of what they kept
//! of the evaluations before.
//!
//! What samples did is an [`ExitTrace`]. From one that was recorded at every block
//! ([`AdaptiveUVit::recording`]) a threshold for a budget of blocks is found with [`calibrate`], and
//! windows over time, from recorded errors ([`BlockErrorRecorder`]), with [`allocate`]. [`BatchExit`] is
//! the published code's exit of a whole batch, for comparison.

mod ada_diff;
mod adaptive;
mod allocation;
mod batch_exit;
mod block_errors;
mod calibration;
mod estimator;
mod exited;
mod forecast;
mod import;
mod memory;
mod policy;
mod states;
mod timestep_biases;
mod trace;

pub use ada_diff::{AdaDiff, AdaDiffConfig, HeadForm, LayerPredictions};
pub use adaptive::AdaptiveUVit;
pub use allocation::{Allocation, AllocationError, allocate};
pub use batch_exit::BatchExit;
pub use block_errors::{BlockErrorRecorder, ErrorStep, ErrorTrace};
pub use calibration::{CalibratedThreshold, CalibrationError, calibrate, calibrate_policy};
pub use estimator::{EstimatorForm, UncertaintyEstimator, UncertaintyForm};
pub use forecast::{Forecast, Kept};
pub use policy::{
    BlockCache, BlockContext, CheckEvery, DepthSchedule, ExitPolicy, ExitSignal, ExitWindow,
    ExitWindows, FixedDepth, FullDepth, Patience, Saturation, ScheduledDepth, Threshold,
    forecast_exit, replay,
};
pub use trace::{ExitTrace, TraceStep};
