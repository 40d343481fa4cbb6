//! Tests of the loop: what it hands out and what it refuses.

use adadiff_model::{Condition, ModelError, NoisyBatch};

use super::*;
use crate::testing::{Labelled, Plain, device, values};
use crate::{Ddim, EulerMaruyama, NoiseSource, ReverseProcess, VpLinear};

mod every_solver;
mod published;

fn sampler(solver: impl Solver<Plain> + 'static, steps: usize) -> Sampler<Plain> {
    Sampler {
        schedule: Box::new(VpLinear::default()),
        solver: Box::new(solver),
        steps,
    }
}

fn request(first_sample: u64, labels: &[i32], batch: usize) -> SampleRequest<Plain> {
    SampleRequest {
        shape: [2, 3, 4],
        noise: NoiseSource::seeded(11),
        first_sample,
        count: labels.len(),
        batch,
        condition: Condition::Class(Tensor::from_ints(labels, &device())),
        device: device(),
    }
}

fn go_on(_: &Progress<'_, Plain>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

const LABELS: [i32; 7] = [9, 1, 5, 3, 7, 2, 8];

#[test]
fn the_trace_holds_every_evaluation_of_every_sample() {
    let denoiser = Labelled::default();
    let sampler = sampler(EulerMaruyama::new(ReverseProcess::ProbabilityFlow), 4);
    let samples = sampler
        .sample(&denoiser, &request(0, &LABELS, 7), &mut go_on)
        .unwrap();
    assert_eq!(samples.images.dims(), [7, 2, 3, 4]);
    assert_eq!(samples.evaluations, 4);
    assert_eq!(samples.trace.blocks_per_prediction, 10);
    for (step, time) in samples.trace.steps.iter().zip([1.0, 0.667, 0.334, 0.001]) {
        assert!((step.timestep - 999.0 * time).abs() < 1e-9);
        assert_eq!(step.blocks, [9, 1, 5, 3, 7, 2, 8]);
        assert_eq!(step.uncertainty[2], [0.5]);
    }
    let told: Vec<f64> = samples
        .trace
        .steps
        .iter()
        .map(|step| step.timestep)
        .collect();
    assert_eq!(*denoiser.timesteps.borrow(), told);
    assert_eq!(samples.trace.blocks_mean(), 5.0);
}

#[test]
fn the_observer_sees_every_step_and_may_stop() {
    let sampler = sampler(Ddim::default(), 3);
    let mut seen = Vec::new();
    let mut observer = |progress: &Progress<'_, Plain>| {
        assert_eq!((progress.count, progress.step.count), (5, 3));
        assert_eq!(progress.state.dims()[0], progress.samples.len());
        assert_eq!(
            progress.prediction().unwrap().blocks.len(),
            progress.samples.len()
        );
        seen.push((
            progress.samples.clone(),
            progress.step.index,
            progress.finished(),
        ));
        if progress.samples.start == 2 && progress.step.index == 1 {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let error = sampler
        .sample(
            &Labelled::default(),
            &request(0, &LABELS[..5], 2),
            &mut observer,
        )
        .unwrap_err();
    assert_eq!(error, SampleError::Cancelled { finished: 2 });
    let expected = [
        (0..2, 0, 0),
        (0..2, 1, 0),
        (0..2, 2, 2),
        (2..4, 0, 2),
        (2..4, 1, 2),
    ]
    .to_vec();
    assert_eq!(seen, expected);
}

#[test]
fn refuses_requests_for_nothing() {
    let refuse = |steps, change: &dyn Fn(&mut SampleRequest<Plain>)| {
        let mut request = request(0, &LABELS, 2);
        change(&mut request);
        let sampler = sampler(Ddim::default(), steps);
        sampler
            .sample(&Labelled::default(), &request, &mut go_on)
            .unwrap_err()
    };
    assert_eq!(refuse(0, &|_| ()), SampleError::ZeroSteps);
    assert_eq!(
        refuse(3, &|request| request.count = 0),
        SampleError::ZeroSamples
    );
    assert_eq!(
        refuse(3, &|request| request.batch = 0),
        SampleError::ZeroBatch
    );
    assert_eq!(
        refuse(3, &|request| request.shape[1] = 0),
        SampleError::EmptyShape { shape: [2, 0, 4] }
    );
    assert_eq!(
        refuse(3, &|request| request.count = 8),
        SampleError::ConditionRows {
            kind: "class",
            expected: 8,
            found: 7
        }
    );
    let noise = Tensor::zeros([6, 2, 3, 4], &device());
    assert_eq!(
        refuse(3, &|request| {
            request.noise = NoiseSource::seeded(0).starting_from(noise.clone());
        }),
        SampleError::NoiseShape {
            what: "initial state",
            expected: [7, 2, 3, 4],
            found: [6, 2, 3, 4]
        }
    );
    assert_eq!(
        refuse(3, &|request| request.first_sample = u64::MAX - 3),
        SampleError::SampleIndex {
            first: u64::MAX - 3,
            count: 7
        }
    );
    assert_eq!(
        refuse(3, &|request| request.condition = Condition::None),
        SampleError::Model(ModelError::Condition {
            expected: "class",
            given: "none"
        })
    );
}
