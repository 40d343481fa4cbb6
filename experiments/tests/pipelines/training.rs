//! Trainings that must not go on as if nothing were the matter, and what they leave behind.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::{TempDir, tempdir};

use crate::made::{TRAIN, command, fail, files, run, succeeds, write_cifar10};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cifar10");

/// Settings under which a rate that is too high makes the weights no numbers within a step.
const UNCLIPPED: &str = "--backbone-only --change-optimizer \
     --set backbone_training.warmup_steps=1000 --set backbone_training.clip_norm=1e30 \
     --set backbone_training.checkpoint_every=20";

/// A training with more options.
fn train(folder: &Path, options: &str) -> Command {
    command(PROGRAM, folder, &format!("{TRAIN} {options}"))
}

#[track_caller]
fn trains(folder: &Path, options: &str) -> String {
    succeeds(&mut train(folder, options))
}

#[track_caller]
fn fails(folder: &Path, options: &str) -> String {
    fail(PROGRAM, folder, &format!("{TRAIN} {options}"))
}

/// Trains, which must be refused and change no file of the run `out`.
#[track_caller]
fn refuses(folder: &Path, out: &str, options: &str) -> String {
    let before = files(&folder.join(out));
    let told = fails(folder, &format!("--out {out} {options}"));
    let after = files(&folder.join(out));
    let changed: Vec<_> = after
        .iter()
        .filter(|&(name, bytes)| name != ".lock" && before.get(name) != Some(bytes))
        .map(|(name, _)| name)
        .collect();
    assert!(changed.is_empty(), "{changed:?} changed: {told}");
    assert_eq!(
        after.keys().filter(|name| *name != ".lock").count(),
        before.keys().filter(|name| *name != ".lock").count()
    );
    told
}

fn with_data() -> TempDir {
    let folder = tempdir().unwrap();
    write_cifar10(folder.path());
    folder
}

#[test]
fn the_joint_phase_belongs_to_the_backbone_that_it_began_with() {
    let folder = with_data();
    let folder = folder.path();
    trains(folder, "--backbone-only --out a");
    trains(
        folder,
        "--backbone-only --out b --set backbone_training.seed=99",
    );
    let from_a = "--backbone a/backbone/weights.safetensors --out x";
    trains(folder, from_a);
    let told = refuses(folder, "x", "--backbone b/backbone/weights.safetensors");
    assert!(told.contains("the weights that it began with"), "{told}");
    // The same ones are no other ones.
    trains(folder, from_a);

    trains(folder, "--out y");
    let told = refuses(folder, "y", "--set backbone_training.steps=16");
    assert!(
        told.contains("y/joint began from a backbone of fewer steps"),
        "{told}"
    );
}

#[test]
fn a_refused_run_changes_nothing() {
    let folder = with_data();
    let folder = folder.path();
    trains(folder, "--out x");
    for (setting, words) in [
        ("backbone_training.learning_rate=0.5", "learning_rate: 0.5"),
        ("joint_training.learning_rate=0.5", "learning_rate: 0.5"),
        ("joint_training.steps=5", "12 steps already, but only 5"),
        ("backbone_training.steps=5", "12 steps already, but only 5"),
    ] {
        let told = refuses(folder, "x", &format!("--set {setting}"));
        assert!(told.contains(words), "{told}");
    }

    // As many images of the same names, one of which is another one.
    let batch = folder.join("cifar-10-batches-bin/data_batch_3.bin");
    let mut bytes = fs::read(&batch).unwrap();
    bytes[700] ^= 0x40;
    fs::write(&batch, bytes).unwrap();
    let told = refuses(folder, "x", "");
    assert!(told.contains("its data set, of as many images"), "{told}");

    fails(folder, "--out new --backbone missing.safetensors");
    assert!(!folder.join("new").exists(), "a folder is left");
}

