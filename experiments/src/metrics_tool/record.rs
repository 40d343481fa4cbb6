//! What a run found, with everything that it depends on.

use std::path::{Path, PathBuf};

use adadiff_data::LeftOut;
use adadiff_metrics::{PrecisionRecall, Preprocessing, Spread};
use serde::{Deserialize, Serialize, Serializer};

/// A line of results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricsRecord {
    #[serde(flatten)]
    pub figures: MetricFigures,
    /// The way of resizing, where images went through FID's network.
    pub mode: Option<Preprocessing>,
    pub samples: Set,
    pub reference: Option<Set>,
    /// The weights of FID's network, where images went through it.
    pub weights: Option<NamedFile>,
    /// The weights of CLIP's image model, where images went through it.
    pub clip_weights: Option<NamedFile>,
    /// The device that the networks were on.
    pub device: Option<String>,
    /// The type of the numbers that they computed with.
    pub dtype: Option<String>,
    /// Images that went through them together.
    pub batch: Option<usize>,
    pub written: Option<NamedFile>,
    /// How the numbers of samples bias the figures, and what else is to be known of them.
    pub notes: Vec<String>,
    pub version: String,
}

/// Figures, each with its settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricFigures {
    /// The Fréchet distance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fid: Option<f64>,
    /// The kernel distance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<Kid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<Score>,
    /// Precision and recall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pr: Option<Sides>,
    /// The maximum mean discrepancy of CLIP's embeddings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmmd: Option<f64>,
}

/// A kernel distance over subsets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kid {
    /// Mean and spread over the subsets.
    #[serde(flatten)]
    pub spread: Spread,
    pub subsets: usize,
    pub subset_size: usize,
    pub seed: u64,
}

/// An inception score over splits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean and spread over the splits.
    #[serde(flatten)]
    pub spread: Spread,
    pub splits: usize,
    /// Seed of the order in which samples were dealt out to them; absent in records of the order of names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// Precision and recall.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sides {
    #[serde(flatten)]
    pub sides: PrecisionRecall,
    /// The neighbour that balls reach to.
    pub neighbours: usize,
}

/// A set of samples or its statistics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Set {
    /// The folder or file.
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    pub kind: Kind,
    /// Samples that were taken; statistics do not tell of how many they are.
    pub count: Option<usize>,
    /// Files that turned out to be no images.
    pub skipped: usize,
    /// What lies beside the images of a folder or an archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    /// Features of each sample; values of an embedding where there are no other features.
    pub dims: usize,
    /// Whether the Fréchet distance is of statistics that the file holds.
    pub stored_statistics: bool,
    /// SHA-256 of the file, or of the list that `sha256sum` prints of a folder's images.
    pub sha256: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Image files in a folder.
    Folder,
    /// Image files in an archive.
    Zip,
    Images,
    Features,
    /// Mean and covariance of features.
    Statistics,
}

/// A file, told by its contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFile {
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    /// SHA-256 of it.
    pub sha256: String,
}

/// A path whose name need not be UTF-8: what is none is replaced.
fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
