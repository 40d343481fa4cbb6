//! The random draws of a training step.

use std::ops::Range;

use adadiff_data::{Conditioning, Label, TrainingSet};
use adadiff_model::Condition;
use adadiff_sampler::{NoiseSchedule, diffuse};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::TrainConfig;
use crate::objective::Input;

/// What a step trains on, in the host's memory.
pub(crate) struct Batch {
    /// Channels, height and width.
    shape: [usize; 3],
    /// Clean images or latents `[rows, channels, height, width]`.
    images: Vec<f32>,
    /// Noise of the same shape.
    noise: Vec<f32>,
    /// A time for each row.
    times: Vec<f64>,
    conditions: Conditions,
}

/// What each row is conditioned on, where some rows are not.
enum Conditions {
    None,
    Class(Vec<i64>),
    Text { size: [usize; 2], values: Vec<f32> },
}

impl Batch {
    /// Draws times, noise and which conditions are dropped for what was loaded of a step. They are a
    /// function of the seed and the step alone, so that a resumed training sees what an
    /// uninterrupted one would have seen, and workers that share a step what one would see.
    ///
    /// `classes` is the number of class labels of the network, whose last one stands for "no
    /// class"; absent where it knows no classes. `rows` are those of the step's batch that were
    /// loaded.
    pub fn draw(
        config: &TrainConfig,
        schedule: &dyn NoiseSchedule,
        set: &dyn TrainingSet,
        classes: Option<usize>,
        loaded: adadiff_data::Batch,
        rows: Range<usize>,
    ) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(config.seed);
        random.set_stream(loaded.step + 1);
        let mut times = Vec::with_capacity(config.batch_size);
        let mut dropped = Vec::with_capacity(config.batch_size);
        for _ in 0..config.batch_size {
            times.push(on_schedule(schedule, random.random::<f64>()));
            dropped.push(random.random_bool(config.label_dropout));
        }
        let size: usize = set.shape().iter().product();
        let noise: Vec<f32> = (0..config.batch_size * size)
            .map(|_| random.sample(StandardNormal))
            .collect();

        let empty = set.empty_context().unwrap_or_default();
        let labels = loaded.labels.into_iter().zip(&dropped[rows.clone()]);
        let conditions = match (set.conditioning(), classes) {
            (Conditioning::Text { tokens, width }, _) => Conditions::Text {
                size: [tokens, width],
                values: labels
                    .flat_map(|(label, &dropped)| match label {
                        Label::Context(context) if !dropped => context,
                        _ => empty.to_vec(),
                    })
                    .collect(),
            },
            (_, None) => Conditions::None,
            (_, Some(classes)) => Conditions::Class(
                labels
                    .map(|(label, &dropped)| match label {
                        Label::Class(class) if !dropped => class as i64,
                        _ => classes as i64 - 1,
                    })
                    .collect(),
            ),
        };
        Self {
            shape: set.shape(),
            images: loaded.images,
            noise: noise[rows.start * size..rows.end * size].to_vec(),
            times: times[rows].to_vec(),
            conditions,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// The rows in `rows` on a device, with the noise added.
    pub fn part<B: Backend>(
        &self,
        rows: Range<usize>,
        schedule: &dyn NoiseSchedule,
        device: &B::Device,
    ) -> Input<B> {
        let [channels, height, width] = self.shape;
        let images = |values: &[f32]| {
            let size = channels * height * width;
            let values = values[rows.start * size..rows.end * size].to_vec();
            let shape = [rows.len(), channels, height, width];
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        let noise = images(&self.noise);
        let times = &self.times[rows.clone()];
        let timestep = |&time: &f64| schedule.network_timestep(time) as f32;
        Input {
            noisy: diffuse(schedule, images(&self.images), noise.clone(), times),
            noise,
            timesteps: times.iter().map(timestep).collect(),
            condition: match &self.conditions {
                Conditions::None => Condition::None,
                Conditions::Class(labels) => Condition::Class(Tensor::from_data(
                    TensorData::new(labels[rows.clone()].to_vec(), [rows.len()]),
                    device,
                )),
                Conditions::Text { size, values } => {
                    let [tokens, width] = *size;
                    let row = tokens * width;
                    let values = values[rows.start * row..rows.end * row].to_vec();
                    let shape = [rows.len(), tokens, width];
                    Condition::Text(Tensor::from_data(TensorData::new(values, shape), device))
                }
            },
        }
    }
}

/// The time that an even draw from `[0, 1)` stands for: itself in continuous time, one of the steps
/// in discrete time.
fn on_schedule(schedule: &dyn NoiseSchedule, draw: f64) -> f64 {
    match schedule.trained_steps() {
        None => draw,
        Some(steps) => ((draw * steps as f64).floor() + 1.0) / steps as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adadiff_sampler::{DiscreteSchedule, StepNumbering, VpLinear};

    #[test]
    fn discrete_times_are_steps_and_all_of_them() {
        let schedule = DiscreteSchedule::stable_diffusion(StepNumbering::FromOne);
        let timestep = |draw| schedule.network_timestep(on_schedule(&schedule, draw));
        assert_eq!(timestep(0.0), 1.0);
        assert_eq!(timestep(0.0015), 2.0);
        assert_eq!(timestep(1.0 - f64::EPSILON), 1000.0);
        assert_eq!(on_schedule(&VpLinear::default(), 0.25), 0.25);
    }
}
