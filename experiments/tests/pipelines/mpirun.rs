//! Trainings that `mpirun` starts.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tempfile::tempdir;

use crate::made::{TRAIN, run, write_cifar10};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cifar10");

/// The longest time that a training lives after it should have ended.
const SECONDS: Duration = Duration::from_secs(20);

/// `mpirun` as it is run in a container, with more processes than cores.
fn mpirun(folder: &Path) -> Command {
    let mut command = Command::new("mpirun");
    command
        .current_dir(folder)
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("RAYON_NUM_THREADS", "1")
        .arg("--oversubscribe")
        .stderr(Stdio::piped());
    command
}

/// Several processes that train into `out`.
fn start(folder: &Path, processes: usize, out: &str, settings: &[&str]) -> Child {
    let mut command = mpirun(folder);
    command.args(["-n", &processes.to_string(), PROGRAM]);
    command
        .args(TRAIN.split(' '))
        .args(["--out", out])
        .args(settings);
    command.spawn().unwrap()
}

fn message(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Trains in several processes to the end; gives back the weights of both phases.
#[track_caller]
fn share(folder: &Path, processes: usize, out: &str, settings: &[&str]) -> [Vec<u8>; 2] {
    let child = start(folder, processes, out, settings);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", message(&output));
    ["backbone", "joint"].map(|phase| {
        let weights = folder.join(out).join(phase).join("weights.safetensors");
        fs::read(weights).unwrap()
    })
}

/// The losses of a run's log.
fn losses(run: &Path) -> Vec<f64> {
    let phases = ["backbone", "joint"].map(|phase| {
        let log = fs::read_to_string(run.join(phase).join("training.jsonl")).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .map(|line: Value| line["total"].as_f64().unwrap())
            .collect::<Vec<_>>()
    });
    phases.concat()
}

#[test]
fn processes_that_share_a_training_take_its_steps_the_same_each_time() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    write_cifar10(folder);
    run(PROGRAM, folder, &format!("{TRAIN} --out alone"));
    let expected = losses(&folder.join("alone"));
    assert_eq!(expected.len(), 6);
    for processes in [2, 4] {
        let [first, second] = ["first", "second"].map(|out| {
            let out = format!("{out}-{processes}");
            share(folder, processes, &out, &[])
        });
        assert!(first == second, "{processes} processes: other weights");
        let found = losses(&folder.join(format!("first-{processes}")));
        assert_eq!(found.len(), expected.len());
        let pairs = found.iter().zip(&expected);
        let apart = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        println!("{processes} processes: {apart:.1e}");
        assert!(apart < 1e-5);
    }
}

/// The processes that `mpirun` has started.
fn children(mpirun: &Child) -> Vec<u32> {
    let id = mpirun.id();
    let list = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let ids = list.split_whitespace().map(|id| id.parse().unwrap());
    ids.collect()
}

fn is_alive(process: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = state.rsplit(')').next().unwrap_or_default().trim_start();
    !state.is_empty() && !state.starts_with('Z')
}

fn signal(name: &str, process: u32) {
    let id = process.to_string();
    let status = Command::new("kill").args([name, &id]).status().unwrap();
    assert!(status.success());
}

/// Waits until all processes of a training have ended by themselves.
#[track_caller]
fn ends(mut mpirun: Child, children: &[u32]) -> Output {
    let start = Instant::now();
    while mpirun.try_wait().unwrap().is_none() || children.iter().any(|&child| is_alive(child)) {
        if start.elapsed() > SECONDS {
            for &child in children {
                let _ = Command::new("kill")
                    .args(["-KILL", &child.to_string()])
                    .status();
            }
            let _ = mpirun.kill();
            panic!(
                "still there: {}",
                message(&mpirun.wait_with_output().unwrap())
            );
        }
        sleep(Duration::from_millis(20));
    }
    mpirun.wait_with_output().unwrap()
}

