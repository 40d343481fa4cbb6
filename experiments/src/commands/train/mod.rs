//! The command `train`: both phases, resumable.

mod phase;
mod processes;
mod progress;
mod validation;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use adadiff_backends::DeviceTask;
use adadiff_data::{Conditioning, Pixels, TrainingSet};
use adadiff_model::UVitConfig;
use adadiff_model::kernels::Kernels;
use adadiff_storage::{FolderLock, write_atomically};
use adadiff_train::{Communicator, has_checkpoint, trainable};
use adadiff_uem::AdaDiff;
use anyhow::{Result, bail, ensure};

use crate::checkpoint::components::ComponentFiles;
use crate::checkpoint::latents::{autoencoder_of, open_latents};
use crate::checkpoint::{
    AUTOENCODER_KEY, BACKBONE_PHASE, Checkpoint, JOINT_PHASE, PHASE_KEY, PRESET_KEY, published,
};
use crate::evaluator::EvaluatorOptions;
use crate::networks::open_part;
use crate::presets::{DatasetPath, Preset};
use crate::terminal::note_line;
use phase::Phase;
pub use processes::among_processes;
use validation::Validator;

/// The file of a phase's averaged weights, in half precision.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// The file of the preset that a run used.
pub const PRESET_FILE: &str = "preset.toml";

/// What to train, on what, and where to put it.
#[derive(Debug)]
pub struct Train<'a> {
    pub preset: Preset,
    /// Where the images lie.
    pub dataset: DatasetPath,
    /// The folder of latents, where training is on them.
    pub latents: Option<PathBuf>,
    /// The weights of the autoencoder, without which no pictures of latents are drawn or judged.
    pub autoencoder: Option<PathBuf>,
    /// What samples are judged by during training, where the preset asks for it.
    pub evaluator: EvaluatorOptions,
    /// Whether they must be judged: the command line asks for it, not the preset alone.
    pub must_judge: bool,
    /// Weights that take the place of the first phase's.
    pub backbone: Option<PathBuf>,
    /// Whether the second phase is left out.
    pub backbone_only: bool,
    /// Whether the optimizer's settings may differ from those that a phase was begun with.
    pub change_optimizer: bool,
    pub processes: &'a dyn Communicator,
    /// The folder that checkpoints, logs and weights go to.
    pub out: PathBuf,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
}

impl DeviceTask for Train<'_> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let device = &device;
        let leads = self.processes.leads();
        let set = self.training_set()?;
        self.check_labels(set.conditioning())?;
        let mut lock = None;
        if leads {
            lock = Some(FolderLock::try_new(&self.out)?);
            let [channels, height, width] = set.shape();
            note_line(format_args!(
                "data: {} images of {channels} x {height} x {width}",
                set.len()
            ));
        }
        let opened = self.open::<B>(&set, device);
        if opened.is_err()
            && let Some(lock) = lock.take()
        {
            // Where these fail, an empty file is left, or a folder with something in it.
            let _ = lock.remove();
            let _ = fs::remove_dir(&self.out);
        }
        let Phases {
            backbone,
            joint,
            validator,
        } = opened?;
        if leads {
            let path = self.out.join(PRESET_FILE);
            write_atomically(&path, self.preset.to_toml()?.as_bytes())?;
        }

        let average = match backbone {
            Backbone::Given(average) => average,
            Backbone::Trained(phase) => phase.run(validator.as_ref(), device)?,
        };
        if self.backbone_only {
            return Ok(());
        }
        let joint = match joint {
            Some(joint) => joint,
            None => self.joint(average, &set, device)?,
        };
        joint.run(validator.as_ref(), device)?;
        Ok(())
    }
}

/// What a training needs, before anything is written: one that is refused changes nothing.
struct Phases<'a, B: Kernels> {
    backbone: Backbone<'a, B>,
    /// The second phase, where it can begin.
    joint: Option<Phase<'a, B>>,
    /// What judges samples, in the process that leads.
    validator: Option<Validator<B>>,
}

/// Where the second phase's backbone comes from.
#[expect(clippy::large_enum_variant, reason = "a training has one of them")]
enum Backbone<'a, B: Kernels> {
    Given(AdaDiff<B>),
    Trained(Phase<'a, B>),
}

impl<B: Kernels> Backbone<'_, B> {
    /// Its weights, where they are known already.
    fn average(&self) -> Option<AdaDiff<B>> {
        match self {
            Self::Given(average) => Some(average.clone()),
            Self::Trained(phase) => phase.finished(),
        }
    }
}

