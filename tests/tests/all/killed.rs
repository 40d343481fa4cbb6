//! A training that is killed at random moments and resumed is the uninterrupted one, bit for bit.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use adadiff_tests::Watcher;
use adadiff_train::{TrainConfig, TrainOutcome};
use tempfile::tempdir;

use crate::training::{assert_same_bits, checkpoints, dozen_steps, go_on, log};

const KILLS: usize = 4;

/// Where the child trains; set by its parent.
const FOLDER: &str = "ADADIFF_TESTS_FOLDER";

/// A training without an end, which saves after every step, so that many kills hit a checkpoint
/// that is being written. Its learning rate does not depend on the number of steps.
fn endless() -> TrainConfig {
    TrainConfig {
        steps: 9_999_999_999,
        warmup_steps: 10,
        cooldown_steps: 0,
        log_every: 3,
        checkpoint_every: 1,
        ..dozen_steps()
    }
}

/// The training to be killed, in a process of its own.
#[test]
#[ignore = "started by a_killed_training_resumes_bit_for_bit"]
fn endless_training() {
    if let Some(folder) = env::var_os(FOLDER) {
        go_on(&endless(), &PathBuf::from(folder), &mut Watcher::default()).unwrap();
    }
}

fn start(folder: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["killed::endless_training", "--exact", "--ignored"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// The step of the latest whole checkpoint.
fn latest(folder: &Path) -> u64 {
    let names = checkpoints(folder);
    let steps = names
        .iter()
        .filter_map(|name| name.strip_prefix("step-")?.parse().ok());
    steps.max().unwrap_or(0)
}

/// A random number, another one in every run of the test.
fn random(range: Range<u64>) -> u64 {
    range.start + RandomState::new().hash_one(0) % (range.end - range.start)
}

#[test]
fn a_killed_training_resumes_bit_for_bit() {
    println!("device: flex");
    let folder = tempdir().unwrap();
    for kill in 1..=KILLS {
        let goal = latest(folder.path()) + random(1..6);
        let pause = Duration::from_micros(random(0..30_000));
        let mut child = start(folder.path());
        while latest(folder.path()) < goal {
            assert!(
                child.try_wait().unwrap().is_none(),
                "the training ended by itself"
            );
            sleep(Duration::from_millis(1));
        }
        sleep(pause);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(
            !status.success() && status.code().is_none(),
            "killed, not ended: {status}"
        );
        let found = checkpoints(folder.path());
        println!("kill {kill}: {pause:?} after step {goal} was saved, found {found:?}");
    }

    let whole = TrainConfig {
        steps: latest(folder.path()) + 4,
        ..endless()
    };
    let (outcome, found) = go_on(&whole, folder.path(), &mut Watcher::default()).unwrap();
    assert_eq!(outcome, TrainOutcome::Finished);
    let undisturbed = tempdir().unwrap();
    let config = TrainConfig {
        checkpoint_every: 1_000,
        ..whole
    };
    let (_, expected) = go_on(&config, undisturbed.path(), &mut Watcher::default()).unwrap();
    assert_same_bits(&found, &expected);
    assert_eq!(log(folder.path()), log(undisturbed.path()));
    assert!(!log(folder.path()).is_empty());
}
