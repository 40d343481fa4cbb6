//! Trains the classifiers whose features judge samples.

mod state;

use std::f64::consts::PI;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;

use adadiff_data::{ImageError, ImageSet, SampleOrder, from_byte, images_sha256};
use adadiff_metrics::Classifier;
use burn::config::Config;
use burn::module::{AutodiffModule, ModuleMapper, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, Int, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use thiserror::Error;

use crate::TrainError;
use crate::checkpoint;
use crate::digest::weights_sha256;
use crate::graph::Graph;
use state::ClassifierState;

/// Steps from one checkpoint to the next.
const CHECKPOINT_EVERY: usize = 250;

/// Images in one forward pass when the accuracy is measured.
const TEST_BATCH: usize = 500;

/// How the classifier is trained: cross entropy, AdamW, a rate that falls along a cosine to zero.
#[derive(Config, Debug)]
pub struct ClassifierConfig {
    /// Steps of the optimizer.
    #[config(default = 4000)]
    pub steps: usize,
    /// Images of a step.
    #[config(default = 128)]
    pub batch_size: usize,
    /// The learning rate of the first step.
    #[config(default = 2e-3)]
    pub learning_rate: f64,
    /// The decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101).
    #[config(default = 0.0)]
    pub weight_decay: f32,
    /// Pixels by which a training image is shifted at most, along each side; what leaves the image
    /// is lost, and what enters it is black.
    #[config(default = 1)]
    pub shift: usize,
    /// Fixes initial weights, order, flips and shifts.
    #[config(default = 0)]
    pub seed: u64,
}

/// A trained classifier.
#[derive(Debug)]
pub struct TrainedClassifier<N> {
    /// The network.
    pub network: N,
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
    /// An image cannot be read.
    #[error("{name} {error}")]
    Image {
        /// What the image is called where the data lie.
        name: String,
        /// What is wrong with it.
        error: ImageError,
    },
    /// What is kept of the training cannot be used or written.
    #[error(transparent)]
    Checkpoint(#[from] TrainError),
    /// The loss left the numbers.
    #[error("the classifier's loss is not finite after {step} steps; try a smaller learning rate")]
    Diverged {
        /// Steps done.
        step: usize,
    },
    /// The caller's progress function asked to stop.
    #[error("interrupted after {step} steps")]
    Interrupted {
        /// Steps done.
        step: usize,
    },
}

/// Trains `network` on `train`, flipped and shifted at random, and measures it on `test`; it starts
/// from weights that are drawn anew.
///
/// The result is a function of configuration, data and backend: all randomness is drawn on the
/// host. What the folder `checkpoints` holds is continued, and the state of the training is kept there.
///
/// # Errors
/// Where the configuration trains nothing or the data are not the network's, an image cannot be
/// read, the loss becomes infinite, a checkpoint is damaged, of another training or cannot be written, or `progress`, called
/// after every step, breaks.
pub fn train_classifier<B: AutodiffBackend, N>(
    config: &ClassifierConfig,
    network: N,
    train: &dyn ImageSet,
    test: &dyn ImageSet,
    device: &B::Device,
    checkpoints: Option<&Path>,
    mut progress: impl FnMut(ClassifierProgress) -> ControlFlow<()>,
) -> Result<TrainedClassifier<N::InnerModule>, ClassifierError>
where
    N: Classifier<B> + AutodiffModule<B>,
    N::InnerModule: Classifier<B::InnerBackend>,
{
    let shape = network.shape();
    check(config, network.classes(), shape, &[train, test])?;
    let mut random = ChaCha8Rng::seed_from_u64(config.seed);
    let mut network = network.map(&mut HeInitializer {
        random: &mut random,
    });
    let mut optimizer = AdamWConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(config.weight_decay)
        .init();
    let described = format!(
        "{} with {} parameters",
        network.name(),
        network.num_params()
    );
    let data = checkpoints.map(|_| images_sha256(train));
    let mut state = ClassifierState::new(config, described, data);
    if let Some(folder) = checkpoints
        && let Some((found, files)) = checkpoint::latest(folder)?
    {
        state = state.resumed(found, folder)?;
        network = network.load_record(files.read::<B, _>("model.bin", device)?);
        optimizer = optimizer.load_record(files.read::<B, _>("optimizer.bin", device)?);
        random.set_word_pos(state.random_position.into());
    }
    let cross_entropy = CrossEntropyLossConfig::new().init(device);
    let length = NonZeroUsize::new(train.len()).unwrap_or(NonZeroUsize::MIN);
    let mut order = SampleOrder::new(config.seed, length);

    while state.step < config.steps as u64 {
        let mut pixels = Vec::with_capacity(config.batch_size * shape.iter().product::<usize>());
        let mut labels = Vec::with_capacity(config.batch_size);
        let first = state.step * config.batch_size as u64;
        for position in first..first + config.batch_size as u64 {
            let sample = order.at(position);
            let image = image(train, sample.index, sample.flip)?;
            let [down, right] = [(); 2].map(|()| shift(config.shift, &mut random));
            shifted(&image, shape, config.shift, [down, right], &mut pixels);
            labels.push(label(train, sample.index));
        }
        let labels =
            Tensor::<B, 1, Int>::from_data(TensorData::new(labels, [config.batch_size]), device);
        let graph = Graph::start();
        let images = images(pixels, shape, device);
        let loss = cross_entropy.forward(network.logits(images), labels);
        let gradients = GradientsParams::from_grads(graph.backward(&loss), &network);
        let share = state.step as f64 / config.steps as f64;
        let rate = config.learning_rate * (1.0 + (PI * share).cos()) / 2.0;
        network = optimizer.step(rate, network, gradients);

        state.step += 1;
        state.random_position = random.get_word_pos() as u64;
        let step = state.step as usize;
        let loss = loss.into_scalar().elem::<f64>();
        if !loss.is_finite() {
            return Err(ClassifierError::Diverged { step });
        }
        let report = ClassifierProgress {
            step,
            steps: config.steps,
            loss,
        };
        let stops = progress(report).is_break();
        if let Some(folder) = checkpoints
            && (stops || step.is_multiple_of(CHECKPOINT_EVERY))
        {
            checkpoint::save(folder, state.clone(), |files| {
                weights_sha256(&network)?;
                files.write::<B, _>("model.bin", network.clone().into_record())?;
                files.write::<B, _>("optimizer.bin", optimizer.to_record())
            })?;
        }
        if stops {
            return Err(ClassifierError::Interrupted { step });
        }
    }
    let network = network.valid();
    let test_accuracy = classifier_accuracy(&network, test, device)?;
    Ok(TrainedClassifier {
        network,
        test_accuracy,
    })
}

/// The share of `data` that `network` names rightly, in `[0, 1]`.
///
/// # Errors
/// Where an image cannot be read.
pub fn classifier_accuracy<B: Backend, N: Classifier<B> + ?Sized>(
    network: &N,
    data: &dyn ImageSet,
    device: &B::Device,
) -> Result<f64, ClassifierError> {
    let mut right = 0;
    for first in (0..data.len()).step_by(TEST_BATCH) {
        let indices = first..data.len().min(first + TEST_BATCH);
        let mut pixels = Vec::new();
        for index in indices.clone() {
            pixels.extend(image(data, index, false)?);
        }
        let logits = network.logits(images(pixels, network.shape(), device));
        let named = logits.argmax(1).into_data();
        let labels = indices.map(|index| i64::from(label(data, index)));
        right += named
            .iter::<i64>()
            .zip(labels)
            .filter(|(named, label)| named == label)
            .count();
    }
    Ok(right as f64 / data.len() as f64)
}

fn check(
    config: &ClassifierConfig,
    classes: usize,
    shape: [usize; 3],
    sets: &[&dyn ImageSet],
) -> Result<(), ClassifierError> {
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
    for set in sets {
        let Some(found) = set.classes() else {
            return invalid("the data have no classes".to_owned());
        };
        if classes < found {
            return invalid(format!("{classes} classes, but the data have {found}"));
        }
        if set.shape() != shape {
            return invalid(format!(
                "the network takes images of {shape:?}, the data have {:?}",
                set.shape()
            ));
        }
    }
    Ok(())
}

fn image(set: &dyn ImageSet, index: usize, flip: bool) -> Result<Vec<f32>, ClassifierError> {
    set.image(index, flip)
        .map_err(|error| ClassifierError::Image {
            name: set.name(index),
            error,
        })
}

/// The label of an image of a set with classes, as [`check`] has seen to.
fn label(set: &dyn ImageSet, index: usize) -> i32 {
    set.label(index).unwrap_or_default() as i32
}

/// Pixels to `[batch, channels, height, width]`.
fn images<B: Backend>(
    pixels: Vec<f32>,
    [channels, height, width]: [usize; 3],
    device: &B::Device,
) -> Tensor<B, 4> {
    let batch = pixels.len() / (channels * height * width);
    let shape = [batch, channels, height, width];
    Tensor::from_data(TensorData::new(pixels, shape), device)
}

/// A shift in `0..=2 most`, of which `most` leaves the image where it is.
fn shift(most: usize, random: &mut ChaCha8Rng) -> usize {
    random.next_u32() as usize % (2 * most + 1)
}

/// Appends an image of this shape, moved `down` and `right` pixels less the most that it can be.
fn shifted(
    image: &[f32],
    [channels, height, width]: [usize; 3],
    most: usize,
    [down, right]: [usize; 2],
    pixels: &mut Vec<f32>,
) {
    for plane in image.chunks_exact(height * width).take(channels) {
        for row in 0..height {
            let source = (row + most).checked_sub(down).filter(|row| *row < height);
            pixels.extend((0..width).map(|column| {
                let column = (column + most).checked_sub(right);
                match (source, column.filter(|column| *column < width)) {
                    (Some(row), Some(column)) => plane[row * width + column],
                    _ => from_byte(0),
                }
            }));
        }
    }
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
    use adadiff_data::fashion_mnist::{PIXELS, SIDE};
    use adadiff_data::{FashionMnist, Split};
    use adadiff_metrics::FashionCnnConfig;
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
        let network = FashionCnnConfig::new().init::<Autodiff<Flex>>(&FlexDevice);
        let trained =
            train_classifier(config, network, &data, &data, &FlexDevice, None, keep).unwrap();
        (trained.test_accuracy, losses)
    }

    #[test]
    fn training_learns_and_a_seed_fixes_it() {
        println!("device: flex");
        let config = ClassifierConfig::new().with_steps(60);
        let (accuracy, losses) = train(&config);
        assert!(accuracy > 0.6, "accuracy {accuracy}");
        assert_eq!(losses.len(), 60);
        assert_eq!(train(&config), (accuracy, losses));
    }

    #[test]
    fn an_interrupted_training_goes_on_as_if_it_had_not_been() {
        println!("device: flex");
        let data = bundled();
        let folder = tempfile::tempdir().unwrap();
        let config = ClassifierConfig::new().with_steps(12).with_batch_size(16);
        let part = |config: &ClassifierConfig, until: usize| {
            let mut losses = Vec::new();
            let network = FashionCnnConfig::new().init::<Autodiff<Flex>>(&FlexDevice);
            let checkpoints = Some(folder.path());
            let progress = |progress: ClassifierProgress| {
                losses.push(progress.loss);
                if progress.step == until {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            let trained = train_classifier(
                config,
                network,
                &data,
                &data,
                &FlexDevice,
                checkpoints,
                progress,
            );
            (trained.map(|trained| trained.test_accuracy), losses)
        };
        let (whole_accuracy, whole) = train(&config);
        let (stopped, mut losses) = part(&config, 5);
        assert!(matches!(
            stopped,
            Err(ClassifierError::Interrupted { step: 5 })
        ));
        let (refused, none) = part(&config.clone().with_shift(2), 0);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("another run"), "{refused}");
        assert!(none.is_empty());
        let (accuracy, rest) = part(&config, 0);
        losses.extend(rest);
        assert_eq!((accuracy.unwrap(), losses), (whole_accuracy, whole));
    }

    #[test]
    fn shifts_move_the_content() {
        let moved = |image: &[f32], shape, most, by| {
            let mut pixels = Vec::new();
            shifted(image, shape, most, by, &mut pixels);
            pixels
        };
        let mut image = [from_byte(0); PIXELS];
        image[2 * SIDE + 2] = 1.0;
        image[29 * SIDE + 29] = 0.5;
        let shape = [1, SIDE, SIDE];
        assert_eq!(moved(&image, shape, 1, [1, 1]), image);
        let corner = moved(&image, shape, 1, [0, 2]);
        assert_eq!((corner[SIDE + 3], corner[28 * SIDE + 30]), (1.0, 0.5));
        // Each channel by itself; what leaves is lost, what enters is black.
        let colours = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let left = moved(&colours, [2, 2, 2], 1, [1, 0]);
        assert_eq!(left, [2.0, -1.0, 4.0, -1.0, 6.0, -1.0, 8.0, -1.0]);
    }

    #[test]
    fn what_trains_nothing_is_refused() {
        let data = bundled();
        let config = ClassifierConfig::new();
        let shape = [1, SIDE, SIDE];
        for (config, classes, shape) in [
            (config.clone().with_steps(0), 10, shape),
            (config.clone().with_batch_size(0), 10, shape),
            (config.clone().with_learning_rate(f64::NAN), 10, shape),
            (config.clone().with_learning_rate(-1.0), 10, shape),
            (config.clone(), 9, shape),
            (config.clone(), 10, [3, SIDE, SIDE]),
        ] {
            assert!(
                matches!(
                    check(&config, classes, shape, &[&data]),
                    Err(ClassifierError::Config(_))
                ),
                "{config}"
            );
        }
        assert!(check(&config, 10, shape, &[&data]).is_ok());
    }
}
