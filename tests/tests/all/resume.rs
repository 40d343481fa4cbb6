//! A training that was interrupted and resumed is the uninterrupted one, bit for bit.

use adadiff_model::UVitConfig;
use adadiff_tests::{Patterns, Watcher};
use adadiff_train::{Objective, TrainConfig, TrainError, TrainOutcome};
use adadiff_uem::AdaDiffConfig;
use tempfile::tempdir;

use crate::training::{
    IMAGES, assert_same_bits, checkpoints, dozen_steps, go_on, log, network, trainer,
};

fn compare_every_interruption(config: &TrainConfig) {
    let folder = tempdir().unwrap();
    let (outcome, expected) = go_on(config, folder.path(), &mut Watcher::default()).unwrap();
    assert_eq!(outcome, TrainOutcome::Finished);
    let expected_log = log(folder.path());
    assert_eq!(
        expected_log
            .iter()
            .map(|line| line.step)
            .collect::<Vec<_>>(),
        [5, 10]
    );

    for step in 1..config.steps {
        let folder = tempdir().unwrap();
        let mut watcher = Watcher::stopping_after(step);
        let (outcome, _) = go_on(config, folder.path(), &mut watcher).unwrap();
        assert_eq!(outcome, TrainOutcome::Interrupted);
        let (outcome, found) = go_on(config, folder.path(), &mut Watcher::default()).unwrap();
        assert_eq!(
            outcome,
            TrainOutcome::Finished,
            "interrupted after step {step}"
        );
        assert_same_bits(&found, &expected);
        assert_eq!(
            log(folder.path()),
            expected_log,
            "interrupted after step {step}"
        );
    }

    let folder = tempdir().unwrap();
    for step in 1..config.steps {
        go_on(config, folder.path(), &mut Watcher::stopping_after(step)).unwrap();
    }
    let (_, found) = go_on(config, folder.path(), &mut Watcher::default()).unwrap();
    assert_same_bits(&found, &expected);
    assert_eq!(
        log(folder.path()),
        expected_log,
        "interrupted after every step"
    );
}

#[test]
fn an_interruption_at_any_step_leaves_no_trace_in_the_joint_phase() {
    println!("device: flex");
    compare_every_interruption(&dozen_steps());
}

#[test]
fn an_interruption_at_any_step_leaves_no_trace_in_the_backbone_phase() {
    println!("device: flex");
    let simple = TrainConfig {
        objective: Objective::Simple,
        clip_norm: None,
        ..dozen_steps()
    };
    compare_every_interruption(&simple);
}

#[test]
fn a_finished_training_has_nothing_left_to_do() {
    println!("device: flex");
    let folder = tempdir().unwrap();
    let (_, expected) = go_on(&dozen_steps(), folder.path(), &mut Watcher::default()).unwrap();
    let mut watcher = Watcher::default();
    let (outcome, found) = go_on(&dozen_steps(), folder.path(), &mut watcher).unwrap();
    assert_eq!(outcome, TrainOutcome::Finished);
    assert!(watcher.lines.is_empty());
    assert_same_bits(&found, &expected);
}

#[test]
fn at_most_two_checkpoints_remain() {
    println!("device: flex");
    let folder = tempdir().unwrap();
    let config = TrainConfig {
        checkpoint_every: 1,
        ..dozen_steps()
    };
    go_on(&config, folder.path(), &mut Watcher::stopping_after(1)).unwrap();
    assert_eq!(checkpoints(folder.path()), ["step-0000000001"]);
    go_on(&config, folder.path(), &mut Watcher::stopping_after(6)).unwrap();
    assert_eq!(
        checkpoints(folder.path()),
        ["step-0000000005", "step-0000000006"]
    );
    go_on(&config, folder.path(), &mut Watcher::default()).unwrap();
    assert_eq!(
        checkpoints(folder.path()),
        ["step-0000000011", "step-0000000012"]
    );
}

#[test]
fn a_run_with_other_settings_is_refused_and_told_apart() {
    println!("device: flex");
    let folder = tempdir().unwrap();
    let config = dozen_steps();
    go_on(&config, folder.path(), &mut Watcher::stopping_after(3)).unwrap();
    let resume = |config: &TrainConfig, network: &AdaDiffConfig, images: &Patterns| {
        let resumed = trainer(config, network, images)
            .unwrap()
            .resume(folder.path());
        resumed.map(|trainer| trainer.steps_done())
    };
    let difference = |result: Result<u64, TrainError>| match result {
        Err(TrainError::OtherRun { difference, .. }) => difference,
        other => panic!("expected another run to be refused, found {other:?}"),
    };

    let faster = TrainConfig {
        learning_rate: 0.125,
        ..config.clone()
    };
    let told = difference(resume(&faster, &network(), &IMAGES));
    assert!(told.contains("learning_rate: 0.001") && told.contains("learning_rate: 0.125"));

    let other = TrainConfig {
        objective: Objective::Simple,
        ..config.clone()
    };
    assert!(difference(resume(&other, &network(), &IMAGES)).contains("Simple"));

    let backbone = UVitConfig {
        width: 48,
        ..network().backbone
    };
    let wider = AdaDiffConfig {
        backbone,
        ..network()
    };
    let told = difference(resume(&config, &wider, &IMAGES));
    assert!(
        told.contains("\"width\":32") && told.contains("\"width\":48"),
        "{told}"
    );

    let told = difference(resume(&config, &network(), &Patterns { count: 8 }));
    assert_eq!(told, "its data set had 7 images, now it has 8");

    // What does not change the weights of a step may change.
    let longer = TrainConfig {
        steps: 20,
        log_every: 1,
        sample_every: 3,
        checkpoint_every: 2,
        ..config.clone()
    };
    assert_eq!(resume(&longer, &network(), &IMAGES).unwrap(), 3);
}
