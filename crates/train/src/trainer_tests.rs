use std::fs;
use std::num::NonZeroUsize;

use super::*;
use crate::graph::Graph;
use crate::testing::{
    Differentiable, JOINT, Watcher, farthest, farthest_losses, four_steps, network, train, trainer,
    trainer_from, trainer_of, weights,
};
use crate::{Trained, Validation};
use adadiff_uem::HeadForm;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::backend::Backend;
use burn_autodiff::Autodiff;
use burn_flex::Flex;

#[test]
fn averaged_weights_can_be_trained_on() {
    println!("device: flex");
    let device = Default::default();
    let first: Linear<Autodiff<Flex>> = LinearConfig::new(2, 3).init(&device);
    let average = update_average(first.valid(), &first.valid(), 0.5);
    let second: Linear<Autodiff<Flex>> = trainable(average);
    let x = Tensor::<Autodiff<Flex>, 2>::ones([1, 2], &device);
    let graph = Graph::start();
    let gradients = graph.backward(&second.forward(x).sum());
    assert_eq!(GradientsParams::from_grads(gradients, &second).len(), 2);
}

#[test]
fn parts_of_a_batch_teach_what_the_whole_teaches() {
    println!("device: flex");
    // Even parts, then 3 + 2, 2 + 2 + 1 and single images.
    for (batch_size, parts) in [(6, [2, 3, 6]), (5, [2, 3, 5])] {
        for objective in [Objective::Simple, JOINT] {
            let with_parts = |parts: usize| TrainConfig {
                batch_size,
                accumulation: NonZeroUsize::new(parts).unwrap(),
                ..four_steps(objective)
            };
            let (expected_lines, expected) = train(&with_parts(1));
            for parts in parts {
                let (lines, found) = train(&with_parts(parts));
                let losses = farthest_losses(&lines, &expected_lines);
                let weights = farthest(&found, &expected);
                println!("{parts} parts of {batch_size}: {losses:.1e} {weights:.1e}");
                assert!(losses < 1e-6 && weights < 1e-6);
            }
        }
    }
}

#[test]
fn a_frozen_backbone_stays_and_estimators_and_heads_move() {
    println!("device: flex");
    for (recompute_blocks, compute) in [
        (false, ComputeType::F32),
        (true, ComputeType::F32),
        (false, ComputeType::F16),
    ] {
        let config = TrainConfig {
            trained: Trained::Estimators,
            recompute_blocks,
            compute,
            ..four_steps(JOINT)
        };
        let network = AdaDiffConfig {
            heads: HeadForm::Own,
            ..network()
        };
        let trainer = || trainer_of(&config, network.clone()).unwrap();
        let before = weights(trainer().average());
        let folder = tempfile::tempdir().unwrap();
        // A resumed training is as frozen as a new one.
        let mut first = trainer();
        let mut watcher = Watcher::stopping_after(2);
        first.run(folder.path(), &mut watcher).unwrap();
        let mut second = trainer().resume(folder.path()).unwrap();
        second.run(folder.path(), &mut Watcher::default()).unwrap();
        for ((name, after), (_, before)) in weights(second.average()).iter().zip(&before) {
            if name.starts_with("backbone") {
                assert_eq!(after, before, "{name} is frozen")
            } else {
                assert_ne!(after, before, "{name} is trained")
            }
        }
    }
}

#[test]
fn l_simple_does_not_train_estimators() {
    let config = TrainConfig {
        trained: Trained::Estimators,
        ..four_steps(Objective::Simple)
    };
    let told = config.validate().unwrap_err().to_string();
    assert!(told.contains("needs the joint objective"), "{told}");
}

#[test]
fn a_step_whose_gradients_half_precision_cannot_hold_is_left_out() {
    println!("device: flex");
    let config = TrainConfig {
        steps: 1,
        compute: ComputeType::F16,
        ..four_steps(Objective::Simple)
    };
    let mut trainer = trainer(&config).unwrap();
    let before = weights(trainer.average());
    let scale = |factor: f64, steps: u64| Some(LossScale { factor, steps });
    trainer.loss_scale = scale(2f64.powi(60), 7);
    let folder = tempfile::tempdir().unwrap();
    let mut watcher = Watcher::default();
    trainer.run(folder.path(), &mut watcher).unwrap();
    assert_eq!(weights(trainer.average()), before);
    assert_eq!(trainer.loss_scale, scale(2f64.powi(59), 0));
    assert!(watcher.lines[0].total.is_finite());
}

/// Judges the averaged weights by their sum, and fails at a step.
#[derive(Default)]
struct Judge {
    fails_at: Option<u64>,
    judged: Vec<(u64, f64)>,
}

