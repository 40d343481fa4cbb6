//! What can go wrong with schedules and while sampling.

use adadiff_model::ModelError;
use thiserror::Error;

/// Why no samples came out.
#[derive(Clone, Debug, Error, PartialEq)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
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
    SampleIndex { first: u64, count: usize },
    /// A condition with too few or too many rows.
    #[error("the {kind} condition has {found} rows, but {expected} samples were asked for")]
    ConditionRows {
        kind: &'static str,
        expected: usize,
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
    EndTime { start: f64, end: f64 },
    /// A time grid that ends where the schedule has no noise.
    #[error(
        "the schedule has no noise left at {end}, where the time grid ends: \
         end at its first step or later"
    )]
    NoiselessEnd { end: f64 },
    /// A grid of steps for a schedule in continuous time.
    #[error(
        "a grid of trained steps needs a schedule of discrete steps, but this one has continuous \
         time: use a grid of times"
    )]
    NoTrainedSteps,
    /// More updates than the grid finds steps for.
    #[error(
        "the schedule has trained steps for at most {most} updates, but {steps} were asked for"
    )]
    TooManySteps { steps: usize, most: usize },
    /// A grid of steps that leaves the schedule.
    #[error(
        "the grid visits step {step}, but the {trained} trained steps are numbered from 0: \
         choose a smaller offset or fewer updates"
    )]
    StepOutside { step: usize, trained: usize },
    /// An order that a solver does not have.
    #[error("{solver} has the orders 1 to 3, but {order} was asked for")]
    Order { solver: &'static str, order: usize },
    /// Too few network evaluations for one update.
    #[error(
        "an update of order {order} takes {order} network evaluations, but the walk was given {steps}"
    )]
    StepsBelowOrder { order: usize, steps: usize },
    /// A bound of the predicted data that is none.
    #[error("the bound of the predicted data should be a number above 0, but is {0}")]
    DataBound(f64),
    /// Given noise of another shape than the samples.
    #[error("the given {what} has the shape {found:?}, but the samples have {expected:?}")]
    NoiseShape {
        what: &'static str,
        /// `[samples, channels, height, width]` of the samples.
        expected: [usize; 4],
        found: [usize; 4],
    },
    /// Fewer noises than updates that add some.
    #[error(
        "update {update} (counted from 0) adds noise, but noise was given for {given} updates only"
    )]
    MissingNoise {
        update: usize,
        /// Number of updates that noise was given for.
        given: usize,
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

/// Why a noise schedule makes no sense.
#[derive(Clone, Debug, Error, PartialEq)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ScheduleError {
    /// A table that cannot be interpolated.
    #[error("a discrete schedule needs at least two steps, but has {steps}")]
    TooFewSteps { steps: usize },
    /// A table that would exhaust the memory.
    #[error("a discrete schedule has at most {most} steps, but {steps} were asked for")]
    TooManySteps { steps: usize, most: usize },
    /// A variance out of range.
    #[error(
        "the variance of step {step} (counted from 0) should be between 0 and 1, but is {beta}"
    )]
    Beta { step: usize, beta: f64 },
    /// A linear `beta(t)` that does not grow.
    #[error("beta should grow from at least 0, but goes from {beta_min} to {beta_max}")]
    BetaRange { beta_min: f64, beta_max: f64 },
    /// A cosine schedule's offset out of range.
    #[error("the cosine schedule's offset s should be a number above 0, but is {0}")]
    CosineOffset(f64),
}
