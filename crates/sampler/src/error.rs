//! What can go wrong while sampling.

use adadiff_model::ModelError;
use thiserror::Error;

/// Why no samples came out.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum SampleError {
    /// A walk without steps.
    #[error("sampling needs at least one step, but 0 were asked for")]
    ZeroSteps,
    /// A request for nothing.
    #[error("sampling needs at least one sample, but 0 were asked for")]
    ZeroSamples,
    /// Batches of nothing.
    #[error("sampling needs batches of at least one sample, but the batch size is 0")]
    ZeroBatch,
    /// An image without pixels.
    #[error(
        "an image of shape {shape:?} (channels, height, width) has no pixels: \
         each number should be at least 1"
    )]
    EmptyShape {
        /// The shape `[channels, height, width]` that was asked for.
        shape: [usize; 3],
    },
    /// Sample indices beyond what can be numbered.
    #[error(
        "{count} samples from index {first} on do not fit into 64-bit indices: \
         choose a smaller first index"
    )]
    SampleIndex {
        /// Index of the first sample.
        first: u64,
        /// Number of samples.
        count: usize,
    },
    /// A condition with too few or too many rows.
    #[error("the {kind} condition has {found} rows, but {expected} samples were asked for")]
    ConditionRows {
        /// The condition's kind.
        kind: &'static str,
        /// The number of samples.
        expected: usize,
        /// The condition's rows.
        found: usize,
    },
    /// DDIM's share of noise outside its range.
    #[error("DDIM's eta should lie between 0 (no noise) and 1 (DDPM's noise), but is {0}")]
    Eta(f64),
    /// A guidance scale that is not a number.
    #[error("the guidance scale should be a finite number, but is {0}")]
    GuidanceScale(f64),
    /// A time grid that ends where it must not.
    #[error(
        "the time grid should end above 0 and before the schedule's start at {start}, \
         but ends at {end}"
    )]
    EndTime {
        /// Where the walk starts.
        start: f64,
        /// Where it was to end.
        end: f64,
    },
    /// The network refused its input.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The observer asked to stop.
    #[error("sampling was cancelled after {finished} finished samples")]
    Cancelled {
        /// Samples that had gone through every step.
        finished: usize,
    },
}
