use std::fs;
use std::num::NonZeroUsize;
use std::sync::Arc;

use adadiff_data::{Conditioning, ImageError, Label, PictureError, TrainingSet, Visit};
use adadiff_sampler::ScheduleConfig;
use burn_flex::FlexDevice;

use super::*;
use crate::testing::{
    Differentiable, JOINT, Stripes, Watcher, Weights, farthest, farthest_losses, four_steps,
    network, train, trainer, weights,
};
use crate::{ComputeType, LOG_FILE, Objective, TrainConfig};

/// Trains in `folder` from its latest checkpoint with so many workers.
fn share(
    workers: usize,
    config: &TrainConfig,
    folder: &Path,
    watcher: &mut Watcher,
) -> (Outcome, Weights) {
    let trainer = trainer(config).unwrap().resume(folder).unwrap();
    let devices = vec![FlexDevice; workers];
    let mut workers = Workers::new(trainer, &devices).unwrap();
    let outcome = workers.run(folder, watcher).unwrap();
    for trainer in &workers.trainers[1..] {
        assert_eq!(weights(trainer.average()), weights(workers.average()));
    }
    (outcome, weights(workers.average()))
}

#[test]
fn any_number_of_workers_takes_the_steps_of_one() {
    println!("device: flex");
    let backbone = four_steps(Objective::Simple);
    let joint = four_steps(JOINT);
    let everything = TrainConfig {
        accumulation: NonZeroUsize::new(2).unwrap(),
        recompute_blocks: true,
        ..joint.clone()
    };
    for config in [backbone, joint, everything] {
        let (expected_lines, expected) = train(&config);
        // A batch of five is shared as 5, 2 + 3 and 1 + 2 + 2.
        for workers in 1..=3 {
            let folder = tempfile::tempdir().unwrap();
            let mut watcher = Watcher::default();
            let (outcome, found) = share(workers, &config, folder.path(), &mut watcher);
            assert_eq!(outcome, Outcome::Finished);
            let losses = farthest_losses(&watcher.lines, &expected_lines);
            let weights = farthest(&found, &expected);
            println!("{workers} workers: {losses:.1e} {weights:.1e}");
            assert!(losses < 1e-6 && weights < 1e-5);
            let log = fs::read_to_string(folder.path().join(LOG_FILE)).unwrap();
            assert_eq!(log.lines().count(), 4, "one worker writes the log");
        }
    }
}

#[test]
fn workers_stop_together_and_go_on_as_if_they_had_not() {
    println!("device: flex");
    let config = TrainConfig {
        compute: ComputeType::F16,
        ..four_steps(JOINT)
    };
    let whole = tempfile::tempdir().unwrap();
    let (_, expected) = share(2, &config, whole.path(), &mut Watcher::default());

    let folder = tempfile::tempdir().unwrap();
    let mut watcher = Watcher {
        stop_after: Some(2),
        ..Watcher::default()
    };
    let (outcome, _) = share(2, &config, folder.path(), &mut watcher);
    assert_eq!(outcome, Outcome::Interrupted);
    assert_eq!(watcher.lines.len(), 2);
    let (_, found) = share(2, &config, folder.path(), &mut Watcher::default());
    assert_eq!(found, expected, "two workers add in one order");
}

/// Stripes without the image that the last row of the first batch shows.
struct Torn {
    missing: usize,
}

impl TrainingSet for Torn {
    fn len(&self) -> usize {
        Stripes.len()
    }

    fn shape(&self) -> [usize; 3] {
        Stripes.shape()
    }

    fn name(&self, index: usize) -> String {
        Stripes.name(index)
    }

    fn conditioning(&self) -> Conditioning {
        Stripes.conditioning()
    }

    fn read(&self, index: usize, visit: Visit, pixels: &mut [f32]) -> Result<Label, ImageError> {
        if index == self.missing {
            return Err(PictureError::Missing.into());
        }
        Stripes.read(index, visit, pixels)
    }
}

#[test]
fn a_worker_that_fails_is_not_waited_for() {
    println!("device: flex");
    let config = four_steps(Objective::Simple);
    for missing in 0..Stripes.len() {
        let model: AdaDiff<Differentiable> = network().init(9, &FlexDevice).unwrap();
        let trainer = Trainer::new(
            config.clone(),
            network(),
            ScheduleConfig::default(),
            model,
            Arc::new(Torn { missing }),
            &FlexDevice,
        );
        let mut workers = Workers::new(trainer.unwrap(), &[FlexDevice; 3]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let result = workers.run(folder.path(), &mut Watcher::default());
        assert!(matches!(result, Err(TrainError::Data(_))), "{result:?}");
    }
}

#[test]
fn workers_without_rows_are_refused() {
    println!("device: flex");
    let shared_by = |workers: usize| {
        let trainer = trainer(&four_steps(JOINT)).unwrap();
        Workers::new(trainer, &vec![FlexDevice; workers]).err()
    };
    assert!(shared_by(5).is_none());
    assert!(matches!(shared_by(6), Some(TrainError::Config(_))));
    assert!(matches!(shared_by(0), Some(TrainError::Config(_))));
}
