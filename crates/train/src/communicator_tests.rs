use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::{fs, thread};

use adadiff_data::{Conditioning, ImageError, Label, TrainingSet, Visit};
use adadiff_sampler::ScheduleConfig;
use adadiff_uem::AdaDiff;
use burn::module::Module;
use burn_flex::FlexDevice;

use super::*;
use crate::testing::{
    Differentiable, JOINT, Stripes, Watcher, Weights, farthest, farthest_losses, four_steps,
    network, train, trainer, weights,
};
use crate::{ComputeType, LOG_FILE, LogLine, Objective, TrainConfig, TrainOutcome, Trainer};

/// A thread that stands for a process; where it ends early, the others are told.
#[derive(Debug)]
struct Thread {
    rank: usize,
    shared: Arc<(Mutex<Exchange>, Condvar)>,
}

#[derive(Debug)]
struct Exchange {
    round: u64,
    entered: Vec<Option<Vec<f32>>>,
    sum: Vec<f32>,
    one_has_left: bool,
}

impl Thread {
    fn all(size: usize) -> Vec<Self> {
        let exchange = Exchange {
            round: 0,
            entered: vec![None; size],
            sum: Vec::new(),
            one_has_left: false,
        };
        let shared = Arc::new((Mutex::new(exchange), Condvar::new()));
        let of_rank = |rank| Self {
            rank,
            shared: shared.clone(),
        };
        (0..size).map(of_rank).collect()
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.shared.0.lock().unwrap().one_has_left = true;
        self.shared.1.notify_all();
    }
}

impl Communicator for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.shared.0.lock().unwrap().entered.len()
    }

    fn sum(&self, values: Vec<f32>) -> Result<Vec<f32>, TrainError> {
        let (exchange, changed) = &*self.shared;
        let mut exchange = exchange.lock().unwrap();
        let round = exchange.round;
        exchange.entered[self.rank] = Some(values);
        if exchange.entered.iter().all(Option::is_some) {
            let mut entered = exchange.entered.iter_mut().filter_map(Option::take);
            let mut sum = entered.next().unwrap();
            for values in entered {
                assert_eq!(values.len(), sum.len());
                sum.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
            }
            exchange.sum = sum;
            exchange.round += 1;
            changed.notify_all();
        }
        while exchange.round == round {
            if exchange.one_has_left {
                return Err(TrainError::Processes("one has left".to_owned()));
            }
            exchange = changed.wait(exchange).unwrap();
        }
        Ok(exchange.sum.clone())
    }
}

type Trained = Result<(TrainOutcome, Vec<LogLine>, Weights), TrainError>;

/// What a process trains, and the step that it is interrupted after.
type Process = (Result<Trainer<Differentiable>, TrainError>, Option<u64>);

/// Trains in `folder` in threads that stand for processes.
fn share(folder: &Path, processes: Vec<Process>) -> Vec<Trained> {
    let threads = Thread::all(processes.len());
    thread::scope(|scope| {
        let run = |((trainer, stop_after), process): (Process, Thread)| {
            scope.spawn(move || -> Trained {
                let mut watcher = Watcher {
                    stop_after,
                    ..Watcher::default()
                };
                let mut trainer = trainer?.resume(folder)?;
                let outcome = trainer.run_as(&process, folder, &mut watcher)?;
                Ok((outcome, watcher.lines, weights(trainer.average())))
            })
        };
        let threads: Vec<_> = processes.into_iter().zip(threads).map(run).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.collect()
    })
}

/// `count` processes of one training.
fn equal(config: &TrainConfig, count: usize) -> Vec<Process> {
    (0..count).map(|_| (trainer(config), None)).collect()
}

#[test]
fn any_number_of_processes_takes_the_steps_of_one_the_same_each_time() {
    println!("device: flex");
    let joint = four_steps(JOINT);
    let everything = TrainConfig {
        accumulation: NonZeroUsize::new(2).unwrap(),
        recompute_blocks: true,
        ..joint.clone()
    };
    for config in [four_steps(Objective::Simple), joint, everything] {
        let (expected_lines, expected) = train(&config);
        // A batch of five is shared as 5, 2 + 3 and 1 + 2 + 2.
        for count in 1..=3 {
            let runs = [(); 2].map(|()| {
                let folder = tempfile::tempdir().unwrap();
                let trained = share(folder.path(), equal(&config, count));
                let trained: Result<Vec<_>, _> = trained.into_iter().collect();
                let log = fs::read_to_string(folder.path().join(LOG_FILE)).unwrap();
                assert_eq!(log.lines().count(), 4, "one process writes the log");
                trained.unwrap()
            });
            for (outcome, lines, found) in runs.iter().flatten() {
                assert_eq!(*outcome, TrainOutcome::Finished);
                assert_eq!(*found, runs[0][0].2, "all are the same in both runs");
                let losses = farthest_losses(lines, &expected_lines);
                let weights = farthest(found, &expected);
                println!("{count} processes: {losses:.1e} {weights:.1e}");
                assert!(losses < 1e-6 && weights < 1e-5);
            }
        }
    }
}

