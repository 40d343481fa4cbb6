use std::error::Error;
use std::path::PathBuf;

use adadiff_backends::BackendError;
use adadiff_metrics::MetricsError;
use adadiff_model::ModelError;
use adadiff_sampler::{SampleError, ScheduleError};
use adadiff_storage::StorageError;
use adadiff_uem::{AllocationError, CalibrationError};
use adadiff_weights::WeightError;
use thiserror::Error;

use crate::FdIncrease;

/// What can go wrong between opening weights and a budget that is met.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum PipelineError {
    /// The monitor asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A setting makes no sense.
    #[error("{0}")]
    Config(&'static str),
    /// A file of weights without a preset in its header.
    #[error(
        "{} does not say which network it holds: it was not written by this program's `train`",
        path.display()
    )]
    NoPreset { path: PathBuf },
    /// The preset in the header of a file of weights cannot be used.
    #[error("the preset inside {} is not usable", path.display())]
    Preset {
        path: PathBuf,
        source: Box<dyn Error + Send + Sync>,
    },
    /// The file is smaller than the network that its header describes.
    #[error(
        "{} has {bytes} bytes, too few for the {parameters} parameters of the network that its \
         preset describes",
        path.display()
    )]
    TooSmall {
        path: PathBuf,
        bytes: usize,
        parameters: u64,
    },
    /// The weights cannot be loaded.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The device cannot do what is asked of it.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The network refused its configuration or input.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The noise schedule makes no sense.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Samples cannot be drawn so.
    #[error(transparent)]
    Sample(SampleError),
    /// A number that no statistics and no picture can hold.
    #[error(
        "sample {sample} has values that are no finite numbers: the weights are broken, or the \
         precision they are computed in is too low"
    )]
    NotFinite { sample: u64 },
    /// Guidance without anything to be guided by.
    #[error(
        "guidance needs a network that is conditioned on classes or text, and was trained without them, too"
    )]
    NothingToGuideBy,
    /// A network on text without text.
    #[error(
        "the network is conditioned on text: name prompts, or prepared latents with their contexts"
    )]
    NoPrompts,
    /// Nothing tells how uncertain blocks are.
    #[error(
        "the checkpoint holds a backbone alone: nothing tells how uncertain its blocks are. Sample \
         at full or at a fixed depth, or train the joint objective first"
    )]
    NoEstimators,
    /// No exits meet a share of blocks.
    #[error(transparent)]
    Threshold(#[from] CalibrationError),
    /// No exits meet a share of blocks.
    #[error(transparent)]
    Allocation(#[from] AllocationError),
    /// Features or statistics cannot be used.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// What distances are measured by is missing or damaged.
    #[error(transparent)]
    Reference(Box<dyn Error + Send + Sync>),
    /// Nothing was given to measure distances by.
    #[error(
        "the exit rules `distance` and `forecast` are calibrated by how far samples are from a data set's \
         images: give the calibrator features and statistics of them (`with_reference`), or ask for \
         another rule, of which `allocated` needs neither"
    )]
    NoReference,
    /// Statistics of other features.
    #[error("the reference statistics are of {found} features, {features} has {expected}")]
    OtherFeatures {
        found: usize,
        features: &'static str,
        expected: usize,
    },
    /// Images that an extractor does not know.
    #[error("{features} is for images of {expected:?} (channels, height, width), not of {found:?}")]
    OtherImages {
        features: &'static str,
        expected: [usize; 3],
        found: [usize; 3],
    },
    /// Too few samples for a covariance of full rank.
    #[error("a Fréchet distance over {dims} features needs more than {dims} samples, {asked}")]
    TooFewSamples {
        dims: usize,
        /// Where the number of samples comes from.
        asked: String,
    },
    /// A distance that is no number.
    #[error("the Fréchet distance is not finite: the samples or the reference are broken")]
    NoDistance,
    /// Prompts that are too few to stand for a data set.
    #[error(
        "the exit rule `distance` is calibrated by the distance of {samples} samples from a data set's \
         images, of which so few prompts ({prompts}) tell too little: calibrate on prepared latents \
         with the same guidance first, or by the rule `allocated`"
    )]
    TooFewPrompts { samples: usize, prompts: usize },
    /// No exits are as fast as was asked for.
    #[error(
        "a speed-up of {asked} was not reached on {device} in batches of {batch}: {:.1} % fewer \
         blocks measured {measured:.2}",
        100.0 * reduction
    )]
    TooSlow {
        asked: f64,
        device: String,
        batch: usize,
        reduction: f64,
        measured: f64,
    },
    /// No exits keep the samples as close as was asked for.
    #[error(
        "no threshold keeps the Fréchet distance within {asked} of the full network's {full:.2}, \
         measured on {samples} samples: {:.1} % fewer blocks already give {measured:.2}",
        100.0 * reduction
    )]
    TooFar {
        asked: FdIncrease,
        full: f64,
        samples: usize,
        reduction: f64,
        measured: f64,
    },
    /// What a caller does between two parts of a run failed.
    #[error(transparent)]
    Caller(Box<dyn Error + Send + Sync>),
}

impl From<SampleError> for PipelineError {
    fn from(error: SampleError) -> Self {
        match error {
            SampleError::Cancelled { .. } => Self::Interrupted,
            error => Self::Sample(error),
        }
    }
}
