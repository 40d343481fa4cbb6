use std::path::PathBuf;

use adadiff_data::DataError;
use adadiff_model::ModelError;
use adadiff_sampler::ScheduleError;
use adadiff_storage::StorageError;
use thiserror::Error;

use crate::ComputeType;

/// What can go wrong in training and with its files.
#[derive(Debug, Error)]
pub enum TrainError {
    /// A hyperparameter that makes no sense.
    #[error("invalid training configuration: {0}")]
    Config(String),
    /// The network refused its configuration or input.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The data set cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The noise schedule makes no sense.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A file or folder could not be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A file is not what it should be.
    #[error("{path} is not a usable checkpoint: {reason}")]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A device that does not compute in the wished type.
    #[error("the device ({device}) does not compute in {compute:?}; choose another `compute`")]
    ComputeType {
        /// The wished type.
        compute: ComputeType,
        /// The device's backend.
        device: String,
    },
    /// A checkpoint of another run.
    #[error(
        "{path} was written by another run: {difference}. Continue with the settings of that run, \
         or choose another output folder"
    )]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        difference: String,
    },
    /// No parameter got a gradient.
    #[error("no parameter of the network got a gradient: none is marked to be trained")]
    NothingToTrain,
    /// The loss is no longer a number.
    #[error(
        "the loss of step {step} is not finite; lower the learning rate and continue from the last \
         checkpoint"
    )]
    Diverged {
        /// The step.
        step: u64,
    },
    /// The samples of a step were not judged to the end, or the best weights not kept.
    #[error("the samples of step {step} were not judged")]
    Judging {
        /// The step.
        step: u64,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The workers of a shared training cannot reach each other.
    #[error("the workers of the training have lost each other: {0}")]
    Collective(String),
    /// The device failed to give back a result.
    #[error("the device failed to give back a result: {0}")]
    Device(String),
}

impl TrainError {
    /// For `map_err` on file operations.
    pub(crate) fn file(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let file = StorageError::file(action, path);
        move |source| Self::Storage(file(source))
    }
}
