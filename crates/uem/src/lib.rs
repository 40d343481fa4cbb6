//! Uncertainty estimation, exit policies and the adaptive U-ViT that skips blocks per sample.

mod ada_diff;
mod adaptive;
mod allocation;
mod batch_exit;
mod calibration;
mod estimator;
mod import;
mod layer_errors;
mod policy;
mod time_biases;
mod trace;

pub use ada_diff::{AdaDiff, AdaDiffConfig, HeadForm, LayerPredictions};
pub use adaptive::AdaptiveUVit;
pub use allocation::{Allocation, AllocationError, allocate};
pub use batch_exit::BatchExit;
pub use calibration::{
    CalibratedThreshold, CalibrationError, calibrate, calibrate_excess, calibrate_policy,
    exits_under,
};
pub use estimator::{EstimatorForm, UncertaintyEstimator, UncertaintyForm};
pub use layer_errors::{ErrorStep, ErrorTrace, LayerErrors};
pub use policy::{
    BlockContext, CheckedBlocks, DepthSchedule, Evidence, ExcessThreshold, ExitPolicy, ExitWindow,
    ExitWindows, FixedDepth, Never, Patience, Saturation, ScheduledDepth, Threshold,
    UncertaintyFloor,
};
pub use trace::{ExitTrace, TraceStep};
