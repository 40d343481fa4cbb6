//! Training: AdamW with PyTorch's meaning, a moving average of the weights, two phases, and exact
//! resume.
//!
//! A [`Trainer`] takes a network and a `TrainingSet` through the steps of a [`TrainConfig`], whose [`Objective`] is
//! L_simple for the first phase and the joint one for the second, and tells a [`TrainObserver`] how it goes. Checkpoints
//! lie in the folder that it is given, and a training goes on from the newest one to the bit. Several processes share a
//! training through a [`Communicator`].
//!
//! ```
//! use std::ops::ControlFlow;
//! use std::sync::Arc;
//!
//! use adadiff_data::{Conditioning, ImageError, Label, TrainingSet, Visit};
//! use adadiff_model::UVitConfig;
//! use adadiff_sampler::ScheduleConfig;
//! use adadiff_train::{LogLine, TrainConfig, TrainObserver, TrainOutcome, Trainer};
//! use adadiff_uem::{AdaDiff, AdaDiffConfig};
//! use burn_autodiff::Autodiff;
//! use burn_flex::Flex;
//!
//! /// Eight even pictures `[2, 8, 8]`.
//! struct Even;
//!
//! impl TrainingSet for Even {
//!     fn len(&self) -> usize {
//!         8
//!     }
//!     fn shape(&self) -> [usize; 3] {
//!         [2, 8, 8]
//!     }
//!     fn name(&self, index: usize) -> String {
//!         format!("picture {index}")
//!     }
//!     fn conditioning(&self) -> Conditioning {
//!         Conditioning::None
//!     }
//!     fn read(&self, index: usize, _: Visit, values: &mut [f32]) -> Result<Label, ImageError> {
//!         values.fill(index as f32 / 4.0 - 1.0);
//!         Ok(Label::None)
//!     }
//! }
//!
//! /// Keeps the losses.
//! struct Losses(Vec<f64>);
//!
//! impl TrainObserver<Autodiff<Flex>> for Losses {
//!     fn step(&mut self, _step: u64, _steps: u64) -> ControlFlow<()> {
//!         ControlFlow::Continue(())
//!     }
//!     fn line(&mut self, line: &LogLine) {
//!         self.0.push(line.simple);
//!     }
//!     fn sample(&mut self, _step: u64, _average: &AdaDiff<Flex>) {}
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config: TrainConfig = serde_json::from_value(serde_json::json!({
//!     "objective": {"name": "simple"}, "steps": 4, "batch_size": 4, "learning_rate": 1e-3,
//!     "betas": [0.9, 0.99], "epsilon": 1e-8, "weight_decay": 0.0, "warmup_steps": 0,
//!     "cooldown_steps": 0, "ema_decay": 0.9,
//!     "label_dropout": 0.0, "flip": false, "seed": 0,
//!     "log_every": 1, "sample_every": 0, "checkpoint_every": 4,
//! }))?;
//! let network = AdaDiffConfig::new(UVitConfig::tiny());
//! let device = Default::default();
//! let model = network.init(0, &device)?;
//! let schedule = ScheduleConfig::default();
//! let mut trainer = Trainer::new(config, network, schedule, model, Arc::new(Even), &device)?;
//! let (folder, mut losses) = (tempfile::tempdir()?, Losses(Vec::new()));
//! assert_eq!(trainer.run(folder.path(), &mut losses)?, TrainOutcome::Finished);
//! assert_eq!((trainer.steps_done(), losses.0.len()), (4, 4));
//! // `trainer.average()` is the network to sample from.
//! # Ok(())
//! # }
//! ```

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
pub use checkpoint::{has_checkpoint, remove_checkpoints};
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
pub use mpi_communicator::{ExchangeLimits, MpiCommunicator};
pub use optimizer::AdamW;
pub use trainer::{CHECKPOINTS, LOG_FILE, TrainObserver, TrainOutcome, Trainer, trainable};
