//! Samples that are judged during training, and the best weights so far.

use std::fs;
use std::path::PathBuf;

use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Evaluator, SampleStats, ensure_enough};
use adadiff_storage::sha256_file;
use adadiff_train::Validation;
use adadiff_uem::{AdaDiff, FullDepth};
use adadiff_weights::WeightError;
use adadiff_weights::native::{WeightPrecision, metadata, save};
use anyhow::{Context, Result, ensure};

use super::Train;
use crate::checkpoint::LoadedCheckpoint;
use crate::checkpoint::STEPS_KEY;
use crate::checkpoint::components::Components;
use crate::evaluator::DataSetReference;
use crate::presets::Preset;
use crate::terminal::{Terminal, note_line};

/// The file of a phase's best averaged weights, in half precision.
const BEST_FILE: &str = "best.safetensors";

/// The key of the Fréchet distance in the header of that file.
const DISTANCE_KEY: &str = "frechet_distance";

/// The key of what the distance was measured by: distances by anything else compare to nothing.
const JUDGED_BY_KEY: &str = "judged_by";

/// What judges a training's samples.
pub(super) struct Validator<B: Kernels> {
    evaluator: Evaluator<B>,
    /// The features, and the files that they and what they are compared with are of.
    features: String,
    around: Components<B>,
    device: B::Device,
}

impl<B: Kernels> Validator<B> {
    /// The validator of a training; none where nothing asks for one, or only the preset does and no
    /// features were named.
    ///
    /// # Errors
    /// Where something that it needs is missing or damaged: a training should not find that out
    /// after hours.
    pub fn open(train: &Train<'_>, device: &B::Device) -> Result<Option<Self>> {
        let preset = &train.preset;
        let phases = [
            Some(&preset.backbone_training).filter(|_| train.backbone.is_none()),
            Some(&preset.joint_training).filter(|_| !train.backbone_only),
        ];
        let judged = phases.into_iter().flatten();
        let samples = judged.filter_map(|phase| Some(phase.judge?.samples));
        let Some(fewest) = samples.min() else {
            return Ok(None);
        };
        if !train.must_judge && !train.evaluator.suffices(preset.data) {
            note_line(format_args!(
                "samples are not judged during training: --inception names the weights of FID's \
                 network, --features others"
            ));
            return Ok(None);
        }
        let validator = || -> Result<Self> {
            let around = train.component_files().open(preset, device)?;
            let shape = around.image_shape(preset);
            let reference = DataSetReference {
                options: train.evaluator.clone(),
                dataset: train.dataset.clone(),
            };
            let evaluator = reference.evaluator(preset.data, shape, device)?;
            let asked = format!("the preset or --judge-samples asks for {fewest}");
            ensure_enough(fewest as u64, evaluator.dims(), &asked)?;
            let mut features = evaluator.features().to_owned();
            if let Some(weights) = train.evaluator.origin(preset.data)?.weights_sha256 {
                features += &format!(" of the weights {weights}");
            }
            if let Some(statistics) = &train.evaluator.reference {
                features += &format!(" beside the statistics {}", sha256_file(statistics)?);
            }
            Ok(Self {
                evaluator,
                features,
                around,
                device: device.clone(),
            })
        };
        let validator = validator().context(
            "samples are to be judged during training; --judge-every 0 trains without that",
        )?;
        Ok(Some(validator))
    }
}

/// The best weights of a phase so far, on disk, and what finds them.
pub(super) struct BestCheckpoint<'a, B: Kernels> {
    validator: &'a Validator<B>,
    /// The preset of the samples that are judged.
    preset: Preset,
    samples: usize,
    path: PathBuf,
    judged_by: String,
    /// What the header of the file tells beside step and distance.
    metadata: Vec<(&'static str, String)>,
    /// Their step and distance.
    found: Option<(u64, f64)>,
}

