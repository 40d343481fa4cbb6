//! Samples that many processes share are those of one.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use crate::made::{TRAIN, command, fail, run, succeeds, write_cifar10};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cifar10");

const EVALUATE: &str = "evaluate --checkpoint run/joint/weights.safetensors --features pixels \
     --samples 1100 --depth 1";

/// A process as Open MPI starts it.
fn process(folder: &Path, rank: usize, size: usize) {
    let mut process = command(PROGRAM, folder, &format!("{EVALUATE} --out shared"));
    process.env("OMPI_COMM_WORLD_RANK", rank.to_string());
    process.env("OMPI_COMM_WORLD_SIZE", size.to_string());
    succeeds(&mut process);
}

fn merge(folder: &Path, parts: &str, statistics: &str) -> Value {
    let merge = format!("merge {parts} --reference reference.npz");
    run(
        PROGRAM,
        folder,
        &format!("{merge} --write-statistics {statistics}"),
    );
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
    run(PROGRAM, folder, &format!("{TRAIN} --out run"));
    let reference = "reference --features pixels --out reference.npz";
    let data = "--data cifar-10-batches-bin --preset cifar10-tiny";
    run(PROGRAM, folder, &format!("{reference} {data}"));
    run(PROGRAM, folder, &format!("{EVALUATE} --out single"));
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

    let refused = |write: &str, words: &str| {
        let merge = format!("merge shared --reference reference.npz {write}");
        let told = fail(PROGRAM, folder, &merge);
        assert!(told.contains(words), "{told}");
    };
    // The samples' own statistics in its place would be at no distance.
    let written = "--write-statistics ./reference.npz";
    refused(written, "is read for this; name another file");
    fs::remove_file(folder.join("shared/part-00005-of-00007.json")).unwrap();
    refused("", "part-00005-of-00007.json");
}
