use std::path::PathBuf;

use adadiff_data::DataError;
use adadiff_model::ModelError;
use adadiff_sampler::ScheduleError;
use adadiff_storage::StorageError;
use thiserror::Error;

use crate::ComputeType;

/// What can go wrong in training and with its files.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
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
    Checkpoint { path: PathBuf, reason: String },
    /// A device that does not compute in the wished type.
    #[error("the device ({device}) does not compute in {compute:?}; choose another `compute`")]
    ComputeType {
        compute: ComputeType,
        device: String,
    },
    /// A checkpoint of another run.
    #[error(
        "{path} was written by another run: {difference}. Continue with the settings of that run, \
         or choose another output folder"
    )]
    OtherRun { path: PathBuf, difference: String },
    /// More steps are done than are asked for.
    #[error(
        "{path} holds {done} steps already, but only {steps} are asked for: ask for as many or more, \
         or choose another output folder"
    )]
    MoreStepsDone {
        path: PathBuf,
        done: u64,
        steps: u64,
    },
    /// Weights that are no numbers.
    #[error(
        "'{parameter}' holds values that are no finite numbers: nothing can be trained from it"
    )]
    NotFinite {
        /// The first such parameter.
        parameter: String,
    },
    /// No parameter got a gradient.
    #[error("no parameter of the network got a gradient: none is marked to be trained")]
    NothingToTrain,
    /// Losses, gradients or weights are no longer numbers. No checkpoint was made of them; the last
    /// one can be continued with a lower learning rate by [`crate::Trainer::resume_changed`].
    #[error("the training has diverged: {what} of step {step} are not finite")]
    Diverged { step: u64, what: &'static str },
    /// The samples of a step were not judged to the end, or the best weights not kept.
    #[error("the samples of step {step} were not judged")]
    Judging {
        step: u64,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The processes of a shared training have lost each other.
    #[error("the processes of the training have lost each other: {0}")]
    Processes(String),
    /// Processes that do not belong to one training.
    #[error(
        "the processes of the training are not about the same: of the ranks {ranks:?} each has other \
         {what} than rank 0; give all the same command, data and files, and a folder that all see"
    )]
    DifferentProcesses {
        what: &'static str,
        ranks: Vec<usize>,
    },
    /// The device failed to give back a result.
    #[error("the device failed to give back a result: {0}")]
    Device(String),
}

impl TrainError {
    /// For `map_err` on values that are read back from a device.
    pub(crate) fn device(error: impl std::fmt::Debug) -> Self {
        Self::Device(format!("{error:?}"))
    }

    /// For `map_err` on file operations.
    pub(crate) fn file(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let file = StorageError::file(action, path);
        move |source| Self::Storage(file(source))
    }
}
