//! Options that several commands share, and their bounds.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use adadiff_backends::{DeviceName, Precision};
use adadiff_pipeline::{BudgetTarget, CalibrationFile, ExitRule, FdIncrease};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::checkpoint::components::ComponentFiles;
use crate::checkpoint::{BaselineNetwork, Checkpoint};
use crate::commands::budget_request::BudgetRequest;
use crate::evaluator::{DataSetReference, EvaluatorOptions};
use crate::presets::{DatasetPath, Experiment, SolverName, positive, share, speedup};

/// A network that samples are drawn from, and the device.
#[derive(Clone, Debug, Args)]
pub struct NetworkOptions {
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub device: DeviceName,
    /// Weights, as `train` and `import` write them or as U-ViT's and AdaDiff's authors published them
    /// [default: the bundled ones of Fashion-MNIST]
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Preset of published weights, built in by name or from a file ending in .toml
    /// [default: the program's first with the file's network]
    #[arg(long, value_name = "PRESET", requires = "checkpoint")]
    pub preset: Option<String>,
    /// The weights of Stable Diffusion's autoencoder, for networks on latents
    #[arg(long, value_name = "FILE")]
    pub autoencoder: Option<PathBuf>,
    /// Latents that `prepare` wrote, whose captions networks on text draw samples for
    #[arg(long, value_name = "DIR")]
    pub latents: Option<PathBuf>,
}

/// What to sample from, where, and how.
#[derive(Clone, Debug, Args)]
pub struct SamplingOptions {
    /// The network.
    #[command(flatten)]
    pub network: NetworkOptions,
    /// Solver steps [default: the preset's]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub steps: Option<usize>,
    /// Solver, with settings that suit any network [default: the preset's]
    #[arg(long, value_name = "NAME", value_enum)]
    pub solver: Option<SolverName>,
    /// Guidance scale s of cond + s (cond - uncond) [default: the preset's]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub guidance: Option<f64>,
    /// Seed of all noise [default: the preset's, 0]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Samples of a batch [default: the preset's]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub batch: Option<usize>,
    /// Share of blocks to skip, for example 0.45 [default: the preset's]
    #[arg(long, value_name = "R", value_parser = share, allow_negative_numbers = true)]
    pub reduction: Option<f64>,
    /// Be so many times as fast as the full network, for example 1.6, in place of a share of blocks:
    /// measured on this device in batches of --batch
    #[arg(long, value_name = "S", value_parser = speedup, conflicts_with = "reduction", allow_negative_numbers = true)]
    pub speedup: Option<f64>,
    /// Skip as many blocks as let the Fréchet distance exceed the full network's by at most this:
    /// a share of it, for example 5%, or a difference, for example 1.5
    #[arg(long, value_name = "X", conflicts_with_all = ["reduction", "speedup"], allow_hyphen_values = true)]
    pub max_fd_increase: Option<FdIncrease>,
    /// Samples that --max-fd-increase measures of each [default: 1024, or half as many again as features]
    #[arg(long, value_name = "N", value_parser = positive, requires = "max_fd_increase")]
    pub budget_samples: Option<usize>,
    /// When samples leave the network [default: the preset's]
    #[arg(long, value_name = "RULE", value_enum)]
    pub exit_rule: Option<ExitRule>,
    /// Judge samples after every Nth block only [default: the preset's, 1]
    #[arg(long, value_name = "N")]
    pub check_every: Option<NonZeroUsize>,
    /// What the network computes in; solvers and statistics stay in single precision or better
    #[arg(long, value_name = "TYPE", value_enum)]
    pub precision: Option<Precision>,
}

impl NetworkOptions {
    /// Reads the checkpoint, or the one that comes with the program.
    ///
    /// # Errors
    /// Where it cannot be used, or there is none.
    pub fn checkpoint(&self, experiment: &Experiment) -> Result<Checkpoint> {
        match &self.checkpoint {
            Some(path) => {
                let preset = self
                    .preset
                    .as_deref()
                    .map(|name| experiment.preset(Some(name)));
                Checkpoint::read(path, preset.transpose()?.as_ref(), &experiment.presets()?)
            }
            None if experiment.bundled => Checkpoint::bundled(),
            None => {
                bail!(
                    "name weights, as `train` and `import` write them or as they were published, \
                     with --checkpoint FILE"
                )
            }
        }
    }

    /// What stands before and behind the network. The exit rule `distance` is calibrated as `evaluator`
    /// says, against the images at `dataset` where that names no reference.
    pub fn component_files(
        &self,
        evaluator: &EvaluatorOptions,
        dataset: &DatasetOptions,
    ) -> ComponentFiles {
        ComponentFiles {
            autoencoder: self.autoencoder.clone(),
            latents: self.latents.clone(),
            reference: DataSetReference {
                options: evaluator.clone(),
                dataset: dataset.clone().into(),
            },
            ..ComponentFiles::default()
        }
    }
}

