use thiserror::Error;

/// What can be wrong with a model's configuration or input.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ModelError {
    /// A configuration that describes no network.
    #[error("invalid model configuration: {0}")]
    Config(String),
    /// The condition is not of the kind that the network was built for.
    #[error("the network expects a {expected} condition, but was given {given}")]
    Condition {
        /// The kind that the network was built for.
        expected: &'static str,
        /// The kind that was given.
        given: &'static str,
    },
    /// An input whose shape does not suit the network.
    #[error("{what}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// The input's name.
        what: &'static str,
        /// The expected shape.
        expected: Vec<usize>,
        /// The shape that was given.
        found: Vec<usize>,
    },
    /// The device failed to give back a result.
    #[error("the device failed to give back a result: {0}")]
    Device(String),
}
