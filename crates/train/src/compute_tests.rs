use super::*;
use crate::testing::{JOINT, Watcher, farthest_losses, four_steps, train, train_in};
use crate::{LogLine, Objective, TrainConfig};
use burn_flex::{Flex, FlexDevice};

const HALVES: [ComputeType; 2] = [ComputeType::Bf16, ComputeType::F16];

#[test]
fn the_loss_scale_falls_at_once_and_rises_slowly() {
    let scale = LossScale::START.after(false).after(false);
    assert_eq!(scale.factor, 16_384.0);
    let almost = (1..LossScale::PATIENCE).fold(scale, |scale, _| scale.after(true));
    assert_eq!(almost.factor, 16_384.0);
    assert_eq!(almost.after(true).factor, 32_768.0);
    assert_eq!(almost.after(false).after(true).factor, 8_192.0);
}

#[test]
fn a_loss_scale_that_only_falls_is_exhausted() {
    let falls = |times: usize| (0..times).fold(LossScale::START, |scale, _| scale.after(false));
    assert!(!falls(36).is_exhausted());
    assert!(falls(37).is_exhausted());
}

#[test]
fn the_cpu_backend_computes_in_all_types() {
    println!("device: flex");
    for compute in [ComputeType::F32].into_iter().chain(HALVES) {
        compute.check::<Flex>(&FlexDevice).unwrap();
    }
}

#[test]
fn the_first_losses_are_those_of_single_precision() {
    println!("device: flex");
    for (compute, bound) in HALVES.into_iter().zip([1e-2, 1e-3]) {
        for (objective, recompute_blocks) in
            [(Objective::Simple, false), (JOINT, false), (JOINT, true)]
        {
            let single = TrainConfig {
                recompute_blocks,
                ..four_steps(objective)
            };
            let half = TrainConfig {
                compute,
                ..single.clone()
            };
            let (found, expected) = (train(&half).0, train(&single).0);
            let difference = farthest_losses(&found, &expected);
            println!("{compute:?}, {objective:?}: {difference:.1e}");
            assert!(difference < bound);
        }
    }
}

/// A training long enough to learn the stripes.
fn learning(compute: ComputeType) -> TrainConfig {
    TrainConfig {
        steps: 150,
        batch_size: 8,
        learning_rate: 3e-3,
        epsilon: 1e-8,
        clip_norm: Some(1.0),
        flip: false,
        log_every: 10,
        compute,
        ..four_steps(Objective::Simple)
    }
}

#[test]
fn the_stripes_are_learnt_in_half_precision() {
    println!("device: flex");
    let last = |lines: &[LogLine]| {
        let last = &lines[lines.len() - 3..];
        last.iter().map(|line| line.simple).sum::<f64>() / 3.0
    };
    let (lines, _) = train(&learning(ComputeType::F32));
    let (first, single) = (lines[0].simple, last(&lines));
    println!("F32: {first:.3} to {single:.3}");
    for compute in HALVES {
        let (lines, weights) = train(&learning(compute));
        println!("{compute:?}: {:.3} to {:.3}", lines[0].simple, last(&lines));
        assert!(last(&lines) < 1.1 * single);
        // Weights that were kept in half precision would be among its few values.
        let rounds = |value: &f32| value.to_bits() & 0x1fff == 0;
        let (_, values) = &weights[0];
        assert!(!values.iter().all(rounds));
    }
}

#[test]
fn a_training_in_half_precision_resumes() {
    println!("device: flex");
    for compute in HALVES {
        let config = TrainConfig {
            compute,
            ..four_steps(JOINT)
        };
        let (_, whole) = train(&config);
        let folder = tempfile::tempdir().unwrap();
        let interrupting = Watcher::stopping_after(2);
        train_in(folder.path(), &config, interrupting);
        let (_, _, resumed) = train_in(folder.path(), &config, Watcher::default());
        assert_eq!(resumed, whole);
    }
}
