//! Samples that many processes share are those of one.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::tempdir;

use crate::made::{run, write_cifar10};

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

    let refused = |write: &[&str], told: &str| {
        let output = Command::new(PROGRAM)
            .current_dir(folder)
            .args(["merge", "shared", "--reference", "reference.npz"])
            .args(write)
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(message.contains(told), "{message}");
    };
    // The samples' own statistics in its place would be at no distance.
    let written = ["--write-statistics", "./reference.npz"];
    refused(&written, "is read for this; name another file");
    fs::remove_file(folder.join("shared/part-00005-of-00007.json")).unwrap();
    refused(&[], "part-00005-of-00007.json");
}
