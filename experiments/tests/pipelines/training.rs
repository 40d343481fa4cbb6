//! Trainings that must not go on as if nothing were the matter, and what they leave behind.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::{TempDir, tempdir};

use crate::made::{fail, files, run, write_cifar10};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cifar10");

const TRAIN: [&str; 5] = [
    "train",
    "--preset",
    "cifar10-tiny",
    "--data",
    "cifar-10-batches-bin",
];

/// Settings under which a rate that is too high makes the weights no numbers within a step.
const UNCLIPPED: [&str; 8] = [
    "--backbone-only",
    "--change-optimizer",
    "--set",
    "backbone_training.warmup_steps=1000",
    "--set",
    "backbone_training.clip_norm=1e30",
    "--set",
    "backbone_training.checkpoint_every=20",
];

fn train(arguments: &[&str]) -> Vec<String> {
    let arguments = TRAIN.iter().chain(arguments);
    arguments.map(|&argument| argument.to_owned()).collect()
}

#[track_caller]
fn trains(folder: &Path, arguments: &[&str]) -> String {
    run(PROGRAM, folder, &[&TRAIN[..], arguments].concat())
}

/// Trains, which must be refused and change no file of the run `out`.
#[track_caller]
fn refuses(folder: &Path, out: &str, arguments: &[&str]) -> String {
    let before = files(&folder.join(out));
    let arguments = [&TRAIN[..], &["--out", out], arguments].concat();
    let told = fail(PROGRAM, folder, &arguments);
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
    let seed = ["--set", "backbone_training.seed=99"];
    trains(folder, &["--backbone-only", "--out", "a"]);
    trains(
        folder,
        &[&["--backbone-only", "--out", "b"], &seed[..]].concat(),
    );
    trains(
        folder,
        &["--backbone", "a/backbone/weights.safetensors", "--out", "x"],
    );
    let told = refuses(
        folder,
        "x",
        &["--backbone", "b/backbone/weights.safetensors"],
    );
    assert!(told.contains("the weights that it began with"), "{told}");
    // The same ones are no other ones.
    trains(
        folder,
        &["--backbone", "a/backbone/weights.safetensors", "--out", "x"],
    );

    trains(folder, &["--out", "y"]);
    let longer = ["--set", "backbone_training.steps=16"];
    let told = refuses(folder, "y", &longer);
    assert!(
        told.contains("y/joint began from a backbone of fewer steps"),
        "{told}"
    );
}

#[test]
fn a_refused_run_changes_nothing() {
    let folder = with_data();
    let folder = folder.path();
    trains(folder, &["--out", "x"]);
    for (setting, words) in [
        ("backbone_training.learning_rate=0.5", "learning_rate: 0.5"),
        ("joint_training.learning_rate=0.5", "learning_rate: 0.5"),
        ("joint_training.steps=5", "12 steps already, but only 5"),
        ("backbone_training.steps=5", "12 steps already, but only 5"),
    ] {
        let told = refuses(folder, "x", &["--set", setting]);
        assert!(told.contains(words), "{told}");
    }

    // As many images of the same names, one of which is another one.
    let batch = folder.join("cifar-10-batches-bin/data_batch_3.bin");
    let mut bytes = fs::read(&batch).unwrap();
    bytes[700] ^= 0x40;
    fs::write(&batch, bytes).unwrap();
    let told = refuses(folder, "x", &[]);
    assert!(told.contains("its data set, of as many images"), "{told}");

    let missing = ["--out", "new", "--backbone", "missing.safetensors"];
    fail(PROGRAM, folder, &[&TRAIN[..], &missing].concat());
    assert!(!folder.join("new").exists(), "a folder is left");
}

