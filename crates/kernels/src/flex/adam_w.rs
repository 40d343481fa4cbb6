//! AdamW in one pass over a parameter, its gradient and its moments, in place where nobody else
//! holds them. Operation by operation it would be fifteen passes, each as slow as memory is.

use burn::tensor::TensorMetadata;
use burn_flex::FlexTensor;
use multiversion::multiversion;
use rayon::prelude::*;

use super::{AdamWStep, Elements, changed, copied, in_place, tensor_from, written};

/// Elements of a task: what fits in a core's cache.
const CHUNK: usize = 1 << 14;

/// What one element is updated by, the same for all of a parameter.
#[derive(Clone, Copy)]
struct Factors {
    first_decay: f32,
    second_decay: f32,
    epsilon: f32,
    /// What is left of a parameter after weight decay.
    kept: f32,
    /// The learning rate over the first moment's bias correction.
    rate: f32,
    /// One over the second moment's bias correction.
    second_correction: f32,
}

impl Factors {
    fn new(step: AdamWStep) -> Self {
        let [first_decay, second_decay] = step.betas;
        let correction = |decay: f32| 1.0 - f64::from(decay).powf(step.time as f64);
        Self {
            first_decay,
            second_decay,
            epsilon: step.epsilon,
            kept: (1.0 - step.learning_rate * f64::from(step.weight_decay)) as f32,
            rate: (step.learning_rate / correction(first_decay)) as f32,
            second_correction: (1.0 / correction(second_decay)) as f32,
        }
    }
}

pub(super) fn update(
    mut parameter: FlexTensor,
    gradient: FlexTensor,
    moments: [FlexTensor; 2],
    step: AdamWStep,
) -> [FlexTensor; 3] {
    let factors = Factors::new(step);
    let shape = parameter.shape();
    let gradient = Elements::new(gradient);
    let gradient = gradient.slice();
    // Moments are the optimizer's alone; they are copied only where somebody keeps them.
    let [mut first, mut second] = moments.map(|moment| changed(moment, CHUNK, |_| ()));
    let lengths = [&first, &second].map(|moment| moment.layout().num_elements());
    assert_eq!(lengths, [gradient.len(); 2], "a moment for each gradient");
    assert_eq!(
        shape.num_elements(),
        gradient.len(),
        "a gradient for each value"
    );
    let beside = (first.storage_mut::<f32>().par_chunks_mut(CHUNK))
        .zip(second.storage_mut::<f32>().par_chunks_mut(CHUNK))
        .zip(gradient.par_chunks(CHUNK));
    if let Some(values) = in_place(&mut parameter) {
        let values = values.par_chunks_mut(CHUNK);
        values
            .zip(beside)
            .for_each(|(values, ((first, second), gradient))| {
                update_chunk(values, first, second, gradient, factors);
            });
        return [parameter, first, second];
    }
    let old = Elements::new(parameter);
    let old = old.slice();
    // SAFETY: every chunk is copied whole before it is updated.
    let values = unsafe {
        written(old.len(), |out| {
            out.par_chunks_mut(CHUNK)
                .zip(old.par_chunks(CHUNK))
                .zip(beside)
                .for_each(|((values, old), ((first, second), gradient))| {
                    let values = copied(values, old);
                    update_chunk(values, first, second, gradient, factors);
                });
        })
    };
    [tensor_from(values, shape), first, second]
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn update_chunk(
    values: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    gradient: &[f32],
    factors: Factors,
) {
    let Factors {
        first_decay,
        second_decay,
        epsilon,
        kept,
        rate,
        second_correction,
    } = factors;
    let moments = first.iter_mut().zip(second);
    for ((value, (first, second)), gradient) in values.iter_mut().zip(moments).zip(gradient) {
        *first = first_decay * *first + (1.0 - first_decay) * gradient;
        *second = second_decay * *second + (1.0 - second_decay) * gradient * gradient;
        let deviation = (*second * second_correction).sqrt() + epsilon;
        *value = kept * *value - rate * *first / deviation;
    }
}
