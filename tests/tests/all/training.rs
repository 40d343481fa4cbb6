//! What the tests of the training loop share. They run on Flex, whose operations are deterministic:
//! that is where a resumed training promises the same bits.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use adadiff_losses::{JointWeights, LossForm};
use adadiff_sampler::ScheduleConfig;
use adadiff_tests::{Named, Network, NetworkKind, Patterns, Watcher, parameters};
use adadiff_train::{
    CHECKPOINTS, ComputeType, LOG_FILE, LogLine, Objective, TrainConfig, TrainError, TrainOutcome,
    Trained, Trainer,
};
use adadiff_uem::{AdaDiff, AdaDiffConfig};
use burn_autodiff::Autodiff;
use burn_flex::{Flex, FlexDevice};

/// The backend of the training tests.
pub type Differentiable = Autodiff<Flex>;

/// A count that the batch size does not divide, so that steps cross epochs.
pub const IMAGES: Patterns = Patterns { count: 7 };

/// The joint objective with the paper's losses.
pub const JOINT: Objective = Objective::Joint {
    form: LossForm::Paper,
    weights: JointWeights {
        uncertainty: 1.0,
        layer_wise: 1.0,
    },
};

/// A tiny class-conditional network.
pub fn network() -> AdaDiffConfig {
    Network::new(NetworkKind::Class, 4).config
}

/// A dozen steps in which everything happens: dropped labels, flips, clipping, both schedules of
/// the learning rate, and log lines and checkpoints that do not fall on the same steps.
pub fn dozen_steps() -> TrainConfig {
    TrainConfig {
        objective: JOINT,
        trained: Trained::All,
        steps: 12,
        batch_size: 3,
        accumulation: NonZeroUsize::MIN,
        recompute_blocks: false,
        compute: ComputeType::F32,
        learning_rate: 1e-3,
        betas: [0.9, 0.99],
        epsilon: 1e-8,
        weight_decay: 0.03,
        warmup_steps: 4,
        cooldown_steps: 3,
        clip_norm: Some(0.5),
        ema_decay: 0.999,
        label_dropout: 0.3,
        flip: true,
        most_bad_images: 0,
        seed: 5,
        log_every: 5,
        sample_every: 0,
        checkpoint_every: 4,
        judge: None,
    }
}

/// A trainer at step 0.
pub fn trainer(
    config: &TrainConfig,
    network: &AdaDiffConfig,
    images: &Patterns,
) -> Result<Trainer<Differentiable>, TrainError> {
    let model: AdaDiff<Differentiable> = network.init(9, &FlexDevice)?;
    Trainer::new(
        config.clone(),
        network.clone(),
        ScheduleConfig::default(),
        model,
        Arc::new(*images),
        &FlexDevice,
    )
}

/// Trains in `folder` from its latest checkpoint, to the end or to where the watcher interrupts.
pub fn go_on(
    config: &TrainConfig,
    folder: &Path,
    watcher: &mut Watcher,
) -> Result<(TrainOutcome, Named), TrainError> {
    let mut trainer = trainer(config, &network(), &IMAGES)?.resume(folder)?;
    let outcome = trainer.run(folder, watcher)?;
    Ok((outcome, parameters::<Flex, _>(trainer.average())))
}

/// Asserts that two networks agree to the last bit.
#[track_caller]
pub fn assert_same_bits(found: &Named, expected: &Named) {
    assert_eq!(found.len(), expected.len());
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        let bits = |values: &[f32]| {
            values
                .iter()
                .map(|value| value.to_bits())
                .collect::<Vec<_>>()
        };
        assert!(bits(found) == bits(expected), "{name} differs");
        assert!(
            found.iter().all(|value| value.is_finite()),
            "{name} is not finite"
        );
    }
}

/// The loss log of a folder without speeds and memory, which no two runs share.
pub fn log(folder: &Path) -> Vec<LogLine> {
    let text = std::fs::read_to_string(folder.join(LOG_FILE)).unwrap_or_default();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<LogLine>(line).unwrap());
    lines
        .map(|line| LogLine {
            images_per_second: 0.0,
            peak_memory_mib: None,
            ..line
        })
        .collect()
}

/// Names of what lies among the checkpoints of a folder, in order.
pub fn checkpoints(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder.join(CHECKPOINTS)) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}
