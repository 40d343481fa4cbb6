use thiserror::Error;

/// What can be wrong with a model's configuration or input.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ModelError {
    /// A configuration that describes no network.
    #[error("invalid model configuration: {0}")]
    Config(String),
    /// The condition is not of the kind that the network was built for.
    #[error("the network expects a {expected} condition, but was given {given}")]
    Condition {
        expected: &'static str,
        given: &'static str,
    },
    /// An input whose shape does not suit the network.
    #[error("{what}: expected shape {expected:?}, found {found:?}")]
    Shape {
        what: &'static str,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    /// Images whose height or width an autoencoder cannot halve often enough.
    #[error(
        "images of {}x{} pixels cannot be encoded: height and width must be multiples of \
         {divisor}; crop or resize them",
        size[0], size[1]
    )]
    Indivisible { size: [usize; 2], divisor: usize },
    /// A token that is not in a text model's vocabulary.
    #[error("token {id} is not in the text model's vocabulary of {vocabulary}")]
    Token {
        /// The token's number.
        id: u32,
        /// Tokens in the vocabulary, which are numbered from 0.
        vocabulary: usize,
    },
    /// A text of no tokens, or of more than a text model has positions for.
    #[error("a text must have 1 to {most} tokens, found {found}; cut it, or pad it if it has none")]
    Tokens { most: usize, found: usize },
    /// The device failed to give back a result.
    #[error("the device failed to give back a result: {0}")]
    Device(String),
}

/// Holds an input's shape against the one that suits the network.
pub(crate) fn expect_shape(
    what: &'static str,
    expected: &[usize],
    found: &[usize],
) -> Result<(), ModelError> {
    if expected == found {
        return Ok(());
    }
    Err(ModelError::Shape {
        what,
        expected: expected.to_vec(),
        found: found.to_vec(),
    })
}
