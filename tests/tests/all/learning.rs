//! Training does what its objectives and formulas say.

use std::collections::VecDeque;
use std::sync::Arc;

use adadiff_sampler::ScheduleConfig;
use adadiff_tests::{Named, Patterns, Watcher, assert_close};
use adadiff_train::{LogLine, Objective, TrainConfig, Trainer, trainable};
use burn_flex::FlexDevice;
use tempfile::tempdir;

use crate::training::{Differentiable, JOINT, dozen_steps, go_on, network, trainer};

/// The average of an average and the current weights.
fn moved(average: &Named, weights: &Named, decay: f64) -> Vec<Vec<f32>> {
    let decay = decay as f32;
    let pairs = average.iter().zip(weights);
    pairs
        .map(|((_, average), (_, weights))| {
            let pairs = average.iter().zip(weights);
            pairs.map(|(a, w)| decay * a + (1.0 - decay) * w).collect()
        })
        .collect()
}

#[test]
fn the_averaged_weights_follow_their_formula() {
    println!("device: flex");
    // min(0.999, (1 + n) / (10 + n))
    let published = dozen_steps();
    assert_eq!(published.ema_decay_at(0), 0.1);
    assert_eq!(published.ema_decay_at(90), 0.91);
    assert_eq!(published.ema_decay_at(8_989), 8_990.0 / 8_999.0);
    assert_eq!(published.ema_decay_at(8_990), 0.999);
    assert_eq!(published.ema_decay_at(1_000_000), 0.999);

    let averages = |ema_decay: f64| {
        let config = TrainConfig {
            ema_decay,
            sample_every: 1,
            ..dozen_steps()
        };
        let mut watcher = Watcher::default();
        go_on(&config, tempdir().unwrap().path(), &mut watcher).unwrap();
        assert_eq!(watcher.averages.len(), 12);
        VecDeque::from(watcher.averages)
    };
    // An average without memory is the weights themselves; they do not depend on the average.
    let weights = averages(0.0);
    // The limit is met after three updates: 3 / 12 is under 0.3, 4 / 13 is above.
    let mut found = averages(0.3);
    let start = trainer(&dozen_steps(), &network(), &crate::training::IMAGES).unwrap();
    found.push_front(adadiff_tests::parameters::<burn_flex::Flex, _>(
        start.average(),
    ));
    for (step, weights) in weights.iter().enumerate() {
        let decay = [1.0 / 10.0, 2.0 / 11.0, 3.0 / 12.0]
            .get(step)
            .copied()
            .unwrap_or(0.3);
        let expected = moved(&found[step], weights, decay);
        for ((name, found), expected) in found[step + 1].iter().zip(&expected) {
            assert_close(
                &format!("{name} after step {}", step + 1),
                found,
                expected,
                1e-6,
            );
        }
    }
}

/// Mean of a loss over lines of the log.
fn mean(lines: &[LogLine], loss: impl Fn(&LogLine) -> Option<f64>) -> f64 {
    lines.iter().filter_map(loss).sum::<f64>() / lines.len() as f64
}

#[test]
fn four_images_are_learnt_and_then_their_uncertainty() {
    println!("device: flex");
    let images = Patterns { count: 4 };
    let phase = TrainConfig {
        objective: Objective::Simple,
        steps: 300,
        batch_size: 8,
        learning_rate: 3e-3,
        warmup_steps: 20,
        cooldown_steps: 0,
        clip_norm: Some(1.0),
        label_dropout: 0.1,
        flip: false,
        log_every: 20,
        checkpoint_every: 1_000,
        ..dozen_steps()
    };
    let mut backbone = trainer(&phase, &network(), &images).unwrap();
    let mut watcher = Watcher::default();
    backbone
        .run(tempdir().unwrap().path(), &mut watcher)
        .unwrap();
    let simple = |lines: &[LogLine]| mean(lines, |line| Some(line.simple));
    let (first, last) = (simple(&watcher.lines[..1]), simple(&watcher.lines[13..]));
    // Measured: 0.92 to 0.13.
    println!("L_simple {first:.4} to {last:.4}");
    assert!(first > 0.7 && last < 0.25);

    let joint = TrainConfig {
        objective: JOINT,
        steps: 120,
        learning_rate: 1e-3,
        ..phase
    };
    let model = trainable(backbone.average().clone());
    let mut trainer: Trainer<Differentiable> = Trainer::new(
        joint,
        network(),
        ScheduleConfig::default(),
        model,
        Arc::new(images),
        &FlexDevice,
    )
    .unwrap();
    let mut watcher = Watcher::default();
    trainer
        .run(tempdir().unwrap().path(), &mut watcher)
        .unwrap();
    let uncertainty = |lines: &[LogLine]| mean(lines, |line| line.uncertainty);
    let layer_wise = |lines: &[LogLine]| mean(lines, |line| line.layer_wise);
    let (first, last) = (
        uncertainty(&watcher.lines[..1]),
        uncertainty(&watcher.lines[5..]),
    );
    // Measured: 0.47 to 0.38 and 2.26 to 0.24.
    println!("L_u {first:.4} to {last:.4}");
    assert!(last < 0.9 * first);
    let (first, last) = (
        layer_wise(&watcher.lines[..1]),
        layer_wise(&watcher.lines[5..]),
    );
    println!("UAL {first:.4} to {last:.4}");
    assert!(last < 0.3 * first);
}
