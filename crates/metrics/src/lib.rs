//! What judges a set of samples: where they are read from, feature extractors, mergeable
//! statistics, distances between sets of features and the account of what computing the samples
//! took.

mod cifar_cnn;
mod classifier;
mod cmmd;
mod compute_cost;
mod cost_model;
mod error;
mod evaluation_counts;
mod factor;
mod fashion_cnn;
mod features;
mod frechet;
mod gaussian_stats;
mod gram;
mod images;
mod inception;
mod inception_score;
mod kernel_distance;
mod npz;
mod nuclear_norm;
mod origin;
mod precision_recall;
mod source;
mod spread;
#[cfg(test)]
mod testing;

pub use cifar_cnn::{CifarCnn, CifarCnnConfig};
pub use classifier::Classifier;
pub use cmmd::{RowLength, cmmd};
pub use compute_cost::{ComputeCost, ComputeSummary, Evaluation};
pub use cost_model::CostModel;
pub use error::MetricsError;
pub use evaluation_counts::EvaluationCounts;
pub use fashion_cnn::{FEATURES_NAME, FashionCnn, FashionCnnConfig};
pub use features::{Features, Values};
pub use frechet::{Gaussian, frechet_distance};
pub use gaussian_stats::{CHUNK, GaussianStats};
pub use images::{FileSet, FileSetError, ImageBatch};
pub use inception::{
    INCEPTION_CLASSES, INCEPTION_FEATURES, INCEPTION_LANDMARK, Inception, InceptionOutput,
    Preprocessing,
};
pub use inception_score::inception_score;
pub use kernel_distance::{KidSubsets, kernel_distance, kernel_distance_of_subsets};
pub use npz::{
    FeatureSet, ImageSet, NpzError, parse_statistics, read_origin, read_statistics,
    write_statistics,
};
pub use origin::FeatureOrigin;
pub use precision_recall::{PrecisionRecall, precision_recall};
pub use source::{Samples, Source, SourceError};
pub use spread::Spread;
