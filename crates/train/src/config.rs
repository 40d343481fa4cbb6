//! The hyperparameters of a training phase.

use std::num::NonZeroUsize;

use adadiff_losses::{JointWeights, LossForm};
use adadiff_sampler::SolverConfig;
use adadiff_uem::AdaDiff;
use burn::module::Module;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::{ComputeType, TrainError};

/// What a phase minimises.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Objective {
    /// L_simple alone: the backbone from scratch.
    Simple,
    /// The joint objective: backbone and estimators, from a trained backbone.
    Joint {
        /// Whose definition of the losses.
        form: LossForm,
        /// The weights of L_u (lambda) and UAL (beta).
        weights: JointWeights,
    },
}

/// Which weights a phase moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trained {
    /// All of them.
    #[default]
    All,
    /// The estimators, and the heads of one's own, where the network has any: the backbone stays as
    /// it is.
    Estimators,
}

impl Trained {
    fn is_all(&self) -> bool {
        *self == Self::All
    }

    /// The network whose backbone has no gradients where it is to stay.
    pub(crate) fn freeze<B: Backend>(self, model: AdaDiff<B>) -> AdaDiff<B> {
        match self {
            Self::All => model,
            Self::Estimators => AdaDiff {
                backbone: model.backbone.no_grad(),
                ..model
            },
        }
    }
}

/// How samples are judged while the network is trained: by the Fréchet distance of a few of them, as
/// U-ViT's training script does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Steps between judgements; a multiple of `log_every`, as the log tells the distance.
    pub every: u64,
    /// Samples of a judgement.
    pub samples: usize,
    /// Solver steps of these samples; absent for those of all other samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Their solver; absent for that of all other samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solver: Option<SolverConfig>,
}

/// The hyperparameters of a training phase; optimizer parameters have PyTorch's meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// What is minimised.
    pub objective: Objective,
    /// Which weights are moved.
    #[serde(default, skip_serializing_if = "Trained::is_all")]
    pub trained: Trained,
    /// Optimizer steps.
    pub steps: u64,
    /// Images of a step.
    pub batch_size: usize,
    /// Parts that a step's batch is computed in, one after the other: the memory of a part for the
    /// gradient of the whole batch. Only UAL in the published form, whose weights couple the images
    /// that are computed together, is then that of each part.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub accumulation: NonZeroUsize,
    /// Whether blocks are computed again for the gradients, which takes the memory of one block and
    /// about a third more time.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recompute_blocks: bool,
    /// What the network computes in.
    #[serde(default, skip_serializing_if = "ComputeType::is_single")]
    pub compute: ComputeType,
    /// Learning rate after the warm-up.
    pub learning_rate: f64,
    /// AdamW's decay rates of the first and second moment.
    pub betas: [f32; 2],
    /// AdamW's epsilon.
    pub epsilon: f32,
    /// AdamW's decoupled weight decay.
    pub weight_decay: f32,
    /// Steps over which the learning rate rises linearly from zero.
    pub warmup_steps: u64,
    /// Last steps, over which the learning rate falls linearly to zero; zero keeps it constant.
    pub cooldown_steps: u64,
    /// The global norm to which gradients are clipped; absent for no clipping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Highest decay of the moving average of the weights; it grows as `(1 + n) / (10 + n)`.
    pub ema_decay: f64,
    /// Share of samples whose label is dropped, for guidance.
    pub label_dropout: f64,
    /// Whether images are mirrored at random.
    pub flip: bool,
    /// The most images that may be bad before training stops.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub most_bad_images: usize,
    /// Seed of the weights, the order of images and all noise.
    pub seed: u64,
    /// Steps between lines of the loss log.
    pub log_every: u64,
    /// Steps between drawings of samples; zero for none.
    pub sample_every: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// How samples are judged; absent where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Validation>,
}

/// Steps that checkpoints are not named for: their folders' names have ten digits.
const MOST_STEPS: u64 = 10_000_000_000;

/// The most images of a step.
const MOST_IMAGES: usize = 1 << 20;

fn is_positive(number: f64) -> bool {
    number > 0.0 && number.is_finite()
}

fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}