impl Train<'_> {
    fn open<B: Kernels>(
        &self,
        set: &Arc<dyn TrainingSet>,
        device: &B::Device,
    ) -> Result<Phases<'_, B>> {
        let backbone = match &self.backbone {
            Some(path) => Backbone::Given(self.given(path, device)?),
            None => {
                let seed = self.preset.backbone_training.seed;
                let start = self.preset.model.init(seed, device)?;
                Backbone::Trained(Phase::open(self, BACKBONE_PHASE, start, set, device)?)
            }
        };
        let joint = match backbone.average() {
            _ if self.backbone_only => None,
            Some(average) => Some(self.joint(average, set, device)?),
            None => {
                self.ensure_joint_has_not_begun()?;
                None
            }
        };
        let validator = if self.processes.leads() {
            Validator::<B>::open(self, device)?
        } else {
            None
        };
        if let Some(validator) = &validator {
            if let Backbone::Trained(phase) = &backbone {
                phase.best(validator)?;
            }
            if let Some(phase) = &joint {
                phase.best(validator)?;
            }
        }
        Ok(Phases {
            backbone,
            joint,
            validator,
        })
    }

    /// The second phase.
    fn joint<B: Kernels>(
        &self,
        average: AdaDiff<B>,
        set: &Arc<dyn TrainingSet>,
        device: &B::Device,
    ) -> Result<Phase<'_, B>> {
        // Heads of one's own start from the trained decoder.
        let backbone = average.backbone.clone();
        let start = trainable(average.with_backbone(backbone));
        Phase::open(self, JOINT_PHASE, start, set, device)
    }

    fn training_set(&self) -> Result<Arc<dyn TrainingSet>> {
        match (&self.latents, self.preset.latents) {
            (Some(folder), _) => open_latents(folder, &self.preset),
            (None, None) => Ok(Arc::new(Pixels(self.preset.data.open(&self.dataset)?))),
            (None, Some(_)) => bail!(
                "the preset '{}' trains on latents: name a folder that `prepare` wrote, or one of \
                 U-ViT's .npy files, with --latents",
                self.preset.name
            ),
        }
    }

    /// Refuses a label that no image has and that does not stand for "no class": it would be sampled.
    fn check_labels(&self, conditioning: Conditioning) -> Result<()> {
        let (Some(labels), Conditioning::Class { classes }) =
            (self.preset.model.backbone.classes, conditioning)
        else {
            return Ok(());
        };
        let no_class = usize::from(self.preset.drops_labels());
        ensure!(
            labels == classes + no_class,
            "the network has {labels} labels, where there are {classes} classes and {no_class} for \"no \
             class\", which is trained where label_dropout is above 0: set model.backbone.classes={}",
            classes + no_class
        );
        Ok(())
    }

    /// The backbone of weights that this program or others wrote, with untrained estimators, or a
    /// published AdaDiff whole.
    fn given<B: Kernels>(&self, path: &Path, device: &B::Device) -> Result<AdaDiff<B>> {
        if !Checkpoint::is_at(path) {
            let file = open_part(path, UVitConfig::LANDMARK)?;
            return published::load(&file, &self.preset, device);
        }
        let config = &self.preset.model;
        let checkpoint = Checkpoint::read(path, None, &[])?;
        ensure!(
            checkpoint.preset.model.backbone == config.backbone
                && checkpoint.preset.schedule == self.preset.schedule,
            "{} holds another backbone than the preset '{}' describes, or one that was trained \
             with another noise schedule",
            path.display(),
            self.preset.name
        );
        let model: AdaDiff<B> = config.init(self.preset.joint_training.seed, device)?;
        Ok(model.with_backbone(checkpoint.model(device)?.backbone))
    }

    /// Refuses to train the backbone on under a joint phase that began from fewer steps of it.
    fn ensure_joint_has_not_begun(&self) -> Result<()> {
        let folder = self.out.join(JOINT_PHASE);
        ensure!(
            !has_checkpoint(&folder)?,
            "the joint phase in {} began from a backbone of fewer steps than \
             backbone_training.steps = {}; remove that folder to train it again from the new \
             backbone, or choose another --out",
            folder.display(),
            self.preset.backbone_training.steps
        );
        Ok(())
    }

    /// What the header of a phase's weights tells.
    fn metadata(&self, phase: &str) -> Result<Vec<(&'static str, String)>> {
        let mut metadata = vec![
            (PHASE_KEY, phase.to_owned()),
            (PRESET_KEY, self.preset.to_toml()?),
        ];
        if let Some(folder) = &self.latents {
            metadata.extend(autoencoder_of(folder)?.map(|sha256| (AUTOENCODER_KEY, sha256)));
        }
        Ok(metadata)
    }

    /// What stands before and behind the network.
    fn component_files(&self) -> ComponentFiles {
        ComponentFiles {
            autoencoder: self.autoencoder.clone(),
            latents: self.latents.clone(),
            ..ComponentFiles::default()
        }
    }
}
