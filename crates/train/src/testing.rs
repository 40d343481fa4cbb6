//! What the tests of training share: images in memory, a tiny network, an observer that remembers.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use adadiff_data::{Conditioning, ImageError, Label, TrainingSet, Visit};
use adadiff_losses::{JointWeights, LossForm};
use adadiff_model::UVitConfig;
use adadiff_sampler::ScheduleConfig;
use adadiff_uem::{AdaDiff, AdaDiffConfig};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn_autodiff::Autodiff;
use burn_flex::{Flex, FlexDevice};

use crate::{
    ComputeType, LogLine, Objective, Outcome, TrainConfig, TrainError, TrainObserver, Trained,
    Trainer,
};

/// The backend under test.
pub(crate) type Differentiable = Autodiff<Flex>;

/// The joint objective with the paper's losses.
pub(crate) const JOINT: Objective = Objective::Joint {
    form: LossForm::Paper,
    weights: JointWeights {
        uncertainty: 1.0,
        layer_wise: 0.5,
    },
};

/// Seven labelled images of 8x8 pixels and two channels: stripes, each image of another width.
pub(crate) struct Stripes;

impl TrainingSet for Stripes {
    fn len(&self) -> usize {
        7
    }

    fn shape(&self) -> [usize; 3] {
        [2, 8, 8]
    }

    fn name(&self, index: usize) -> String {
        format!("stripes {index}")
    }

    fn conditioning(&self) -> Conditioning {
        Conditioning::Class { classes: 4 }
    }

    fn read(&self, index: usize, _visit: Visit, pixels: &mut [f32]) -> Result<Label, ImageError> {
        for (place, pixel) in pixels.iter_mut().enumerate() {
            let along = if index.is_multiple_of(2) {
                place / 8
            } else {
                place
            };
            let light = (along % 8 / (1 + index / 2)).is_multiple_of(2);
            *pixel = if light { 0.8 } else { -0.8 };
        }
        Ok(Label::Class(index % 4))
    }
}

/// A tiny network on those images, with every optional part.
pub(crate) fn network() -> AdaDiffConfig {
    AdaDiffConfig::new(UVitConfig {
        image_size: 8,
        patch_size: 2,
        channels: 2,
        width: 32,
        depth: 4,
        heads: 4,
        mlp_ratio: 2.0,
        qkv_bias: true,
        time_mlp: true,
        classes: Some(5),
        text: None,
        long_skips: true,
        final_convolution: true,
    })
}

/// Four logged steps. Adam's epsilon is large, so that gradients that are zero but for rounding
/// move no weight, and its average has no memory, so that it is the weights themselves.
pub(crate) fn four_steps(objective: Objective) -> TrainConfig {
    TrainConfig {
        objective,
        trained: Trained::All,
        steps: 4,
        batch_size: 5,
        accumulation: NonZeroUsize::MIN,
        recompute_blocks: false,
        compute: ComputeType::F32,
        learning_rate: 1e-3,
        betas: [0.9, 0.99],
        epsilon: 1e-3,
        weight_decay: 0.03,
        warmup_steps: 0,
        cooldown_steps: 0,
        clip_norm: Some(0.5),
        ema_decay: 0.0,
        label_dropout: 0.3,
        flip: true,
        most_bad_images: 0,
        seed: 5,
        log_every: 1,
        sample_every: 0,
        checkpoint_every: 1_000,
        judge: None,
    }
}

/// A trainer at step 0.
pub(crate) fn trainer(config: &TrainConfig) -> Result<Trainer<Differentiable>, TrainError> {
    trainer_of(config, network())
}

/// A trainer of another network at step 0.
pub(crate) fn trainer_of(
    config: &TrainConfig,
    network: AdaDiffConfig,
) -> Result<Trainer<Differentiable>, TrainError> {
    let model: AdaDiff<Differentiable> = network.init(9, &FlexDevice)?;
    Trainer::new(
        config.clone(),
        network,
        ScheduleConfig::default(),
        model,
        Arc::new(Stripes),
        &FlexDevice,
    )
}

