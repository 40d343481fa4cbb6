//! The networks that a program shows which is of no data set: a visitor's own, and the bundled ones.

use adadiff_backends::DeviceName;
use adadiff_model::kernels::Kernels;
use anyhow::Result;
use clap::Args;

use super::options::{DatasetOptions, NetworkOptions, PromptOptions};
use crate::checkpoint::components::ComponentFiles;
use crate::checkpoint::{Checkpoint, LoadedCheckpoint};
use crate::evaluator::EvaluatorOptions;
use crate::presets::ANY;

/// Any network that `sample` can draw from, of whatever data set, with what stands before and behind it.
#[derive(Clone, Debug, Args)]
pub struct NetworkSource {
    /// The network.
    #[command(flatten)]
    network: NetworkOptions,
    /// What networks on text draw.
    #[command(flatten)]
    prompts: PromptOptions,
    /// What the exit rule `distance` is calibrated by.
    #[command(flatten)]
    evaluator: EvaluatorOptions,
    /// The images of its data set.
    #[command(flatten)]
    dataset: DatasetOptions,
}

impl NetworkSource {
    /// The device that was named.
    pub fn device(&self) -> DeviceName {
        self.network.device
    }

    /// The network of the file that was named, and the file's name; nothing where none was.
    ///
    /// # Errors
    /// Where a file is damaged or missing.
    pub fn load<B: Kernels>(
        &self,
        device: &B::Device,
    ) -> Result<Option<(String, LoadedCheckpoint<B>)>> {
        let Some(path) = &self.network.checkpoint else {
            return Ok(None);
        };
        let checkpoint = self.network.checkpoint(&ANY)?;
        let mut files = self.network.component_files(&self.evaluator, &self.dataset);
        self.prompts.clone().apply_to(&mut files)?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        let name = name.to_string_lossy().into_owned();
        Ok(Some((name, files.load(checkpoint, device)?)))
    }

    /// The networks that come with this program.
    ///
    /// # Errors
    /// Never, unless a file in the repository was broken.
    pub fn load_bundled<B: Kernels>(device: &B::Device) -> Result<Vec<LoadedCheckpoint<B>>> {
        let checkpoints = Checkpoint::all_bundled()?.into_iter();
        let loaded =
            checkpoints.map(|checkpoint| ComponentFiles::default().load(checkpoint, device));
        loaded.collect()
    }
}
