//! Trains the classifier whose features judge samples of Fashion-MNIST.

use std::f64::consts::PI;
use std::ops::ControlFlow;

use adadiff_data::fashion_mnist::{CLASSES, PIXELS, SIDE};
use adadiff_data::{FashionMnist, from_byte};
use adadiff_metrics::{FashionCnn, FashionCnnConfig};
use burn::config::Config;
use burn::module::{AutodiffModule, Module, ModuleMapper, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, Int, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use thiserror::Error;

use crate::graph::Graph;

/// Images in one forward pass when the accuracy is measured.
const TEST_BATCH: usize = 500;

/// Pixels by which a training image is shifted at most, along each side: less than the padding, so
/// that nothing of the image is lost.
const SHIFT: usize = 1;

/// How the classifier is trained: cross entropy, Adam, a rate that falls along a cosine to zero.
#[derive(Config, Debug)]
pub struct ClassifierConfig {
    /// The network.
    pub network: FashionCnnConfig,
    /// Steps of the optimizer.
    #[config(default = 4000)]
    pub steps: usize,
    /// Images of a step.
    #[config(default = 128)]
    pub batch_size: usize,
    /// The learning rate of the first step.
    #[config(default = 2e-3)]
    pub learning_rate: f64,
    /// Fixes initial weights, order, flips and shifts.
    #[config(default = 0)]
    pub seed: u64,
}

/// A trained classifier.
#[derive(Debug)]
pub struct TrainedClassifier<B: Backend> {
    /// The network.
    pub network: FashionCnn<B>,
    /// The share of the test images that it names rightly, in `[0, 1]`.
    pub test_accuracy: f64,
}

/// Where the training stands, after each step.
#[derive(Clone, Copy, Debug)]
pub struct ClassifierProgress {
    /// Steps done.
    pub step: usize,
    /// Steps wanted.
    pub steps: usize,
    /// The step's cross entropy, in nats.
    pub loss: f64,
}

/// Why a classifier could not be trained.
#[derive(Debug, Error)]
pub enum ClassifierError {
    /// A configuration that trains nothing.
    #[error("invalid classifier configuration: {0}")]
    Config(String),
    /// The loss left the numbers.
    #[error("the classifier's loss is not finite after {step} steps; try a smaller learning rate")]
    Diverged {
        /// Steps done.
        step: usize,
    },
    /// The caller's progress function asked to stop.
    #[error("interrupted after {step} steps; nothing was written")]
    Interrupted {
        /// Steps done.
        step: usize,
    },
}

/// Trains a classifier on `train`, flipped and shifted at random, and measures it on `test`.
///
/// The result is a function of configuration, data and backend: all randomness is drawn on the
/// host.
///
/// # Errors
/// Where the configuration trains nothing, the loss becomes infinite, or `progress`, called after
/// every step, breaks.
pub fn train_classifier<B: AutodiffBackend>(
    config: &ClassifierConfig,
    train: &FashionMnist,
    test: &FashionMnist,
    device: &B::Device,
    mut progress: impl FnMut(ClassifierProgress) -> ControlFlow<()>,
) -> Result<TrainedClassifier<B::InnerBackend>, ClassifierError> {
    check(config)?;
    let mut random = ChaCha8Rng::seed_from_u64(config.seed);
    let mut network = config.network.init::<B>(device).map(&mut HeInitializer {
        random: &mut random,
    });
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    let cross_entropy = CrossEntropyLossConfig::new().init(device);
    let mut order = train.order(config.seed);
    let mut position = 0;

    for step in 0..config.steps {
        let mut pixels = Vec::with_capacity(config.batch_size * PIXELS);
        let mut labels = Vec::with_capacity(config.batch_size);
        for _ in 0..config.batch_size {
            let sample = order.at(position);
            position += 1;
            let image = train.image(sample.index, sample.flip);
            pixels.extend(shifted(&image, shift(&mut random), shift(&mut random)));
            labels.push(i32::from(train.labels()[sample.index]));
        }
        let labels =
            Tensor::<B, 1, Int>::from_data(TensorData::new(labels, [config.batch_size]), device);
        let graph = Graph::start();
        let loss = cross_entropy.forward(network.logits(images(pixels, device)), labels);
        let gradients = GradientsParams::from_grads(graph.backward(&loss), &network);
        let rate =
            config.learning_rate * (1.0 + (PI * step as f64 / config.steps as f64).cos()) / 2.0;
        network = optimizer.step(rate, network, gradients);

        let loss = loss.into_scalar().elem::<f64>();
        if !loss.is_finite() {
            return Err(ClassifierError::Diverged { step: step + 1 });
        }
        let report = ClassifierProgress {
            step: step + 1,
            steps: config.steps,
            loss,
        };
        if progress(report).is_break() {
            return Err(ClassifierError::Interrupted { step: step + 1 });
        }
    }
    let network = network.valid();
    let test_accuracy = classifier_accuracy(&network, test, device);
    Ok(TrainedClassifier {
        network,
        test_accuracy,
    })
}

/// The share of `data` that `network` names rightly, in `[0, 1]`.
pub fn classifier_accuracy<B: Backend>(
    network: &FashionCnn<B>,
    data: &FashionMnist,
    device: &B::Device,
) -> f64 {
    let mut right = 0;
    for (batch, labels) in data.labels().chunks(TEST_BATCH).enumerate() {
        let first = batch * TEST_BATCH;
        let pixels = (first..first + labels.len())
            .flat_map(|i| data.image(i, false))
            .collect();
        let named = network.logits(images(pixels, device)).argmax(1).into_data();
        right += named
            .iter::<i64>()
            .zip(labels)
            .filter(|(a, b)| *a == i64::from(**b))
            .count();
    }
    right as f64 / data.len() as f64
}

fn check(config: &ClassifierConfig) -> Result<(), ClassifierError> {
    let invalid = |problem: String| Err(ClassifierError::Config(problem));
    if config.steps == 0 || config.batch_size == 0 {
        return invalid(format!(
            "expected at least one step of at least one image, found {} steps of {}",
            config.steps, config.batch_size
        ));
    }
    if !(config.learning_rate.is_finite() && config.learning_rate > 0.0) {
        return invalid(format!(
            "the learning rate {} is not positive",
            config.learning_rate
        ));
    }
    if config.network.classes < CLASSES {
        return invalid(format!(
            "{} classes, but the data have {}",
            config.network.classes, CLASSES
        ));
    }
    Ok(())
}

/// Pixels to `[batch, 1, 32, 32]`.
fn images<B: Backend>(pixels: Vec<f32>, device: &B::Device) -> Tensor<B, 4> {
    let batch = pixels.len() / PIXELS;
    Tensor::from_data(TensorData::new(pixels, [batch, 1, SIDE, SIDE]), device)
}

/// A shift in `0..=2 SHIFT`, of which `SHIFT` leaves the image where it is.
fn shift(random: &mut ChaCha8Rng) -> usize {
    random.next_u32() as usize % (2 * SHIFT + 1)
}

fn shifted(image: &[f32; PIXELS], down: usize, right: usize) -> [f32; PIXELS] {
    let mut result = [from_byte(0); PIXELS];
    let content = SIDE - 2 * SHIFT;
    for row in 0..content {
        let source = (row + SHIFT) * SIDE + SHIFT;
        let target = (row + down) * SIDE + right;
        result[target..target + content].copy_from_slice(&image[source..source + content]);
    }
    result
}

/// He et al. 2015 (arXiv 1502.01852): weights uniform within (6 / fan-in)^1/2, biases zero; drawn
/// on the host, as backends' own random numbers differ.
struct HeInitializer<'a> {
    random: &'a mut ChaCha8Rng,
}

