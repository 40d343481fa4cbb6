//! What the tests of training share: images in memory, a tiny network, an observer that remembers.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use adadiff_data::{Conditioning, ImageError, Label, TrainingSet, Visit};
use adadiff_losses::{JointWeights, LossForm};
use adadiff_model::{Condition, UVitConfig};
use adadiff_sampler::ScheduleConfig;
use adadiff_uem::{AdaDiff, AdaDiffConfig};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use burn_autodiff::Autodiff;
use burn_flex::{Flex, FlexDevice};

use crate::objective::Input;
use crate::{
    ComputeType, LogLine, Objective, TrainConfig, TrainError, TrainObserver, TrainOutcome, Trained,
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
        mlp_ratio: 2.0,
        qkv_bias: true,
        time_mlp: true,
        classes: Some(5),
        ..UVitConfig::tiny()
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
    let model = network.init(9, &FlexDevice)?;
    trainer_from(config, network, model)
}

/// A trainer of a network of these weights at step 0.
pub(crate) fn trainer_from(
    config: &TrainConfig,
    network: AdaDiffConfig,
    model: AdaDiff<Differentiable>,
) -> Result<Trainer<Differentiable>, TrainError> {
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

impl Watcher {
    /// One that interrupts after `step`.
    pub fn stopping_after(step: u64) -> Self {
        Self {
            stop_after: Some(step),
            ..Self::default()
        }
    }
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
) -> (TrainOutcome, Vec<LogLine>, Weights) {
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

/// The gradients of all parameters; absent where a parameter has none.
pub(crate) fn gradient_values(
    model: &AdaDiff<Differentiable>,
    gradients: GradientsParams,
) -> Vec<Option<Vec<f32>>> {
    let mut reader = GradientReader {
        gradients,
        values: Vec::new(),
    };
    model.visit(&mut reader);
    reader.values
}

struct GradientReader {
    gradients: GradientsParams,
    values: Vec<Option<Vec<f32>>>,
}

impl ModuleVisitor<Differentiable> for GradientReader {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Differentiable, D>>) {
        let gradient = self.gradients.remove::<Flex, D>(param.id);
        let values = gradient.map(|gradient| gradient.into_data().into_vec().unwrap());
        self.values.push(values);
    }
}

/// The largest difference between any two gradients, as a share of the largest value of its
/// parameter's expected one; infinite where only one of them is there.
pub(crate) fn farthest_gradients(found: &[Option<Vec<f32>>], expected: &[Option<Vec<f32>>]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    pairs.fold(0.0, |farthest, (found, expected)| {
        let (Some(found), Some(expected)) = (found, expected) else {
            return if found == expected {
                farthest
            } else {
                f32::INFINITY
            };
        };
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
        let pairs = found.iter().zip(expected);
        pairs.fold(farthest, |farthest, (a, b)| {
            assert!((a - b).is_finite(), "{a} and {b}");
            farthest.max((a - b).abs() / largest)
        })
    })
}

/// Two images that are noise all through.
pub(crate) fn input(config: &AdaDiffConfig) -> Input<Differentiable> {
    let device = FlexDevice;
    let wave = |count: usize, speed: f32| -> Vec<f32> {
        (0..count).map(|i| (i as f32 * speed).sin()).collect()
    };
    let images =
        |speed: f32| Tensor::from_data(TensorData::new(wave(256, speed), [2, 2, 8, 8]), &device);
    let backbone = &config.backbone;
    let condition = match (backbone.classes, backbone.text) {
        (Some(_), _) => Condition::Class(Tensor::from_data([3, 1], &device)),
        (_, Some(text)) => {
            let shape = [2, text.tokens, text.width];
            let context = wave(shape.iter().product(), 0.7);
            Condition::Text(Tensor::from_data(TensorData::new(context, shape), &device))
        }
        _ => Condition::None,
    };
    Input {
        noisy: images(1.3),
        noise: images(2.1),
        timesteps: vec![20.0, 730.0],
        condition,
    }
}
