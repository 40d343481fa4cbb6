//! Training: AdamW with PyTorch's meaning, a moving average of the weights, two phases, and exact
//! resume.

mod batch;
mod checkpoint;
mod classifier;
mod clip;
mod communicator;
mod compute;
mod config;
mod digest;
mod ema;
mod error;
mod events;
mod exchange;
mod graph;
mod log;
mod memory;
#[cfg(feature = "mpi")]
mod mpi_communicator;
mod objective;
mod optimizer;
mod recompute;
mod suits;
#[cfg(test)]
mod testing;
mod tf_record;
mod trainer;

pub use adadiff_losses::{JointWeights, LossForm};
pub use checkpoint::has_checkpoint;
pub use classifier::{
    ClassifierConfig, ClassifierError, ClassifierProgress, TrainedClassifier, classifier_accuracy,
    train_classifier,
};
pub use communicator::{Communicator, SingleProcess};
pub use compute::ComputeType;
pub use config::{Objective, TrainConfig, Trained, Validation};
pub use ema::update_average;
pub use error::TrainError;
pub use events::EVENTS_FILE;
pub use log::LogLine;
pub use memory::peak_resident_mib;
#[cfg(feature = "mpi")]
pub use mpi_communicator::{MpiCommunicator, Patience};
pub use optimizer::AdamW;
pub use trainer::{CHECKPOINTS, LOG_FILE, Outcome, TrainObserver, Trainer, trainable};
