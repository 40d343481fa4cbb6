//! Samples that many processes share are those of one.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::tempdir;

use crate::made::{fail, run, write_cifar10};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cifar10");

const EVALUATE: [&str; 9] = [
    "evaluate",
    "--checkpoint",
    "run/joint/weights.safetensors",
    "--features",
    "pixels",
    "--samples",
    "1100",
    "--depth",
    "1",
];

/// A process as Open MPI starts it.
fn process(folder: &Path, rank: usize, size: usize) {
    let output = Command::new(PROGRAM)
        .current_dir(folder)
        .args(EVALUATE)
        .args(["--out", "shared"])
        .env("OMPI_COMM_WORLD_RANK", rank.to_string())
        .env("OMPI_COMM_WORLD_SIZE", size.to_string())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
}

fn merge(folder: &Path, parts: &str, statistics: &str) -> Value {
    let merge = ["merge", parts, "--reference", "reference.npz"];
    let write = ["--write-statistics", statistics];
    run(PROGRAM, folder, &[&merge[..], &write].concat());
    let row = fs::read_to_string(folder.join(parts).join("results.jsonl")).unwrap();
    let mut row: Value = serde_json::from_str(&row).unwrap();
    assert!(row["seconds_per_image"].take().as_f64().unwrap() > 0.0);
    row
}

#[test]
fn merged_parts_are_the_single_run_bit_for_bit() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    write_cifar10(folder);
    let data = ["--data", "cifar-10-batches-bin"];
    let preset = ["--preset", "cifar10-tiny"];
    run(
        PROGRAM,
        folder,
        &[&["train", "--out", "run"], &data[..], &preset].concat(),
    );
    let reference = [
        "reference",
        "--features",
        "pixels",
        "--out",
        "reference.npz",
    ];
    run(PROGRAM, folder, &[&reference[..], &data, &preset].concat());

    run(
        PROGRAM,
        folder,
        &[&EVALUATE[..], &["--out", "single"]].concat(),
    );
    let single = merge(folder, "single", "single.npz");
    assert_eq!(
        (&single["samples"], &single["blocks_mean"]),
        (&1100.into(), &1.0.into())
    );
    // More processes than there are chunks of samples: some have none.
    for rank in [3, 0, 6, 1, 5, 2, 4] {
        process(folder, rank, 7);
    }
    assert_eq!(merge(folder, "shared", "shared.npz"), single);
    let [first, second] =
        ["single.npz", "shared.npz"].map(|name| fs::read(folder.join(name)).unwrap());
    assert!(first == second, "the statistics differ");

    fs::remove_file(folder.join("shared/part-00005-of-00007.json")).unwrap();
    let output = Command::new(PROGRAM)
        .current_dir(folder)
        .args(["merge", "shared", "--reference", "reference.npz"])
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(message.contains("part-00005-of-00007.json"), "{message}");
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
fn devices_and_processes_that_share_a_training_take_its_steps() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    write_cifar10(folder);
    let train = [
        "train",
        "--preset",
        "cifar10-tiny",
        "--data",
        "cifar-10-batches-bin",
        "--out",
    ];
    run(PROGRAM, folder, &[&train[..], &["alone"]].concat());
    let expected = losses(&folder.join("alone"));
    assert_eq!(expected.len(), 6);
    let farthest = |found: Vec<f64>| {
        assert_eq!(found.len(), expected.len());
        let pairs = found.iter().zip(&expected);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };

    for devices in ["flex,flex", "flex,flex,flex"] {
        let arguments = [&train[..], &[devices, "--devices", devices]].concat();
        run(PROGRAM, folder, &arguments);
        let apart = farthest(losses(&folder.join(devices)));
        println!("{devices}: {apart:.1e}");
        assert!(apart < 1e-5);
    }
    let told = fail(
        PROGRAM,
        folder,
        &[&train[..], &["none", "--devices", "flex,ndarray"]].concat(),
    );
    assert!(told.contains("two backends"), "{told}");
    let nine = ["flex"; 9].join(",");
    let told = fail(
        PROGRAM,
        folder,
        &[&train[..], &["none", "--devices", &nine]].concat(),
    );
    assert!(
        told.contains("9 devices cannot share batches of 8"),
        "{told}"
    );

    // As on three machines.
    let leader = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let processes = [2, 0, 1].map(|rank: usize| {
        Command::new(PROGRAM)
            .current_dir(folder)
            .args(train)
            .args(["nodes", "--leader", &leader])
            .env("SLURM_PROCID", rank.to_string())
            .env("SLURM_NTASKS", "3")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    });
    for process in processes {
        let output = process.wait_with_output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{message}");
    }
    let apart = farthest(losses(&folder.join("nodes")));
    println!("three processes: {apart:.1e}");
    assert!(apart < 1e-5);
    assert!(folder.join("nodes/joint/weights.safetensors").exists());
}
