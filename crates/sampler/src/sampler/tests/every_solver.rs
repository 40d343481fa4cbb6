//! What holds for every solver: what a sample may depend on, early exits, given noise.

use adadiff_model::UVitConfig;
use adadiff_uem::{AdaDiff, AdaDiffConfig, AdaptiveUVit, Threshold};

use super::*;
use crate::testing::every_solver;
use crate::{DiscreteSchedule, DpmSolver, Guided, NoiseStream, SinglestepOrders, SolverConfig};

/// A sampler on DDPM's schedule, which every solver walks.
fn discrete(solver: SolverConfig, steps: usize) -> Sampler<Plain> {
    Sampler {
        schedule: Box::new(DiscreteSchedule::ddpm_linear()),
        solver: solver.build(),
        steps,
    }
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    for solver in every_solver() {
        let draw = |first, labels: &[i32], batch| {
            discrete(solver, 7)
                .sample(
                    &Labelled::default(),
                    &request(first, labels, batch),
                    &mut go_on,
                )
                .unwrap()
        };
        let whole = draw(20, &LABELS, 7);
        for batch in [1, 2, 3, 100] {
            let parts = draw(20, &LABELS, batch);
            assert_eq!(values(parts.images), values(whole.images.clone()));
            assert_eq!(parts.trace, whole.trace);
        }
        let tail = draw(24, &LABELS[4..], 2);
        assert_eq!(values(tail.images), values(whole.images)[4 * 24..]);
    }
}

/// Draws from a small network whose samples leave early.
fn draw_adaptive(
    model: &AdaDiff<Plain>,
    solver: SolverConfig,
    steps: usize,
    batch: usize,
    guidance: bool,
) -> SamplerOutput<Plain> {
    // The estimators are as initialised, around one half.
    let adaptive = AdaptiveUVit::new(model, Threshold { uncertainty: 0.5 });
    let request = SampleRequest {
        shape: [2, 4, 4],
        ..request(3, &LABELS.map(|label| label % 4), batch)
    };
    let none = Condition::Class(Tensor::from_ints([4], &device()));
    let guided = Guided::new(&adaptive, none, 0.5).unwrap();
    let denoiser: &dyn Denoiser<Plain> = if guidance { &guided } else { &adaptive };
    discrete(solver, steps)
        .sample(denoiser, &request, &mut go_on)
        .unwrap()
}

#[test]
fn samples_leave_early_under_every_solver() {
    let config = AdaDiffConfig::new(UVitConfig {
        image_size: 4,
        width: 16,
        heads: 2,
        mlp_ratio: 2.0,
        classes: Some(5),
        final_convolution: false,
        ..UVitConfig::tiny()
    });
    let model = config.init::<Plain>(1, &device()).unwrap();
    for solver in every_solver() {
        // Steps of every remainder; a fixed order makes whole updates only.
        for steps in [6, 7, 8] {
            let guidance = steps == 7;
            let whole = draw_adaptive(&model, solver, steps, 7, guidance);
            let evaluations = match solver {
                SolverConfig::DpmSolver(DpmSolver {
                    orders: SinglestepOrders::Fixed(order),
                    ..
                }) => steps / order * order,
                _ => steps,
            };
            assert_eq!(whole.evaluations, evaluations, "{solver:?}");
            assert_eq!(whole.trace.steps.len(), evaluations, "{solver:?}");
            assert!(whole.trace.steps.iter().all(|step| step.blocks.len() == 7));
            let reduction = whole.trace.block_reduction();
            assert!((0.05..0.95).contains(&reduction), "{solver:?}: {reduction}");

            let single = draw_adaptive(&model, solver, steps, 1, guidance);
            let blocks = |samples: &SamplerOutput<Plain>| -> Vec<Vec<u32>> {
                let steps = samples.trace.steps.iter();
                steps.map(|step| step.blocks.clone()).collect()
            };
            assert_eq!(blocks(&single), blocks(&whole), "{solver:?}");
            for (a, b) in values(single.images).iter().zip(values(whole.images)) {
                assert!(
                    (a - b).abs() <= 1e-4 * b.abs().max(1.0),
                    "{solver:?}: {a}, {b}"
                );
            }
        }
    }
}

#[test]
fn given_noise_repeats_a_walk() {
    let stream = NoiseStream::new(11);
    for solver in every_solver() {
        let draw = |noise: NoiseSource<Plain>, batch| {
            let request = SampleRequest {
                noise,
                ..request(20, &LABELS, batch)
            };
            let samples = discrete(solver, 6).sample(&Labelled::default(), &request, &mut go_on);
            samples.map(|samples| values(samples.images))
        };
        let noise = |step| stream.batch(20, 7, step, [2, 3, 4], &device());
        let own = NoiseSource::seeded(0).starting_from(noise(0));
        let seeded = draw(NoiseSource::seeded(11), 7).unwrap();
        let given = own.clone().adding((1..=6).map(noise).collect());
        assert_eq!(draw(given, 2).unwrap(), seeded, "{solver:?}");
        match draw(own.adding(Vec::new()), 2) {
            Ok(images) => assert_eq!(images, seeded, "{solver:?} adds no noise"),
            Err(error) => {
                let missing = SampleError::MissingNoise {
                    update: 0,
                    given: 0,
                };
                assert_eq!(error, missing, "{solver:?}");
            }
        }
    }
}