impl TrainObserver<Differentiable> for Judge {
    fn step(&mut self, _step: u64, _steps: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn line(&mut self, _line: &LogLine) {}

    fn validate(
        &mut self,
        step: u64,
        average: &AdaDiff<Flex>,
    ) -> Result<Option<f64>, Box<dyn Error + Send + Sync>> {
        if self.fails_at == Some(step) {
            return Err("nobody knows".into());
        }
        let weights = weights(average);
        let sum = weights
            .iter()
            .flat_map(|(_, values)| values)
            .map(|&value| f64::from(value));
        self.judged.push((step, sum.sum()));
        Ok(self.judged.last().map(|&(_, distance)| distance))
    }

    fn sample(&mut self, _step: u64, _average: &AdaDiff<Flex>) {}
}

#[test]
fn the_log_tells_what_judged_weights_are_worth() {
    println!("device: flex");
    let config = TrainConfig {
        steps: 6,
        checkpoint_every: 3,
        judge: Some(Validation {
            every: 2,
            samples: 9,
            steps: None,
            solver: None,
        }),
        ..four_steps(Objective::Simple)
    };
    let judge = |folder: &Path, fails_at: Option<u64>| {
        let mut judge = Judge {
            fails_at,
            ..Judge::default()
        };
        let mut trainer = trainer(&config).unwrap().resume(folder).unwrap();
        let first = trainer.steps_done() + 1;
        let result = trainer.run(folder, &mut judge);
        (first, result, judge.judged)
    };
    let log = |folder: &Path| -> Vec<(u64, Option<f64>)> {
        let text = fs::read_to_string(folder.join(LOG_FILE)).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<LogLine>(line).unwrap());
        lines
            .map(|line| (line.step, line.frechet_distance))
            .collect()
    };
    let whole = tempfile::tempdir().unwrap();
    let (_, outcome, expected) = judge(whole.path(), None);
    assert_eq!(outcome.unwrap(), TrainOutcome::Finished);
    assert_eq!(
        expected.iter().map(|(step, _)| *step).collect::<Vec<_>>(),
        [2, 4, 6]
    );
    let expected_log = log(whole.path());
    for (step, told) in &expected_log {
        let judged = expected.iter().find(|(judged, _)| judged == step);
        assert_eq!(*told, judged.map(|&(_, distance)| distance), "step {step}");
    }

    // A step that was not judged to the end is done and judged again, from the checkpoint before it.
    let folder = tempfile::tempdir().unwrap();
    let (_, failed, _) = judge(folder.path(), Some(4));
    assert!(
        matches!(failed, Err(TrainError::Judging { step: 4, .. })),
        "{failed:?}"
    );
    let (first, outcome, found) = judge(folder.path(), None);
    assert_eq!((first, outcome.unwrap()), (4, TrainOutcome::Finished));
    assert_eq!(found, expected[1..]);
    assert_eq!(log(folder.path()), expected_log);
}

#[test]
fn only_logged_steps_are_judged() {
    println!("device: flex");
    let every = |every: u64| {
        let config = TrainConfig {
            log_every: 10,
            judge: Some(Validation {
                every,
                samples: 9,
                steps: None,
                solver: None,
            }),
            ..four_steps(Objective::Simple)
        };
        config.validate().map_err(|error| error.to_string())
    };
    assert_eq!(every(20), Ok(()));
    for wrong in [0, 5, 15] {
        let error = every(wrong).unwrap_err();
        assert!(error.contains("multiple of log_every"), "{error}");
    }
}

/// Makes all values of parameters of one axis, such as biases, this number.
struct Biases(f32);

impl<B: Backend> ModuleMapper<B> for Biases {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        match D {
            1 => param.map(|values| values.full_like(self.0)),
            _ => param,
        }
    }
}

