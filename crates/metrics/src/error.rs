use thiserror::Error;

/// What can be wrong with the input of a metric.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MetricsError {
    /// Two things that must have the same number of dimensions do not.
    #[error("{what}: expected {expected} values for each sample, found {found}")]
    Dimensions {
        /// What was given.
        what: &'static str,
        /// The expected number.
        expected: usize,
        /// The number found.
        found: usize,
    },
    /// A batch of features that is no whole number of rows.
    #[error("{values} values are no whole number of rows of {dims} features")]
    Rows {
        /// The number of values given.
        values: usize,
        /// Features of each sample.
        dims: usize,
    },
    /// An infinite value or one that is no number.
    #[error(
        "{what}, dimension {dimension}: the value is not finite; the samples or the network that \
         made it are broken"
    )]
    NotFinite {
        /// Where the value was met.
        what: String,
        /// The feature's index.
        dimension: usize,
    },
    /// Too few samples for an unbiased covariance.
    #[error("a covariance needs at least 2 samples, found {found}")]
    TooFewSamples {
        /// Samples given.
        found: u64,
    },
    /// A shard that starts within a chunk.
    #[error("a shard must start at a multiple of {chunk} samples, not at sample {first_sample}")]
    ShardStart {
        /// Where it was to start.
        first_sample: u64,
        /// Samples in a chunk.
        chunk: u64,
    },
    /// Two shards between which samples are missing, doubled or not cut at the border of a chunk.
    #[error(
        "the next shard starts at sample {found}, but the one before it ends at {end}; merge \
         shards in order, cut at multiples of {chunk} samples"
    )]
    NotAdjacent {
        /// Where the left shard ends.
        end: u64,
        /// Where the right shard starts.
        found: u64,
        /// Samples in a chunk.
        chunk: u64,
    },
    /// Stored statistics whose parts contradict each other.
    #[error("damaged statistics: {0}")]
    Damaged(String),
    /// The eigen-decomposition of a covariance did not converge.
    #[error("the decomposition of a covariance of {dims} dimensions did not converge")]
    Decomposition {
        /// Its side.
        dims: usize,
    },
    /// An account of more blocks than the network has.
    #[error("an evaluation of one sample ran {found} blocks, but the network has {blocks}")]
    Blocks {
        /// Blocks run.
        found: u32,
        /// Blocks of the network.
        blocks: usize,
    },
}
