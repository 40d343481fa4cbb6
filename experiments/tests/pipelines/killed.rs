//! Long commands that are killed at random moments and run again end as if nothing had happened.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::made::{
    TRAIN_JUDGED, command, files, prepare_coco, run, save_networks, write_cifar10, write_coco,
};

/// Kills of each command, all of them while it runs; `ADADIFF_KILLS` sets another number.
const KILLS: usize = 20;

/// The longest time before a kill, in times that the command takes from its start to its end.
const LONGEST: f64 = 0.8;

/// Runs a command to its end, then again with another `out` to write to, killed again and again at
/// random moments. Where it comes to its end before a kill, it must have ended as the first one, and
/// starts over from nothing. `contents` is what matters of what it writes.
#[track_caller]
fn ends_as_if_never_killed<T: PartialEq>(
    program: &str,
    folder: &Path,
    arguments: &str,
    out: [&str; 2],
    contents: impl Fn(&Path) -> T,
) -> T {
    let [whole, killed] = out.map(|out| folder.join(out));
    let to = |out| format!("{arguments} --out {out}");
    let start = Instant::now();
    run(program, folder, &to(out[0]));
    let duration = start.elapsed();
    let expected = contents(&whole);

    let wanted = std::env::var("ADADIFF_KILLS").map_or(KILLS, |count| count.parse().unwrap());
    let mut random = StdRng::seed_from_u64(5);
    let (mut kills, mut ends) = (0, 0);
    while kills < wanted {
        let mut child = command(program, folder, &to(out[1]))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(duration.mul_f64(random.random_range(0.0..LONGEST)));
        // On Unix this is SIGKILL.
        child.kill().unwrap();
        if !child.wait().unwrap().success() {
            kills += 1;
            continue;
        }
        ends += 1;
        assert!(contents(&killed) == expected, "end {ends} is another");
        remove(&killed);
    }
    run(program, folder, &to(out[1]));
    assert!(contents(&killed) == expected, "the last end is another");
    println!("{arguments}: {kills} kills, {} ends", ends + 1);
    expected
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap()
    } else {
        fs::remove_file(path).unwrap()
    }
}

#[test]
fn prepare() {
    let folder = tempdir().unwrap();
    write_coco(folder.path());
    save_networks(folder.path());
    let prepared = ends_as_if_never_killed(
        env!("CARGO_BIN_EXE_coco"),
        folder.path(),
        &format!("{} --images-per-shard 7 --batch 4", prepare_coco()),
        ["whole", "killed"],
        files,
    );
    // Shards, index and the empty context; the lock is gone.
    assert_eq!(prepared.len(), 9 + 2, "{:?}", prepared.keys());
}

const CIFAR10: &str = env!("CARGO_BIN_EXE_cifar10");

/// The last and the best weights of both phases, and their logs but for speed and memory.
fn trained(run: &Path) -> Vec<(Vec<u8>, Vec<u8>, Vec<Value>)> {
    let phase = |phase: &str| {
        let read = |name: &str| fs::read(run.join(phase).join(name)).unwrap();
        let log = String::from_utf8(read("training.jsonl")).unwrap();
        let lines = log.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            assert!(line["frechet_distance"].as_f64().unwrap() > 0.0, "{line}");
            line["images_per_second"] = Value::Null;
            line["peak_memory_mib"] = Value::Null;
            line
        });
        let lines: Vec<_> = lines.collect();
        let steps: Vec<_> = lines.iter().map(|line| line["step"].as_u64()).collect();
        assert_eq!(steps, [4, 8, 12].map(Some));
        (read("weights.safetensors"), read("best.safetensors"), lines)
    };
    ["backbone", "joint"].map(phase).into()
}

#[test]
fn train() {
    let folder = tempdir().unwrap();
    write_cifar10(folder.path());
    ends_as_if_never_killed(
        CIFAR10,
        folder.path(),
        TRAIN_JUDGED,
        ["whole", "killed"],
        trained,
    );
}

/// A folder with a trained network.
fn with_a_network() -> TempDir {
    let folder = tempdir().unwrap();
    write_cifar10(folder.path());
    run(CIFAR10, folder.path(), &format!("{TRAIN_JUDGED} --out run"));
    folder
}

#[test]
fn evaluate() {
    let evaluate = "evaluate --checkpoint run/joint/weights.safetensors --features pixels \
         --samples 1100 --depth 2";
    let part = |folder: &Path| {
        let part = fs::read(folder.join("part-00000-of-00001.json")).unwrap();
        let mut part: Value = serde_json::from_slice(&part).unwrap();
        part["seconds"] = Value::Null;
        part
    };
    let folder = with_a_network();
    let out = ["whole", "killed"];
    let part = ends_as_if_never_killed(CIFAR10, folder.path(), evaluate, out, part);
    assert_eq!(part["effort"]["samples"], 1100);
}

/// Commands of minutes, which start over: they leave their file whole or none.
#[test]
fn calibrate_and_reference() {
    let folder = with_a_network();
    let content = |path: &Path| fs::read(path).unwrap();
    let calibrate = "calibrate --checkpoint run/joint/weights.safetensors --reductions 0.2,0.3,0.4";
    let out = ["whole.json", "killed.json"];
    ends_as_if_never_killed(CIFAR10, folder.path(), calibrate, out, content);
    let reference = "reference --data cifar-10-batches-bin --features pixels";
    let out = ["whole.npz", "killed.npz"];
    ends_as_if_never_killed(CIFAR10, folder.path(), reference, out, content);
}

#[test]
fn the_comparison() {
    let compare = "--samples 300 --features pixels --checkpoint run/joint/weights.safetensors \
         --data cifar-10-batches-bin";
    let folder = with_a_network();
    let results = |out: &Path| {
        let rows = ["results.jsonl", "curve.jsonl"].map(|name| {
            let rows = fs::read_to_string(out.join(name)).unwrap();
            let rows = rows.lines().map(|row| {
                let mut row: Value = serde_json::from_str(row).unwrap();
                assert!(row["frechet_distance"].as_f64().unwrap() > 0.0, "{row}");
                row["seconds_per_image"] = Value::Null;
                row["speedup"] = Value::Null;
                row
            });
            rows.collect::<Vec<_>>()
        });
        let pictures = ["full_beside_adadiff.png", "uncertainty_maps.png"];
        (rows, pictures.map(|name| fs::read(out.join(name)).unwrap()))
    };
    let out = ["whole", "killed"];
    let (rows, _) = ends_as_if_never_killed(CIFAR10, folder.path(), compare, out, results);
    assert_eq!(rows.map(|rows| rows.len()), [4, 11]);
    let left = files(folder.path()).into_keys();
    let left: Vec<_> = left.filter(|name| name.contains("unfinished")).collect();
    assert!(left.iter().all(|name| name.ends_with("lock")), "{left:?}");
}