/// Waits until the processes train.
fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{}",
            path.display()
        );
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn one_killed_process_ends_all_and_the_same_command_continues() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    write_cifar10(folder);
    let begin = Instant::now();
    let expected = share(folder, 2, "whole", &[]);
    let duration = begin.elapsed();

    let kills = std::env::var("ADADIFF_KILLS").map_or(8, |count| count.parse().unwrap());
    let mut random = StdRng::seed_from_u64(7);
    let (mut killed, mut ended) = (0, 0);
    while killed < kills {
        let mpirun = start(folder, 2, "killed", &[]);
        sleep(duration.mul_f64(random.random_range(0.1..0.9)));
        let children = children(&mpirun);
        if let Some(&child) = children.get(random.random_range(0..2)) {
            signal("-KILL", child);
        }
        let output = ends(mpirun, &children);
        if output.status.success() {
            ended += 1;
            fs::remove_dir_all(folder.join("killed")).unwrap();
        } else {
            killed += 1
        }
    }
    let found = share(folder, 2, "killed", &[]);
    assert!(
        found == expected,
        "killed {killed} times, the weights are others"
    );
    println!("{killed} kills, {ended} ends before one");
}

#[test]
fn signals_end_all_processes_within_seconds() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    write_cifar10(folder);
    let endless = ["--set", "backbone_training.steps=1000000"];
    for (out, name) in [("int", "-INT"), ("term", "-TERM")] {
        let mpirun = start(folder, 2, out, &endless);
        wait_for(&folder.join(out).join("backbone/training.jsonl"));
        let children = children(&mpirun);
        assert_eq!(children.len(), 2);
        signal(name, mpirun.id());
        let output = ends(mpirun, &children);
        assert!(!output.status.success());
    }

    // A signal to one of them ends all after the same step.
    let mpirun = start(folder, 2, "one", &endless);
    wait_for(&folder.join("one/backbone/training.jsonl"));
    let processes = children(&mpirun);
    signal("-TERM", processes[1]);
    let output = ends(mpirun, &processes);
    let told = message(&output);
    assert!(
        !output.status.success() && told.contains("interrupted in phase 'backbone'"),
        "{told}"
    );

    // One that hangs is waited for in vain.
    let mpirun = start(folder, 2, "hung", &endless);
    wait_for(&folder.join("hung/backbone/training.jsonl"));
    let processes = children(&mpirun);
    signal("-STOP", processes[0]);
    signal("-TERM", processes[1]);
    let output = ends(mpirun, &processes);
    let told = message(&output);
    assert!(
        told.contains("interrupted while waiting for the others"),
        "{told}"
    );
}

#[test]
fn processes_with_other_weights_or_data_are_told_apart() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    write_cifar10(folder);
    fs::create_dir(folder.join("other")).unwrap();
    write_cifar10(&folder.join("other"));
    let batch = folder.join("other/cifar-10-batches-bin/data_batch_2.bin");
    let mut bytes = fs::read(&batch).unwrap();
    bytes[5] ^= 1;
    fs::write(&batch, bytes).unwrap();
    for (out, seed) in [("a", "1"), ("b", "2")] {
        let train = format!("{TRAIN} --backbone-only --set backbone_training.seed={seed}");
        run(PROGRAM, folder, &format!("{train} --out {out}"));
    }
    let apart = |words: &str, first: &[&str], second: &[&str]| {
        let mut command = mpirun(folder);
        let arguments = ["train", "--preset", "cifar10-tiny", "--out", "x", "--data"];
        command
            .args(["-n", "1", PROGRAM])
            .args(arguments)
            .args(first);
        command
            .args([":", "-n", "1", PROGRAM])
            .args(arguments)
            .args(second);
        let output = command.output().unwrap();
        let told = message(&output);
        assert!(!output.status.success() && told.contains(words), "{told}");
        assert!(!folder.join("x/joint/training.jsonl").exists());
        assert!(!folder.join("x/backbone/training.jsonl").exists());
    };
    let backbones = ["a", "b"].map(|out| format!("{out}/backbone/weights.safetensors"));
    let data = "cifar-10-batches-bin";
    apart(
        "[1] each has other start weights",
        &[data, "--backbone", &backbones[0]],
        &[data, "--backbone", &backbones[1]],
    );
    let other_settings = [data, "--set", "backbone_training.batch_size=4"];
    apart("[1] each has other settings", &[data], &other_settings);
    let other_data = format!("other/{data}");
    apart("[1] each has other data", &[data], &[&other_data]);
}
