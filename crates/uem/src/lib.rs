//! Uncertainty estimation, exit policies and the adaptive U-ViT that skips blocks per sample.

mod ada_diff;
mod adaptive;
mod calibration;
mod estimator;
mod import;
mod policy;
mod trace;

pub use ada_diff::{AdaDiff, AdaDiffConfig, LayerPredictions};
pub use adaptive::AdaptiveUVit;
pub use calibration::{
    CalibratedThreshold, CalibrationError, calibrate, calibrate_excess, exits_under,
};
pub use estimator::{EstimatorForm, UncertaintyEstimator, estimator_flops};
pub use policy::{
    BlockContext, CheckedBlocks, DepthSchedule, ExcessThreshold, ExitPolicy, FixedDepth, Never,
    Patience, ScheduledDepth, Threshold, UncertaintyFloor,
};
pub use trace::{ExitTrace, TraceStep};