impl SamplingOptions {
    /// Reads the checkpoint and enters the options into its preset.
    ///
    /// # Errors
    /// Where the checkpoint cannot be used.
    pub fn checkpoint(&self, experiment: &Experiment) -> Result<Checkpoint> {
        let mut checkpoint = self.network.checkpoint(experiment)?;
        let on_latents = checkpoint.preset.latents.is_some();
        let sampling = &mut checkpoint.preset.sampling;
        if let Some(name) = self.solver
            && !name.is_of(sampling.solver)
        {
            // Stored thresholds that tell no solver remain those of `calibrated_solver`.
            sampling.solver = name.config(on_latents);
        }
        sampling.steps = self.steps.unwrap_or(sampling.steps);
        sampling.guidance = self.guidance.unwrap_or(sampling.guidance);
        sampling.seed = self.seed.unwrap_or(sampling.seed);
        sampling.batch = self.batch.unwrap_or(sampling.batch);
        sampling.reduction = self.reduction.unwrap_or(sampling.reduction);
        sampling.exit_rule = self.exit_rule.unwrap_or(sampling.exit_rule);
        sampling.check_every = self.check_every.unwrap_or(sampling.check_every);
        sampling.precision = self.precision.unwrap_or(sampling.precision);
        Ok(checkpoint)
    }

    /// The files and folders that are read, those beside the weights included.
    pub fn files(&self) -> Vec<PathBuf> {
        let network = &self.network;
        let named = [&network.checkpoint, &network.autoencoder, &network.latents];
        let mut files: Vec<PathBuf> = named.into_iter().flatten().cloned().collect();
        if let Some(weights) = &network.checkpoint {
            files.push(CalibrationFile::path_beside(weights));
            files.extend(BaselineNetwork::ALL.map(|network| network.path_beside(weights)));
        }
        files.extend(network.preset.as_ref().map(PathBuf::from));
        files
    }

    /// The budget, where it is other than blocks. A distance is judged as `evaluator` says, against the
    /// images at `dataset` where that names no reference.
    pub fn budget_request(
        &self,
        evaluator: &EvaluatorOptions,
        dataset: &DatasetOptions,
    ) -> Option<BudgetRequest> {
        let target = match (self.speedup, self.max_fd_increase) {
            (Some(speedup), _) => BudgetTarget::Speedup(speedup),
            (None, Some(increase)) => BudgetTarget::FdIncrease(increase),
            (None, None) => return None,
        };
        Some(BudgetRequest {
            target,
            device: self.network.device,
            reference: DataSetReference {
                options: evaluator.clone(),
                dataset: dataset.clone().into(),
            },
            samples: self.budget_samples,
            only_stored: false,
        })
    }
}

/// Where images lie.
#[derive(Clone, Debug, Default, Args)]
pub struct DatasetOptions {
    /// Folder or archive of the images [default for Fashion-MNIST: $ADADIFF_DATA, then Debian's]
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// Captions of MS-COCO's images, for example captions_train2014.json
    #[arg(long, value_name = "FILE")]
    pub captions: Option<PathBuf>,
}

impl DatasetOptions {
    /// The files and folders that are read.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.data, &self.captions].into_iter().flatten()
    }
}

impl From<DatasetOptions> for DatasetPath {
    fn from(DatasetOptions { data, captions }: DatasetOptions) -> Self {
        Self { data, captions }
    }
}

/// Prompts of one's own, for networks on text.
#[derive(Clone, Debug, Default, Args)]
pub struct PromptOptions {
    /// A prompt to draw samples for; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub prompt: Vec<String>,
    /// A file of prompts, one a line
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
    /// The weights of CLIP's text model
    #[arg(long, value_name = "FILE")]
    pub text_model: Option<PathBuf>,
    /// The vocabulary of CLIP's tokenizer, bpe_simple_vocab_16e6.txt.gz or merges.txt
    #[arg(long, value_name = "FILE")]
    pub vocabulary: Option<PathBuf>,
}

impl PromptOptions {
    /// Enters the prompts.
    ///
    /// # Errors
    /// Where the file of prompts cannot be read or has none.
    pub fn apply_to(self, component_files: &mut ComponentFiles) -> Result<()> {
        let mut prompts = self.prompt;
        if let Some(path) = &self.prompts {
            let text = fs::read_to_string(path)
                .with_context(|| format!("cannot read the prompts {}", path.display()))?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let before = prompts.len();
            prompts.extend(lines.map(str::to_owned));
            ensure!(prompts.len() > before, "{} has no prompts", path.display());
        }
        component_files.prompts = prompts;
        component_files.text_model = self.text_model;
        component_files.vocabulary = self.vocabulary;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::presets::FASHION_MNIST;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sampling: SamplingOptions,
    }

    #[test]
    fn thresholds_remain_those_of_the_solver_that_they_were_stored_for() {
        let checkpoint = |solver: &[&str]| {
            let line = [&["program"], solver].concat();
            let sampling = Line::try_parse_from(line).unwrap().sampling;
            sampling.checkpoint(&FASHION_MNIST).unwrap()
        };
        let own = checkpoint(&[]);
        // With the preset's settings, not with those of the name.
        let same = checkpoint(&["--solver", "dpm_solver_plus_plus"]);
        assert_eq!(same.preset, own.preset);
        let other = checkpoint(&["--solver", "unipc"]);
        assert_eq!(other.preset.sampling.solver.name(), "unipc");
        assert_eq!(other.calibrated_solver, own.preset.sampling.solver);
    }
}
