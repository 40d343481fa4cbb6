use std::num::NonZeroUsize;

use super::*;
use crate::Trained;
use crate::testing::{
    JOINT, Watcher, farthest, farthest_losses, four_steps, network, train, trainer, trainer_of,
    weights,
};
use adadiff_uem::HeadForm;
use burn::nn::{Linear, LinearConfig};
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
    let gradients = second.forward(x).sum().backward();
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
        let watcher = |stop_after| Watcher {
            stop_after,
            ..Watcher::default()
        };
        // A resumed training is as frozen as a new one.
        let mut first = trainer();
        first.run(folder.path(), &mut watcher(Some(2))).unwrap();
        let mut second = trainer().resume(folder.path()).unwrap();
        second.run(folder.path(), &mut watcher(None)).unwrap();
        for ((name, after), (_, before)) in weights(second.average()).iter().zip(&before) {
            match name.starts_with("backbone") {
                true => assert_eq!(after, before, "{name} is frozen"),
                false => assert_ne!(after, before, "{name} is trained"),
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
