//! A budget in, samples out.
//!
//! [`Pipeline::open`] puts a network on a device, with the sampling settings of its weights' header. A
//! [`Calibrator`] finds the exits for a budget: those that lie beside the weights, or, where none do,
//! calibrated now. The pipeline then samples by them.
//!
//! ```
//! use adadiff_pipeline::{Calibrator, Pipeline, SampleSpec, Silent};
//! use burn_flex::Flex;
//!
//! # let weights = concat!(env!("CARGO_MANIFEST_DIR"), "/../../experiments/assets/fashion_mnist/weights.safetensors");
//! let pipeline = Pipeline::<Flex>::open(weights, Default::default())?;
//! let exits = Calibrator::new(&pipeline).for_reduction(0.45, &Silent)?;
//! let samples = pipeline.sample(exits.policy(), &SampleSpec::new(2))?;
//! assert_eq!(samples.pixels.len(), 2 * 32 * 32);
//! assert!(samples.trace.block_reduction() > 0.4);
//! # Ok::<(), adadiff_pipeline::PipelineError>(())
//! ```
//!
//! A budget may also be a speed-up ([`Calibrator::for_speedup`]) or how far a Fréchet distance may grow
//! ([`Calibrator::for_fd_increase`]), which an [`Evaluator`] measures. [`CalibrationFile::add`] stores
//! what was found beside the weights, and every stored [`Calibration`] knows the SHA-256 of the weights
//! that it is of. A [`Monitor`] watches long work and may end it. [`SampleStats`] judges many samples, part
//! after part; [`time_interleaved`] times methods that take turns.

mod allocated;
mod block_predictions;
mod budget;
mod calibration;
mod calibration_file;
mod calibrator;
mod coarse;
mod cost;
mod error;
mod evaluator;
mod exit_cost;
mod exit_rule;
mod features;
mod forecast;
mod interleaved;
mod latent_decoder;
mod monitor;
mod network_file;
mod pipeline;
mod record;
mod reference;
mod reference_id;
mod sample_spec;
mod sample_stats;
mod sampling_config;
mod segments;
mod sensitivity;
mod stored;
#[cfg(test)]
mod testing;
mod threshold;
mod timesteps;

pub use block_predictions::BlockPrediction;
pub use budget::{BudgetResult, BudgetTarget, FdIncrease};
pub use calibration::{Calibration, CalibrationKey, Evidence, ExitSetting};
pub use calibration_file::CalibrationFile;
pub use calibrator::{CALIBRATION_ROUNDS, Calibrator, settle};
pub use cost::network_cost;
pub use error::PipelineError;
pub use evaluator::{Evaluator, distance_from, ensure_enough};
pub use exit_rule::ExitRule;
pub use features::{FeatureExtractor, INCEPTION_NAME, PIXELS_NAME};
pub use interleaved::{
    median, median_ratio, median_ratio_bounds, samples_to_time, time_interleaved,
};
pub use latent_decoder::LatentDecoder;
pub use monitor::{Monitor, Silent};
pub use network_file::{BACKBONE_PHASE, NetworkFile, PHASE_KEY, PRESET_KEY};
pub use pipeline::{Generated, Pipeline};
pub use record::StoredCalibration;
pub use reference::{CalibrationReference, ReferenceSource};
pub use reference_id::ReferenceId;
pub use sample_spec::{Conditions, Contexts, SamplePlan, SampleSpec};
pub use sample_stats::{KeepStats, SampleStats};
pub use sampling_config::{MOST_SAMPLING, PipelineConfig, SamplingConfig};
