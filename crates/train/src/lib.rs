//! Training: AdamW with PyTorch's meaning, a moving average of the weights, two phases, and exact
//! resume.

mod batch;
mod checkpoint;
mod classifier;
mod clip;
#[cfg(feature = "collective")]
mod collective;
mod compute;
mod config;
mod ema;
mod error;
mod events;
mod graph;
mod log;
mod memory;
mod nodes;
mod objective;
mod optimizer;
#[cfg(feature = "collective")]
mod parallel;
mod peers;
mod recompute;
mod suits;
#[cfg(test)]
mod testing;
mod tf_record;
mod trainer;
mod vector;
pub mod weights;

pub use adadiff_losses::{JointWeights, LossForm};
pub use classifier::{
    ClassifierConfig, ClassifierError, ClassifierProgress, TrainedClassifier, classifier_accuracy,
    train_classifier,
};
pub use compute::ComputeType;
pub use config::{Judging, Objective, TrainConfig, Trained};
pub use ema::update_average;
pub use error::TrainError;
pub use events::EVENTS_FILE;
pub use log::LogLine;
pub use memory::peak_resident_mib;
pub use nodes::Node;
pub use optimizer::AdamW;
#[cfg(feature = "collective")]
pub use parallel::Workers;
pub use trainer::{CHECKPOINTS, LOG_FILE, Outcome, TrainObserver, Trainer, trainable};
