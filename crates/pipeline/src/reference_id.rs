//! What a distance was measured by, in what is stored.

use serde::{Deserialize, Serialize};

/// What a distance was measured by, in what is stored. Nothing in its place stands for what comes with
/// the data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceId {
    /// The features.
    pub features: String,
    /// What samples were compared with: the SHA-256 of a file of statistics, or where the images lie.
    pub reference: String,
}