#[test]
fn processes_stop_together_and_go_on_as_if_they_had_not() {
    println!("device: flex");
    let config = TrainConfig {
        compute: ComputeType::F16,
        ..four_steps(JOINT)
    };
    let whole = tempfile::tempdir().unwrap();
    let expected = share(whole.path(), equal(&config, 3));

    // One of the others is asked to stop.
    let folder = tempfile::tempdir().unwrap();
    let mut processes = equal(&config, 3);
    processes[1].1 = Some(2);
    for trained in share(folder.path(), processes) {
        let (outcome, lines, _) = trained.unwrap();
        assert_eq!((outcome, lines.len()), (TrainOutcome::Interrupted, 2));
    }
    let resumed = share(folder.path(), equal(&config, 3));
    for (found, expected) in resumed.into_iter().zip(expected) {
        assert_eq!(found.unwrap().2, expected.unwrap().2);
    }
}

/// A process without others that adds up the bytes that it waits for.
#[derive(Debug, Default)]
struct Waits(AtomicUsize);

impl Communicator for Waits {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn sum(&self, values: Vec<f32>) -> Result<Vec<f32>, TrainError> {
        Ok(values)
    }

    fn wait_for_writer(&self, bytes: usize) -> Result<(), TrainError> {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn all_wait_for_every_checkpoint_whoever_is_asked_to_stop_meanwhile() {
    println!("device: flex");
    let config = TrainConfig {
        checkpoint_every: 2,
        ..four_steps(Objective::Simple)
    };
    let folder = tempfile::tempdir().unwrap();
    let waits = Waits::default();
    let mut trainer = trainer(&config).unwrap();
    let bytes = 16 * trainer.average().num_params();
    let outcome = trainer.run_as(&waits, folder.path(), &mut Watcher::default());
    assert_eq!(outcome.unwrap(), TrainOutcome::Finished);
    // After steps 2 and 4, and at the end.
    assert_eq!(waits.0.into_inner(), 3 * bytes);
}

/// Stripes of which one image is missing, or has another name.
struct Others {
    missing: Option<usize>,
    prefix: &'static str,
}

impl TrainingSet for Others {
    fn len(&self) -> usize {
        Stripes.len()
    }

    fn shape(&self) -> [usize; 3] {
        Stripes.shape()
    }

    fn name(&self, index: usize) -> String {
        format!("{}{}", self.prefix, Stripes.name(index))
    }

    fn conditioning(&self) -> Conditioning {
        Stripes.conditioning()
    }

    fn read(&self, index: usize, visit: Visit, pixels: &mut [f32]) -> Result<Label, ImageError> {
        if self.missing == Some(index) {
            return Err(ImageError::NotFinite);
        }
        Stripes.read(index, visit, pixels)
    }
}

/// A trainer of weights of a seed on other images.
fn other_trainer(
    config: &TrainConfig,
    seed: u64,
    set: Others,
) -> Result<Trainer<Differentiable>, TrainError> {
    let model: AdaDiff<Differentiable> = network().init(seed, &FlexDevice)?;
    let schedule = ScheduleConfig::default();
    let set = Arc::new(set);
    Trainer::new(config.clone(), network(), schedule, model, set, &FlexDevice)
}

#[test]
fn processes_that_differ_do_not_mix() {
    println!("device: flex");
    let config = four_steps(JOINT);
    let seed = TrainConfig {
        seed: 6,
        ..config.clone()
    };
    let stripes = |prefix| Others {
        missing: None,
        prefix,
    };
    let others = [
        ("settings", trainer(&seed)),
        ("start weights", other_trainer(&config, 10, stripes(""))),
        ("data", other_trainer(&config, 9, stripes("other "))),
    ];
    for (what, other) in others {
        let folder = tempfile::tempdir().unwrap();
        let processes = vec![
            (trainer(&config), None),
            (trainer(&config), None),
            (other, None),
        ];
        for trained in share(folder.path(), processes) {
            let error = trained.unwrap_err().to_string();
            assert!(
                error.contains(&format!("[2] each has other {what}")),
                "{error}"
            );
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_process_that_fails_ends_all() {
    println!("device: flex");
    let config = four_steps(Objective::Simple);
    for missing in 0..Stripes.len() {
        let torn = || {
            let set = Others {
                missing: Some(missing),
                prefix: "",
            };
            (other_trainer(&config, 9, set), None)
        };
        let folder = tempfile::tempdir().unwrap();
        let trained = share(folder.path(), (0..3).map(|_| torn()).collect());
        let failed = |trained: &Trained| matches!(trained, Err(TrainError::Data(_)));
        assert!(trained.iter().any(failed), "{trained:?}");
        assert!(trained.iter().all(Result::is_err), "{trained:?}");
    }
}

#[test]
fn processes_without_rows_are_refused() {
    println!("device: flex");
    let config = four_steps(JOINT);
    for count in [5, 6] {
        let folder = tempfile::tempdir().unwrap();
        for trained in share(folder.path(), equal(&config, count)) {
            match count {
                5 => assert_eq!(trained.unwrap().0, TrainOutcome::Finished),
                _ => assert!(matches!(trained, Err(TrainError::Config(_)))),
            }
        }
    }
}