impl<'a, B: Kernels> BestCheckpoint<'a, B> {
    /// The best weights of the phase `name`, `done` steps of which are done.
    ///
    /// The file alone tells which they are. It may be of a step that a killed process did after its
    /// last checkpoint: that step is done again, is as good again, and changes nothing.
    ///
    /// # Errors
    /// Where the file is damaged or its weights were judged by something else.
    pub fn find(
        validator: &'a Validator<B>,
        train: &Train<'_>,
        name: &str,
        judging: Validation,
        done: u64,
    ) -> Result<Self> {
        let mut preset = train.preset.clone();
        let sampling = &mut preset.sampling;
        sampling.steps = judging.steps.unwrap_or(sampling.steps);
        sampling.solver = judging.solver.unwrap_or(sampling.solver);
        let judged_by = format!(
            "{}, {} samples of {} steps of {}, guidance {}, seed {}",
            validator.features,
            judging.samples,
            sampling.steps,
            sampling.solver.name(),
            sampling.guidance,
            sampling.seed
        );
        let path = train.out.join(name).join(BEST_FILE);
        let mut best = Self {
            validator,
            preset,
            samples: judging.samples,
            path,
            judged_by,
            metadata: train.metadata(name)?,
            found: None,
        };
        // A phase that starts again, maybe with other settings, has none.
        if done > 0 && best.path.exists() {
            best.found = Some(best.read()?);
        }
        Ok(best)
    }

    /// Removes the file of a phase that starts again.
    ///
    /// # Errors
    /// Where that fails.
    pub fn remove(&self) -> Result<()> {
        if self.path.exists() {
            fs::remove_file(&self.path)
                .with_context(|| format!("cannot remove {}", self.path.display()))?;
        }
        Ok(())
    }

    /// Step and distance of the weights in the file.
    fn read(&self) -> Result<(u64, f64)> {
        let path = self.path.display();
        let bytes = fs::read(&self.path).with_context(|| format!("cannot read {path}"))?;
        let metadata = metadata(&bytes, &self.path)?;
        let judged_by = &self.judged_by;
        let found = metadata.get(JUDGED_BY_KEY);
        ensure!(
            found == Some(judged_by),
            "the best weights so far, {path}, were judged by {}, now they would be by {judged_by}: \
             judge as before, or move the file away",
            found.map_or("something else", String::as_str)
        );
        let number = |key: &str| {
            let value = metadata.get(key);
            value.with_context(|| format!("{path} does not tell its '{key}'"))
        };
        Ok((number(STEPS_KEY)?.parse()?, number(DISTANCE_KEY)?.parse()?))
    }

    /// The Fréchet distance of the samples of a step's averaged weights.
    ///
    /// # Errors
    /// Where they cannot be drawn or are not finite, or the user interrupts.
    pub fn validate(&self, average: &AdaDiff<B>) -> Result<f64> {
        let Validator {
            evaluator,
            around,
            device,
            ..
        } = self.validator;
        let (model, preset) = (average.clone(), self.preset.clone());
        let loaded = around.attach(LoadedCheckpoint::of_model(model, preset, device.clone()));
        let draw = loaded.plan(self.samples)?;
        let monitor = Terminal::hidden();
        let stats =
            SampleStats::generate(loaded.pipeline(), evaluator, &FullDepth, &draw, &monitor)?;
        let distance = evaluator.frechet_distance(&stats.statistics)?;
        // It would stand for the best one for ever: nothing compares to it.
        ensure!(distance.is_finite(), "their Fréchet distance is {distance}");
        Ok(distance)
    }

    /// Keeps the weights of a step if none were better.
    ///
    /// # Errors
    /// Where they cannot be written; the best before them then remain.
    pub fn keep(
        &mut self,
        step: u64,
        distance: f64,
        average: &AdaDiff<B>,
    ) -> Result<(), WeightError> {
        if self.found.is_some_and(|(_, best)| best <= distance) {
            return Ok(());
        }
        let mut metadata = self.metadata.clone();
        metadata.extend([
            (JUDGED_BY_KEY, self.judged_by.clone()),
            (STEPS_KEY, step.to_string()),
            (DISTANCE_KEY, distance.to_string()),
        ]);
        save(average, WeightPrecision::Half, &metadata, &self.path)?;
        self.found = Some((step, distance));
        Ok(())
    }

    pub fn tell(&self) {
        if let Some((step, distance)) = self.found {
            note_line(format_args!(
                "best: step {step}, Fréchet distance {distance:.1} ({}), weights in {}",
                self.validator.evaluator.features(),
                self.path.display()
            ));
        }
    }
}