#[test]
fn the_last_label_is_a_class_where_none_stands_for_no_class() {
    let folder = with_data();
    let folder = folder.path();
    let told = fails(folder, "--out x --set model.backbone.classes=11");
    assert!(told.contains("there are 10 classes and 0 for"), "{told}");
    trains(folder, "--out x --set model.backbone.classes=10");
    let sample = "sample --checkpoint x/joint/weights.safetensors --full --samples 1";
    run(PROGRAM, folder, &format!("{sample} --class 9 --out s"));
    for (options, words) in [
        ("--class 10", "classes are 0 to 9"),
        ("--unconditional", "and were trained without them"),
        ("--guidance 1", "and was trained without them"),
    ] {
        let told = fail(PROGRAM, folder, &format!("{sample} {options}"));
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn best_weights_that_were_judged_by_something_else_refuse_the_run_before_it_writes() {
    let folder = with_data();
    let folder = folder.path();
    let judged = "--features pixels --judge-every 4 --judge-samples";
    trains(folder, &format!("--out x {judged} 64"));
    let told = refuses(folder, "x", &format!("{judged} 80"));
    assert!(told.contains("were judged by pixels"), "{told}");
}

#[test]
fn a_training_that_diverges_keeps_good_checkpoints_and_can_be_continued() {
    let folder = with_data();
    let folder = folder.path();
    for log_every in ["10", "200"] {
        let out = format!("every-{log_every}");
        let with = |rate: &str, steps: u64| {
            format!(
                "{UNCLIPPED} --out {out} --set backbone_training.log_every={log_every} \
                 --set backbone_training.learning_rate={rate} --set backbone_training.steps={steps}"
            )
        };
        trains(folder, &with("1e-3", 40));
        let phase = folder.join(&out).join("backbone");
        let weights = || fs::read(phase.join("weights.safetensors")).unwrap();
        let good = weights();

        for _ in 0..2 {
            let told = fails(folder, &with("1e20", 400));
            let advice = "--change-optimizer --set backbone_training.learning_rate=1";
            assert!(
                told.contains("has diverged") && told.contains(advice),
                "{told}"
            );
            assert!(weights() == good, "what diverged displaced what was good");
            let mut kept: Vec<_> = fs::read_dir(phase.join("checkpoints"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            kept.sort();
            assert_eq!(kept, ["step-0000000020", "step-0000000040"]);
        }

        // The advice, with a rate that is low enough.
        let told = trains(folder, &with("1e-5", 130));
        assert!(told.contains("backbone: done"), "{told}");
        assert!(weights() != good, "it went on");
    }
}

#[test]
fn weights_that_are_no_numbers_are_never_done() {
    let folder = with_data();
    let folder = folder.path();
    let at_once = "--out x --backbone-only --set backbone_training.learning_rate=1e30 \
         --set backbone_training.clip_norm=1e30 --set backbone_training.log_every=100";
    let told = fails(folder, at_once);
    assert!(told.contains("has diverged"), "{told}");
    assert!(!folder.join("x/backbone/weights.safetensors").exists());
}

#[test]
fn two_trainings_cannot_share_a_folder() {
    let folder = with_data();
    let folder = folder.path();
    let mut first = train(folder, "--out x --set backbone_training.steps=1000000")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !folder.join("x/preset.toml").exists() && start.elapsed() < Duration::from_secs(60) {
        sleep(Duration::from_millis(10));
    }
    let told = fails(folder, "--out x");
    let preset = fs::read_to_string(folder.join("x/preset.toml")).unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(told.contains("another process"), "{told}");
    assert!(preset.contains("steps = 1000000"), "{preset}");
}

#[test]
fn processes_that_do_not_know_each_other_are_noticed() {
    let folder = with_data();
    let folder = folder.path();
    let command = |rank: &str, options: &str| {
        let output = train(folder, options)
            .env("SLURM_PROCID", rank)
            .env("SLURM_NTASKS", "2")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), told)
    };
    for rank in ["0", "1"] {
        let (code, told) = command(rank, "--out x");
        assert_eq!(code, Some(1), "{told}");
        assert!(
            told.contains(&format!("process {rank} of 2")) && told.contains("mpirun"),
            "{told}"
        );
        assert!(!folder.join("x").exists());
    }
    let (code, told) = command("0", "--rank 0 --world-size 1 --backbone-only --out x");
    assert_eq!(code, Some(0), "{told}");

    for (old, value) in [("--devices", "cuda:0,cuda:1"), ("--leader", "node0:29500")] {
        let told = fails(folder, &format!("{old} {value}"));
        assert!(told.contains(old) && told.contains("mpirun -n 4"), "{told}");
    }
}

#[cfg(unix)]
#[test]
fn a_training_outlives_its_terminal() {
    let folder = with_data();
    let folder = folder.path();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = train(folder, "--out x")
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(folder.join("x/joint/weights.safetensors").exists());
}