impl<B: Backend> ModuleMapper<B> for HeInitializer<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|tensor| {
            let shape = tensor.dims();
            // Convolutions are [out, in, height, width], linear layers [in, out].
            let fan_in = match D {
                1 => return tensor.zeros_like().require_grad(),
                2 => shape[0],
                _ => shape[1..].iter().product(),
            };
            let bound = (6.0 / fan_in as f32).sqrt();
            let values: Vec<_> = (0..shape.iter().product())
                .map(|_| (self.random.next_u32() as f32 / u32::MAX as f32 * 2.0 - 1.0) * bound)
                .collect();
            Tensor::from_data(TensorData::new(values, shape), &tensor.device()).require_grad()
        })
    }
}

#[cfg(test)]
mod tests {
    use adadiff_data::Split;
    use burn::backend::Autodiff;
    use burn_flex::{Flex, FlexDevice};

    use super::*;

    fn bundled() -> FashionMnist {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../experiments/assets/fashion_mnist"
        );
        FashionMnist::load(folder.as_ref(), Split::Test).unwrap()
    }

    fn train(config: &ClassifierConfig) -> (f64, Vec<f64>) {
        let data = bundled();
        let mut losses = Vec::new();
        let keep = |progress: ClassifierProgress| {
            losses.push(progress.loss);
            ControlFlow::Continue(())
        };
        let trained =
            train_classifier::<Autodiff<Flex>>(config, &data, &data, &FlexDevice, keep).unwrap();
        (trained.test_accuracy, losses)
    }

    #[test]
    fn training_learns_and_a_seed_fixes_it() {
        println!("device: flex");
        let config = ClassifierConfig::new(FashionCnnConfig::new()).with_steps(60);
        let (accuracy, losses) = train(&config);
        assert!(accuracy > 0.6, "accuracy {accuracy}");
        assert_eq!(losses.len(), 60);
        assert_eq!(train(&config), (accuracy, losses));
    }

    #[test]
    fn shifts_move_the_content_only() {
        let mut image = [from_byte(0); PIXELS];
        image[2 * SIDE + 2] = 1.0;
        image[29 * SIDE + 29] = 0.5;
        assert_eq!(shifted(&image, SHIFT, SHIFT), image);
        let moved = shifted(&image, 0, 2 * SHIFT);
        assert_eq!((moved[SIDE + 3], moved[28 * SIDE + 30]), (1.0, 0.5));
    }

    #[test]
    fn what_trains_nothing_is_refused() {
        let config = ClassifierConfig::new(FashionCnnConfig::new());
        for config in [
            config.clone().with_steps(0),
            config.clone().with_batch_size(0),
            config.clone().with_learning_rate(f64::NAN),
            config.clone().with_learning_rate(-1.0),
            ClassifierConfig::new(FashionCnnConfig::new().with_classes(9)),
        ] {
            assert!(
                matches!(check(&config), Err(ClassifierError::Config(_))),
                "{config}"
            );
        }
    }
}
