//! Long commands that are killed at random moments and run again end as if nothing had happened.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::tempdir;

use crate::made::{VOCABULARY, run, save_networks, write_cifar10, write_coco};

/// Kills of each command.
const KILLS: usize = 7;

/// Runs a command to its end, then another one that writes to another folder and is killed again
/// and again before it may end, and gives back what is in both folders.
#[track_caller]
fn whole_and_killed(
    program: &str,
    folder: &Path,
    arguments: &[&str],
) -> [BTreeMap<String, Vec<u8>>; 2] {
    let to = |out| [arguments, &["--out", out]].concat();
    let start = Instant::now();
    run(program, folder, &to("whole"));
    let duration = start.elapsed();
    let mut unfinished = 0;
    for kill in 1..=KILLS {
        let mut child = Command::new(program)
            .current_dir(folder)
            .args(to("killed"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Another moment in every run of the test, and the first ones early, as what is done is not
        // done again.
        let random = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
        let share = random * kill as f64 / KILLS as f64;
        sleep(duration.mul_f64(share).max(Duration::from_millis(1)));
        // On Unix this is SIGKILL.
        child.kill().unwrap();
        unfinished += usize::from(!child.wait().unwrap().success());
    }
    assert!(unfinished > 0, "every run ended before it was killed");
    run(program, folder, &to("killed"));
    ["whole", "killed"].map(|out| files(&folder.join(out)))
}

/// The files of a folder and its sub-folders, by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            let below = self::files(&path).into_iter();
            files.extend(below.map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            files.insert(name, fs::read(path).unwrap());
        }
    }
    files
}

#[test]
fn prepare() {
    let folder = tempdir().unwrap();
    write_coco(folder.path());
    save_networks(folder.path());
    let [whole, killed] = whole_and_killed(
        env!("CARGO_BIN_EXE_coco"),
        folder.path(),
        &[
            "prepare",
            "--preset",
            "coco-tiny",
            "--data",
            "train2014",
            "--captions",
            "captions_train2014.json",
            "--autoencoder",
            "autoencoder.safetensors",
            "--text-model",
            "clip.safetensors",
            "--vocabulary",
            VOCABULARY,
            "--images-per-shard",
            "7",
            "--batch",
            "4",
        ],
    );
    assert_eq!(whole.len(), 9 + 2, "{:?}", whole.keys());
    assert!(whole == killed, "{:?}", killed.keys());
}

#[test]
fn train_and_evaluate() {
    let program = env!("CARGO_BIN_EXE_cifar10");
    let folder = tempdir().unwrap();
    write_cifar10(folder.path());
    let train = [
        "train",
        "--preset",
        "cifar10-tiny",
        "--data",
        "cifar-10-batches-bin",
    ];
    let [whole, killed] = whole_and_killed(program, folder.path(), &train);
    for phase in ["backbone", "joint"] {
        let weights = format!("{phase}/weights.safetensors");
        assert!(whole[&weights] == killed[&weights], "{weights} differs");
    }

    fs::rename(folder.path().join("whole"), folder.path().join("run")).unwrap();
    fs::remove_dir_all(folder.path().join("killed")).unwrap();
    let evaluate = [
        "evaluate",
        "--checkpoint",
        "run/joint/weights.safetensors",
        "--features",
        "pixels",
        "--samples",
        "1100",
        "--depth",
        "2",
    ];
    let [whole, killed] = whole_and_killed(program, folder.path(), &evaluate).map(|files| {
        let part = &files["part-00000-of-00001.json"];
        let mut part: Value = serde_json::from_slice(part).unwrap();
        part["seconds"] = Value::Null;
        part
    });
    assert_eq!(whole["effort"]["samples"], 1100);
    assert_eq!(whole, killed);
}
