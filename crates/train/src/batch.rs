//! The random draws of a training step.

use adadiff_data::SampleOrder;
use adadiff_model::Condition;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::{ImageSource, TrainConfig};

/// What a step trains on.
pub(crate) struct Batch<B: Backend> {
    /// Clean images `[batch, channels, height, width]`.
    pub images: Tensor<B, 4>,
    /// Noise of the same shape.
    pub noise: Tensor<B, 4>,
    /// A time in `[0, 1)` for each image.
    pub times: Vec<f64>,
    /// The labels, some of them dropped.
    pub condition: Condition<B>,
}

/// Draws the batch of a step. It is a function of the seed and the step alone, so that a resumed
/// training sees what an uninterrupted one would have seen.
///
/// `classes` is the number of class labels of the network, whose last one stands for "no class";
/// absent for an unconditional network.
pub(crate) fn draw<B: Backend>(
    config: &TrainConfig,
    source: &dyn ImageSource,
    order: &mut SampleOrder,
    classes: Option<usize>,
    step: u64,
    device: &B::Device,
) -> Batch<B> {
    let mut random = ChaCha8Rng::seed_from_u64(config.seed);
    random.set_stream(step + 1);
    let [channels, height, width] = source.shape();
    let size = channels * height * width;
    let mut pixels = vec![0.0; config.batch_size * size];
    let mut labels = Vec::with_capacity(config.batch_size);
    let mut times = Vec::with_capacity(config.batch_size);
    let first = step * config.batch_size as u64;
    for (position, pixels) in (first..).zip(pixels.chunks_exact_mut(size)) {
        let sample = order.at(position);
        source.write(sample.index, config.flip && sample.flip, pixels);
        times.push(random.random::<f64>());
        let dropped = random.random_bool(config.label_dropout);
        if let Some(classes) = classes {
            let label = source.label(sample.index).filter(|_| !dropped);
            labels.push(label.unwrap_or(classes - 1) as i64);
        }
    }
    let noise: Vec<f32> = (0..pixels.len())
        .map(|_| random.sample(StandardNormal))
        .collect();
    let shape = [config.batch_size, channels, height, width];
    Batch {
        images: Tensor::from_data(TensorData::new(pixels, shape), device),
        noise: Tensor::from_data(TensorData::new(noise, shape), device),
        times,
        condition: match classes {
            None => Condition::None,
            Some(_) => Condition::Class(Tensor::from_data(
                TensorData::new(labels, [config.batch_size]),
                device,
            )),
        },
    }
}