/// What a training shows, and what it ends with.
#[derive(Default)]
pub(crate) struct Watcher {
    /// The step to interrupt after; never where there is none.
    pub stop_after: Option<u64>,
    /// The lines of the log.
    pub lines: Vec<LogLine>,
}

impl<B: AutodiffBackend> TrainObserver<B> for Watcher {
    fn step(&mut self, step: u64, _steps: u64) -> ControlFlow<()> {
        match self.stop_after {
            Some(stop) if step >= stop => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn line(&mut self, line: &LogLine) {
        self.lines.push(line.clone());
    }

    fn sample(&mut self, _step: u64, _average: &AdaDiff<B::InnerBackend>) {}
}

/// Trains in `folder` from its latest checkpoint to the end; gives back the lines of the log and the
/// averaged weights.
pub(crate) fn train_in(
    folder: &Path,
    config: &TrainConfig,
    mut watcher: Watcher,
) -> (Outcome, Vec<LogLine>, Weights) {
    let mut trainer = trainer(config).unwrap().resume(folder).unwrap();
    let outcome = trainer.run(folder, &mut watcher).unwrap();
    (outcome, watcher.lines, weights(trainer.average()))
}

/// [`train_in`] a folder of its own.
pub(crate) fn train(config: &TrainConfig) -> (Vec<LogLine>, Weights) {
    let folder = tempfile::tempdir().unwrap();
    let (_, lines, weights) = train_in(folder.path(), config, Watcher::default());
    (lines, weights)
}

/// Values of parameters by name.
pub(crate) type Weights = Vec<(String, Vec<f32>)>;

/// The values of every parameter of a network.
pub(crate) fn weights<B: Backend, M: Module<B>>(model: &M) -> Weights {
    let mut visitor = Reader::default();
    <M as Module<B>>::visit(model, &mut visitor);
    visitor.weights
}

#[derive(Default)]
struct Reader {
    path: Vec<String>,
    weights: Weights,
}

impl<B: Backend> ModuleVisitor<B> for Reader {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let values = param.val().into_data().convert::<f32>().into_vec().unwrap();
        self.weights.push((self.path.join("."), values));
    }

    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
}

/// The largest difference between any two weights.
pub(crate) fn farthest(found: &Weights, expected: &Weights) -> f32 {
    assert_eq!(found.len(), expected.len());
    let mut farthest = 0.0f32;
    for ((name, found), (expected_name, expected)) in found.iter().zip(expected) {
        assert_eq!((name, found.len()), (expected_name, expected.len()));
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).is_finite(), "{name} is not finite");
            farthest = farthest.max((a - b).abs());
        }
    }
    farthest
}

/// The largest difference between any two losses or gradient norms of two logs.
pub(crate) fn farthest_losses(found: &[LogLine], expected: &[LogLine]) -> f64 {
    let losses = |lines: &[LogLine]| -> Vec<(u64, f64)> {
        let of_line = |line: &LogLine| {
            let optional = [line.uncertainty, line.layer_wise, line.gradient_norm];
            let losses = [line.total, line.simple].into_iter();
            let losses = losses.chain(optional.into_iter().flatten());
            losses.map(|loss| (line.step, loss)).collect::<Vec<_>>()
        };
        lines.iter().flat_map(of_line).collect()
    };
    let (found, expected) = (losses(found), losses(expected));
    assert_eq!(found.len(), expected.len());
    let pairs = found.into_iter().zip(expected);
    pairs.fold(0.0, |farthest, ((step, a), (expected_step, b))| {
        assert_eq!(step, expected_step);
        assert!((a - b).is_finite(), "step {step}: {a} and {b}");
        f64::max(farthest, (a - b).abs())
    })
}