#[test]
fn weights_that_are_no_numbers_are_neither_trained_nor_saved() {
    println!("device: flex");
    let folder = tempfile::tempdir().unwrap();
    let config = four_steps(Objective::Simple);
    let mut good = trainer(&config).unwrap();
    good.run(folder.path(), &mut Watcher::stopping_after(2))
        .unwrap();
    let checkpoints = || {
        fs::read_dir(folder.path().join(CHECKPOINTS))
            .unwrap()
            .count()
    };
    assert_eq!(checkpoints(), 1);

    let bad = good.model.clone().map(&mut Biases(f32::NAN));
    let started = trainer_from(&config, network(), bad.clone());
    let told = started.err().unwrap().to_string();
    assert!(
        told.starts_with("'backbone.") && told.contains("bias'"),
        "{told}"
    );

    good.step += 1;
    good.average = bad.valid();
    let error = good.save(folder.path()).unwrap_err();
    assert!(
        matches!(error, TrainError::Diverged { step: 3, .. }),
        "{error}"
    );
    good.average = good.model.valid().map(&mut Biases(70_000.0));
    let error = good.save(folder.path()).unwrap_err().to_string();
    assert!(error.contains("in half precision, of step 3"), "{error}");
    good.average = good.model.valid();
    good.model = bad;
    let error = good
        .run(folder.path(), &mut Watcher::default())
        .unwrap_err();
    assert!(
        matches!(
            error,
            TrainError::Diverged {
                step: 4,
                what: "the losses"
            }
        ),
        "{error}"
    );
    assert_eq!(
        checkpoints(),
        1,
        "the good one stays, and no other one is left"
    );
}

#[test]
fn gradients_that_no_scale_makes_finite_end_the_training() {
    println!("device: flex");
    let config = TrainConfig {
        compute: ComputeType::F16,
        ..four_steps(Objective::Simple)
    };
    let mut trainer = trainer(&config).unwrap();
    let before = weights(trainer.average());
    // Below the least scale, and of finite losses it makes gradients that are not.
    trainer.loss_scale = Some(LossScale {
        factor: f64::NEG_INFINITY,
        steps: 0,
    });
    let folder = tempfile::tempdir().unwrap();
    let error = trainer
        .run(folder.path(), &mut Watcher::default())
        .unwrap_err();
    assert!(
        matches!(
            error,
            TrainError::Diverged {
                step: 1,
                what: "the gradients"
            }
        ),
        "{error}"
    );
    assert_eq!(weights(trainer.average()), before);
}

#[test]
fn a_phase_knows_the_weights_that_it_began_with() {
    println!("device: flex");
    let folder = tempfile::tempdir().unwrap();
    let config = four_steps(Objective::Simple);
    let from = |seed: u64| {
        let model = network().init(seed, &Default::default()).unwrap();
        trainer_from(&config, network(), model).unwrap()
    };
    from(9)
        .run(folder.path(), &mut Watcher::stopping_after(2))
        .unwrap();
    assert_eq!(from(9).resume(folder.path()).unwrap().steps_done(), 2);
    let error = from(10).resume(folder.path()).err().unwrap().to_string();
    assert!(
        error.contains("the weights that it began with had the SHA-256"),
        "{error}"
    );

    // A checkpoint of before there were digests is taken over.
    let path = folder
        .path()
        .join(CHECKPOINTS)
        .join("step-0000000002/state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for key in ["data_sha256", "start_sha256"] {
        assert!(
            state
                .as_object_mut()
                .unwrap()
                .remove(key)
                .unwrap()
                .is_string()
        );
    }
    fs::write(&path, state.to_string()).unwrap();
    let mut resumed = from(10).resume(folder.path()).unwrap();
    resumed.run(folder.path(), &mut Watcher::default()).unwrap();
    assert_eq!(from(10).resume(folder.path()).unwrap().steps_done(), 4);
    assert!(from(9).resume(folder.path()).is_err());
}

#[test]
fn only_the_optimizer_may_change_where_it_may() {
    println!("device: flex");
    let folder = tempfile::tempdir().unwrap();
    let config = four_steps(JOINT);
    trainer(&config)
        .unwrap()
        .run(folder.path(), &mut Watcher::stopping_after(2))
        .unwrap();
    let slower = TrainConfig {
        learning_rate: 1e-5,
        betas: [0.8, 0.95],
        epsilon: 1e-4,
        weight_decay: 0.0,
        warmup_steps: 1,
        cooldown_steps: 1,
        clip_norm: None,
        ..config.clone()
    };
    let resume = |config: &TrainConfig| trainer(config).unwrap().resume(folder.path()).err();
    let resume_changed =
        |config: &TrainConfig| trainer(config).unwrap().resume_changed(folder.path()).err();
    assert!(matches!(resume(&slower), Some(TrainError::OtherRun { .. })));
    assert!(resume_changed(&slower).is_none());
    let other = TrainConfig { seed: 6, ..slower };
    assert!(matches!(
        resume_changed(&other),
        Some(TrainError::OtherRun { .. })
    ));
    let fewer = TrainConfig { steps: 1, ..config };
    let error = resume(&fewer);
    assert!(matches!(
        error,
        Some(TrainError::MoreStepsDone {
            done: 2,
            steps: 1,
            ..
        })
    ));
}
