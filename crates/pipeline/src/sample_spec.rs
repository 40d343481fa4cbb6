//! Which samples to draw.

use std::fmt;
use std::sync::Arc;

use adadiff_model::Condition;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

/// Which samples to draw; what is left open is as the pipeline's configuration has it.
#[derive(Clone, Debug)]
pub struct SampleSpec {
    /// The number of the first sample in the whole run: sample `n` is the same in any part of it.
    pub first_sample: u64,
    /// Number of samples.
    pub samples: usize,
    /// Samples of a batch.
    pub batch: Option<usize>,
    /// Network evaluations for each sample.
    pub steps: Option<usize>,
    /// Seed of all noise.
    pub seed: Option<u64>,
    /// What samples are conditioned on; all classes or prompts in turn where that is left open.
    pub conditions: Option<Conditions>,
    /// Guidance scale; zero for none.
    pub guidance: Option<f64>,
}

impl SampleSpec {
    /// So many samples, from the first on, with everything else left open.
    pub fn new(samples: usize) -> Self {
        Self {
            first_sample: 0,
            samples,
            batch: None,
            steps: None,
            seed: None,
            conditions: None,
            guidance: None,
        }
    }
}

/// Which samples to draw, with nothing left open: [`Pipeline::plan`](crate::Pipeline::plan) makes it of
/// a [`SampleSpec`].
#[derive(Clone, Debug)]
pub struct SamplePlan {
    /// The number of the first sample in the whole run: sample `n` is the same in any part of it.
    pub first_sample: u64,
    /// Number of samples.
    pub samples: usize,
    /// Samples of a batch.
    pub batch: usize,
    /// Network evaluations for each sample.
    pub steps: usize,
    /// Seed of all noise.
    pub seed: u64,
    /// What samples are conditioned on.
    pub conditions: Conditions,
    /// Guidance scale; zero for none.
    pub guidance: f64,
}

/// What the samples of a run are conditioned on, by their numbers.
#[derive(Clone)]
pub enum Conditions {
    /// On nothing.
    None,
    /// On classes; the first is used again after the last.
    Classes(Vec<usize>),
    /// On text.
    Texts(Arc<dyn Contexts>),
}

/// The contexts of prompts.
pub trait Contexts: Send + Sync {
    /// Number of prompts, never 0; the first is used again after the last.
    fn len(&self) -> usize;

    /// Whether there are no prompts.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens and values of a token.
    fn size(&self) -> [usize; 2];

    /// The context of a prompt, `[tokens, width]`.
    fn context(&self, prompt: usize) -> Vec<f32>;

    /// The context of the empty prompt.
    fn empty(&self) -> Vec<f32>;
}

impl fmt::Debug for Conditions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(formatter, "None"),
            Self::Classes(classes) => write!(formatter, "Classes({classes:?})"),
            Self::Texts(contexts) => write!(formatter, "Texts({} prompts)", contexts.len()),
        }
    }
}

impl SamplePlan {
    /// The same run's samples from `offset` on, `samples` of them or as many as there are.
    pub fn part(&self, offset: usize, samples: usize) -> Self {
        Self {
            first_sample: self.first_sample + offset as u64,
            samples: samples.min(self.samples.saturating_sub(offset)),
            ..self.clone()
        }
    }

    /// The numbers of the samples.
    fn numbers(&self) -> impl Iterator<Item = u64> {
        self.first_sample..self.first_sample + self.samples as u64
    }

    /// The condition of every sample.
    pub fn condition<B: Backend>(&self, device: &B::Device) -> Condition<B> {
        match &self.conditions {
            Conditions::None => Condition::None,
            Conditions::Classes(classes) => {
                let labels = self
                    .numbers()
                    .map(|number| classes[(number % classes.len() as u64) as usize] as i64)
                    .collect();
                let labels = TensorData::new::<i64, _>(labels, [self.samples]);
                Condition::Class(Tensor::from_data(labels, device))
            }
            Conditions::Texts(contexts) => {
                let prompts = contexts.len() as u64;
                let values = self
                    .numbers()
                    .flat_map(|number| contexts.context((number % prompts) as usize))
                    .collect();
                let [tokens, width] = contexts.size();
                let values = TensorData::new::<f32, _>(values, [self.samples, tokens, width]);
                Condition::Text(Tensor::from_data(values, device))
            }
        }
    }
}