fn is_one(number: &NonZeroUsize) -> bool {
    number.get() == 1
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl TrainConfig {
    /// The learning rate of a step, counted from 0.
    pub fn learning_rate_at(&self, step: u64) -> f64 {
        let rising = (step + 1) as f64 / self.warmup_steps.max(1) as f64;
        let left = self.steps.saturating_sub(step) as f64;
        let falling = left / (self.cooldown_steps + 1) as f64;
        self.learning_rate * rising.min(falling).min(1.0)
    }

    /// The decay of the moving average after `updates` updates.
    pub fn ema_decay_at(&self, updates: u64) -> f64 {
        let updates = updates as f64;
        self.ema_decay.min((1.0 + updates) / (10.0 + updates))
    }

    /// These settings, with those of `now` wherever a training that is continued may change them: what is
    /// logged, saved and judged and when it ends, and with `optimizer` how weights are moved. Every setting
    /// is named, so that none is added without a decision.
    pub(crate) fn changed_to(self, now: &Self, optimizer: bool) -> Self {
        let moved = if optimizer { now } else { &self };
        Self {
            steps: now.steps,
            most_bad_images: now.most_bad_images,
            log_every: now.log_every,
            sample_every: now.sample_every,
            checkpoint_every: now.checkpoint_every,
            judge: now.judge,
            learning_rate: moved.learning_rate,
            betas: moved.betas,
            epsilon: moved.epsilon,
            weight_decay: moved.weight_decay,
            warmup_steps: moved.warmup_steps,
            cooldown_steps: moved.cooldown_steps,
            clip_norm: moved.clip_norm,
            objective: self.objective,
            trained: self.trained,
            batch_size: self.batch_size,
            accumulation: self.accumulation,
            recompute_blocks: self.recompute_blocks,
            compute: self.compute,
            ema_decay: self.ema_decay,
            label_dropout: self.label_dropout,
            flip: self.flip,
            seed: self.seed,
        }
    }

    /// Checks that every number makes sense.
    ///
    /// # Errors
    /// [`TrainError::Config`] names the first that does not.
    pub fn validate(&self) -> Result<(), TrainError> {
        let checks = [
            (
                "steps must be positive and below 10^10",
                (1..MOST_STEPS).contains(&self.steps),
            ),
            (
                "warmup_steps and cooldown_steps must be below 10^10",
                self.warmup_steps.max(self.cooldown_steps) < MOST_STEPS,
            ),
            (
                "batch_size must be positive and at most 1048576",
                (1..=MOST_IMAGES).contains(&self.batch_size),
            ),
            (
                "accumulation must not exceed batch_size",
                self.accumulation.get() <= self.batch_size,
            ),
            (
                "learning_rate must be positive and finite",
                is_positive(self.learning_rate),
            ),
            (
                "betas must lie in [0, 1)",
                self.betas.iter().all(|beta| (0.0..1.0).contains(beta)),
            ),
            (
                "epsilon must be positive and finite",
                is_positive(self.epsilon.into()),
            ),
            (
                "weight_decay must be finite and not negative",
                self.weight_decay == 0.0 || is_positive(self.weight_decay.into()),
            ),
            (
                "clip_norm must be positive and finite",
                self.clip_norm.is_none_or(is_positive),
            ),
            (
                "ema_decay must lie in [0, 1]",
                (0.0..=1.0).contains(&self.ema_decay),
            ),
            (
                "trained = \"estimators\" needs the joint objective: L_simple trains the backbone",
                self.trained == Trained::All || self.objective != Objective::Simple,
            ),
            (
                "the weights of L_u and UAL must be numbers",
                match self.objective {
                    Objective::Simple => true,
                    Objective::Joint { weights, .. } => {
                        weights.uncertainty.is_finite() && weights.layer_wise.is_finite()
                    }
                },
            ),
            (
                "label_dropout must lie in [0, 1]",
                (0.0..=1.0).contains(&self.label_dropout),
            ),
            ("log_every must be positive", self.log_every > 0),
            (
                "checkpoint_every must be positive",
                self.checkpoint_every > 0,
            ),
            (
                "judge.every must be a positive multiple of log_every",
                self.judge.is_none_or(|judge| {
                    judge.every > 0 && judge.every.is_multiple_of(self.log_every)
                }),
            ),
            (
                "judge.samples must be positive",
                self.judge.is_none_or(|judge| judge.samples > 0),
            ),
            (
                "judge.steps must be positive",
                self.judge.is_none_or(|judge| judge.steps != Some(0)),
            ),
        ];
        match checks.into_iter().find(|(_, holds)| !holds) {
            Some((message, _)) => Err(TrainError::Config(message.to_owned())),
            None => Ok(()),
        }
    }
}
