//! What judges a set of samples: where they are read from, feature extractors, mergeable
//! statistics, distances between sets of features and the account of what computing the samples
//! took.
//!
//! A [`Source`] is read into images ([`Samples`]) and a network ([`Inception`], [`FashionCnn`]) makes features of them.
//! [`GaussianStats`] adds features up, in shards that merge to the bit; [`frechet_distance`] compares two of them.
//! Distances that need every feature take [`Features`]: [`kernel_distance`] (KID), [`precision_recall`], [`cmmd`].
//! [`EvaluationCounts`] and a [`CostModel`] say what sampling took.
//!
//! ```
//! use adadiff_metrics::{Features, GaussianStats, frechet_distance, precision_recall};
//!
//! // Features of three samples each, `[samples, dims]` row by row.
//! let real = [0.0_f32, 0.0, 2.0, 0.0, 0.0, 2.0];
//! let drawn = real.map(|value| value + 1.0);
//! let gaussian = |features: &[f32]| -> Result<_, adadiff_metrics::MetricsError> {
//!     let mut stats = GaussianStats::new(2);
//!     features.chunks(2).try_for_each(|sample| stats.push(sample))?;
//!     stats.gaussian()
//! };
//! // Equal covariances, and means that lie one apart in both features.
//! let distance = frechet_distance(&gaussian(&real)?, &gaussian(&drawn)?)?;
//! assert!((distance - 2.0).abs() < 1e-12);
//!
//! let real = Features::new("real", &real[..], 2)?;
//! let drawn = Features::new("drawn", &drawn[..], 2)?;
//! assert_eq!(precision_recall(&real, &drawn, 1)?.precision, 1.0);
//! # Ok::<(), adadiff_metrics::MetricsError>(())
//! ```

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
mod similarity;
mod source;
mod spread;
#[cfg(test)]
mod testing;

pub use cifar_cnn::{CIFAR_CNN_NAME, CifarCnn, CifarCnnConfig};
pub use classifier::Classifier;
pub use cmmd::{RowLength, cmmd};
pub use compute_cost::{ComputeCost, ComputeSummary, Evaluation};
pub use cost_model::CostModel;
pub use error::MetricsError;
pub use evaluation_counts::EvaluationCounts;
pub use fashion_cnn::{FASHION_CNN_NAME, FashionCnn, FashionCnnConfig};
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
    FeatureSet, NpzError, NpzImages, parse_statistics, read_origin, read_statistics,
    write_statistics,
};
pub use origin::FeatureOrigin;
pub use precision_recall::{PrecisionRecall, precision_recall};
pub use similarity::{Similarity, psnr, ssim};
pub use source::{Samples, Source, SourceError};
pub use spread::Spread;
