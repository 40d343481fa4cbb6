//! Uncertainty estimation, exit policies and the adaptive U-ViT that skips blocks per sample.

mod ada_diff;
mod adaptive;
mod allocation;
mod batch_exit;
mod block_errors;
mod calibration;
mod estimator;
mod import;
mod policy;
mod timestep_biases;
mod trace;

pub use ada_diff::{AdaDiff, AdaDiffConfig, HeadForm, LayerPredictions};
pub use adaptive::AdaptiveUVit;
pub use allocation::{Allocation, AllocationError, allocate};
pub use batch_exit::BatchExit;
pub use block_errors::{BlockErrorRecorder, ErrorStep, ErrorTrace};
pub use calibration::{
    CalibratedThreshold, CalibrationError, calibrate, calibrate_excess, calibrate_policy,
    exits_under,
};
pub use estimator::{EstimatorForm, UncertaintyEstimator, UncertaintyForm};
pub use policy::{
    BlockContext, CheckEvery, DepthSchedule, ExcessThreshold, ExitPolicy, ExitSignal, ExitWindow,
    ExitWindows, FixedDepth, FullDepth, Patience, Saturation, ScheduledDepth, Threshold,
    UncertaintyFloor,
};
pub use trace::{ExitTrace, TraceStep};
