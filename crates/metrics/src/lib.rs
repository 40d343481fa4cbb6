//! What judges a set of samples: feature extractors, mergeable statistics, the Fréchet distance
//! and the account of what computing the samples took.

mod compute_cost;
mod error;
mod fashion_cnn;
mod frechet;
mod gaussian_stats;

pub use compute_cost::{ComputeCost, ComputeSummary, Evaluation};
pub use error::MetricsError;
pub use fashion_cnn::{FEATURES_NAME, FashionCnn, FashionCnnConfig};
pub use frechet::{Gaussian, frechet_distance};
pub use gaussian_stats::{CHUNK, GaussianStats};
