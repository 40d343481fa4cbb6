use thiserror::Error;

/// What can be wrong with the input of a metric.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum MetricsError {
    /// Two things that must have the same number of dimensions do not.
    #[error("{what}: expected {expected} values for each sample, found {found}")]
    Dimensions {
        what: &'static str,
        expected: usize,
        found: usize,
    },
    /// A batch of features that is no whole number of rows.
    #[error("{values} values are no whole number of rows of {dims} features")]
    Rows { values: usize, dims: usize },
    /// An infinite value or one that is no number.
    #[error(
        "{what}, dimension {dimension}: the value is not finite; the samples or the network that \
         made it are broken"
    )]
    NotFinite { what: String, dimension: usize },
    /// A matrix that is the covariance of nothing.
    #[error("{reason}: this is no covariance")]
    NoCovariance { reason: String },
    /// A figure that is no number, because the values that it is made of are too large.
    #[error(
        "{what} is beyond all numbers: values of the features are too large to be squared; the \
         samples or the network that made them are broken"
    )]
    Overflow { what: &'static str },
    /// Features that were made in different ways.
    #[error(
        "the features of both sets were made in different ways, with {what} {first} and \
         {second}: the distance between them says nothing; make both in the same way"
    )]
    Origins {
        what: &'static str,
        first: String,
        second: String,
    },
    /// Too few samples for an unbiased covariance.
    #[error("a covariance needs at least 2 samples, found {found}")]
    TooFewSamples { found: u64 },
    /// Too few samples for what is asked of them.
    #[error("{what}: at least {needed} samples are needed, found {found}")]
    Samples {
        what: &'static str,
        needed: usize,
        found: usize,
    },
    /// A setting that counts something and is zero.
    #[error("{what} must be at least 1")]
    Zero { what: &'static str },
    /// Values that are no probabilities of classes.
    #[error(
        "the values of sample {sample} are no probabilities: one is negative, or they do not add \
         up to 1; give the softmax of the logits"
    )]
    Probabilities { sample: usize },
    /// A row of zeros where only its direction counts.
    #[error(
        "{what}, sample {sample}: all values are zero, so that it cannot be brought to length \
         one; the network that made it is broken"
    )]
    ZeroRow { what: &'static str, sample: usize },
    /// A shard that starts within a chunk.
    #[error("a shard must start at a multiple of {chunk} samples, not at sample {first_sample}")]
    ShardStart { first_sample: u64, chunk: u64 },
    /// Two shards between which samples are missing, doubled or not cut at the border of a chunk.
    #[error(
        "the next shard starts at sample {found}, but the one before it ends at {end}; merge \
         shards in order, cut at multiples of {chunk} samples"
    )]
    NotAdjacent { end: u64, found: u64, chunk: u64 },
    /// Stored statistics whose parts contradict each other.
    #[error("damaged statistics: {0}")]
    Damaged(String),
    /// A decomposition of a covariance did not converge.
    #[error("the decomposition of a covariance of {dims} dimensions did not converge")]
    Decomposition { dims: usize },
    /// An account of more blocks than the network has.
    #[error("an evaluation of one sample ran {found} blocks, but the network has {blocks}")]
    Blocks { found: u32, blocks: usize },
}

/// A figure, which is an error where it is not finite.
pub(crate) fn finite(what: &'static str, value: f64) -> Result<f64, MetricsError> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(MetricsError::Overflow { what })
    }
}
