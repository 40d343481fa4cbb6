//! What commands sample from and judge by: as the command line says it, and as they use it.

use std::path::{Path, PathBuf};
use std::sync::Once;

use adadiff_backends::{DeviceName, Precision};
use adadiff_model::kernels::Kernels;
use adadiff_storage::check_output;
use anyhow::Result;
use clap::Args;

use super::budget_request::BudgetRequest;
use super::options::{DatasetOptions, SamplingOptions};
use crate::checkpoint::components::ComponentFiles;
use crate::checkpoint::{Checkpoint, LoadedCheckpoint};
use crate::evaluator::EvaluatorOptions;
use crate::presets::Experiment;
use crate::terminal::note;

/// What to sample from, and what samples are judged by.
#[derive(Clone, Debug, Args)]
pub struct InputOptions {
    /// What to sample from.
    #[command(flatten)]
    pub sampling: SamplingOptions,
    /// What samples, --max-fd-increase and the exit rule `distance` are judged by.
    #[command(flatten)]
    pub evaluator: EvaluatorOptions,
    /// The images to compare with, where there are no statistics of them.
    #[command(flatten)]
    pub dataset: DatasetOptions,
}

/// [`InputOptions`] with the checkpoint read and the options entered into its preset.
#[derive(Debug)]
pub struct Inputs {
    /// The trained network.
    pub checkpoint: Checkpoint,
    /// The file that it came from; absent for the bundled one.
    pub weights: Option<PathBuf>,
    /// What stands before and behind it, and what samples are judged by.
    pub component_files: ComponentFiles,
    /// The budget, unless it is a share of blocks.
    pub request: Option<BudgetRequest>,
    /// The device, as named on the command line.
    pub device: DeviceName,
}

impl InputOptions {
    /// Checks that a file can be written after the work, and is none that is read for it.
    ///
    /// # Errors
    /// As [`adadiff_storage::check_output`].
    pub fn check_output(&self, path: &Path) -> Result<()> {
        let mut read: Vec<PathBuf> = self
            .evaluator
            .files()
            .chain(self.dataset.files())
            .cloned()
            .collect();
        read.extend(self.sampling.files());
        Ok(check_output(path, read.iter().map(PathBuf::as_path))?)
    }

    /// Reads the checkpoint of one of an experiment's presets.
    ///
    /// # Errors
    /// Where the checkpoint cannot be used.
    pub fn resolve(&self, experiment: &Experiment) -> Result<Inputs> {
        let Self {
            sampling,
            evaluator,
            dataset,
        } = self;
        Ok(Inputs {
            checkpoint: sampling.checkpoint(experiment)?,
            weights: sampling.network.checkpoint.clone(),
            component_files: sampling.network.component_files(evaluator, dataset),
            request: sampling.budget_request(evaluator, dataset),
            device: sampling.network.device,
        })
    }
}

impl Inputs {
    /// The network on a device, among what stands around it.
    ///
    /// # Errors
    /// Where a file is damaged or missing.
    pub fn load<B: Kernels>(self, device: &B::Device) -> Result<LoadedCheckpoint<B>> {
        if self.checkpoint.preset.sampling.precision.is_full() {
            tell_of_faster::<B>();
        }
        self.component_files.load(self.checkpoint, device)
    }
}

/// Tells once that the processor has instructions that a researcher may not know of.
fn tell_of_faster<B: Kernels>() {
    static TOLD: Once = Once::new();
    if let Some(precision) = Precision::faster::<B>() {
        TOLD.call_once(|| {
            note!(
                "note: this processor multiplies bfloat16: with --precision {} a network is faster, and its \
                 numbers have three digits",
                precision.name()
            );
        });
    }
}