#[test]
fn the_last_label_is_a_class_where_none_stands_for_no_class() {
    let folder = with_data();
    let folder = folder.path();
    let eleven = ["--out", "x", "--set", "model.backbone.classes=11"];
    let told = fail(PROGRAM, folder, &[&TRAIN[..], &eleven].concat());
    assert!(told.contains("there are 10 classes and 0 for"), "{told}");
    trains(
        folder,
        &["--out", "x", "--set", "model.backbone.classes=10"],
    );
    let sample = |options: &[&'static str]| {
        let network = ["sample", "--checkpoint", "x/joint/weights.safetensors"];
        [&network[..], &["--full", "--samples", "1"], options].concat()
    };
    run(PROGRAM, folder, &sample(&["--class", "9", "--out", "s"]));
    for (options, words) in [
        (&["--class", "10"][..], "classes are 0 to 9"),
        (&["--unconditional"], "and were trained without them"),
        (&["--guidance", "1"], "and was trained without them"),
    ] {
        let told = fail(PROGRAM, folder, &sample(options));
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn best_weights_that_were_judged_by_something_else_refuse_the_run_before_it_writes() {
    let folder = with_data();
    let folder = folder.path();
    let judged = |samples| {
        let by = ["--features", "pixels", "--judge-every", "4"];
        [&by[..], &["--judge-samples", samples]].concat()
    };
    trains(folder, &[&["--out", "x"], &judged("64")[..]].concat());
    let told = refuses(folder, "x", &judged("80"));
    assert!(told.contains("were judged by pixels"), "{told}");
}

#[test]
fn a_training_that_diverges_keeps_good_checkpoints_and_can_be_continued() {
    let folder = with_data();
    let folder = folder.path();
    for log_every in ["10", "200"] {
        let out = format!("every-{log_every}");
        let log_every = format!("backbone_training.log_every={log_every}");
        let common = [&UNCLIPPED[..], &["--out", &out, "--set", &log_every]].concat();
        let with = |rate, steps| [&common[..], &["--set", rate, "--set", steps]].concat();
        let few = "backbone_training.steps=40";
        trains(folder, &with("backbone_training.learning_rate=1e-3", few));
        let phase = folder.join(&out).join("backbone");
        let weights = || fs::read(phase.join("weights.safetensors")).unwrap();
        let good = weights();

        let many = "backbone_training.steps=400";
        let bad = with("backbone_training.learning_rate=1e20", many);
        for _ in 0..2 {
            let told = fail(PROGRAM, folder, &[&TRAIN[..], &bad].concat());
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
        let more = "backbone_training.steps=130";
        let told = trains(folder, &with("backbone_training.learning_rate=1e-5", more));
        assert!(told.contains("backbone: done"), "{told}");
        assert!(weights() != good, "it went on");
    }
}

#[test]
fn weights_that_are_no_numbers_are_never_done() {
    let folder = with_data();
    let folder = folder.path();
    let at_once = [
        "--set",
        "backbone_training.learning_rate=1e30",
        "--set",
        "backbone_training.clip_norm=1e30",
        "--set",
        "backbone_training.log_every=100",
        "--backbone-only",
    ];
    let arguments = [&TRAIN[..], &["--out", "x"], &at_once].concat();
    let told = fail(PROGRAM, folder, &arguments);
    assert!(told.contains("has diverged"), "{told}");
    assert!(!folder.join("x/backbone/weights.safetensors").exists());
}

#[test]
fn two_trainings_cannot_share_a_folder() {
    let folder = with_data();
    let folder = folder.path();
    let endless = train(&["--out", "x", "--set", "backbone_training.steps=1000000"]);
    let mut first = Command::new(PROGRAM)
        .current_dir(folder)
        .args(endless)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !folder.join("x/preset.toml").exists() && start.elapsed() < Duration::from_secs(60) {
        sleep(Duration::from_millis(10));
    }
    let arguments = [&TRAIN[..], &["--out", "x"]].concat();
    let told = fail(PROGRAM, folder, &arguments);
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
    let command = |rank: &str, arguments: &[&str]| {
        let output = Command::new(PROGRAM)
            .current_dir(folder)
            .args(train(arguments))
            .env("SLURM_PROCID", rank)
            .env("SLURM_NTASKS", "2")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), told)
    };
    for rank in ["0", "1"] {
        let (code, told) = command(rank, &["--out", "x"]);
        assert_eq!(code, Some(1), "{told}");
        assert!(
            told.contains(&format!("process {rank} of 2")) && told.contains("mpirun"),
            "{told}"
        );
        assert!(!folder.join("x").exists());
    }
    let alone = [
        "--rank",
        "0",
        "--world-size",
        "1",
        "--backbone-only",
        "--out",
        "x",
    ];
    let (code, told) = command("0", &alone);
    assert_eq!(code, Some(0), "{told}");

    for old in [["--devices", "cuda:0,cuda:1"], ["--leader", "node0:29500"]] {
        let told = fail(PROGRAM, folder, &[&TRAIN[..], &old].concat());
        assert!(
            told.contains(old[0]) && told.contains("mpirun -n 4"),
            "{told}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_training_outlives_its_terminal() {
    let folder = with_data();
    let folder = folder.path();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = Command::new(PROGRAM)
        .current_dir(folder)
        .args(train(&["--out", "x"]))
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(folder.join("x/joint/weights.safetensors").exists());
}
