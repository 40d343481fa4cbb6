//! Commands on a disk that is full: told as such, with nothing half-written left, and continued once
//! there is room. The disk is a small file system in memory, which only root may mount.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use adadiff_train::EVENTS_FILE;
use serde_json::Value;
use tempfile::tempdir;

use crate::made::{
    TRAIN_JUDGED, command, fail, files, prepare_coco, run, save_networks, write_cifar10, write_coco,
};

/// A file system in memory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one at `place`; none where the system does not allow that, which is printed.
    fn mount(place: PathBuf) -> Option<Self> {
        fs::create_dir(&place).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(&place)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(place)),
            Ok(output) => {
                let told = String::from_utf8_lossy(&output.stderr).into_owned();
                println!("skipped, as no file system can be mounted: {}", told.trim());
                None
            }
            Err(error) => {
                println!("skipped, as `mount` cannot be run: {error}");
                None
            }
        }
    }

    fn resize(&self, kilobytes: u64) {
        let resized = Command::new("mount")
            .args(["-o", &format!("remount,size={kilobytes}k")])
            .arg(&self.0)
            .status();
        assert!(resized.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Runs a command that writes to `out` on a disk of more and more kilobytes, until there is room for
/// all of it, and gives back what it has left in the end. `is_whole` says whether a file that it left
/// before that is one.
fn fill(
    disk: &SmallDisk,
    program: &str,
    folder: &Path,
    arguments: &str,
    step: u64,
    is_whole: impl Fn(&str, &[u8]) -> bool,
) -> BTreeMap<String, Vec<u8>> {
    let out = disk.0.join("out");
    let arguments = format!("{arguments} --out '{}'", out.display());
    for (failures, kilobytes) in (step..).step_by(step as usize).enumerate() {
        disk.resize(kilobytes);
        let output = command(program, folder, &arguments).output().unwrap();
        if output.status.success() {
            println!("{arguments}: {failures} times without room");
            assert!(failures > 2, "{arguments} had room at once");
            break;
        }
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("No space left on device"), "{told}");
        assert!(!told.contains("panicked"), "{told}");
        // The lock of the folder holds nothing.
        let written = files(&out).into_iter();
        for (name, bytes) in written.filter(|(name, _)| !name.ends_with(".lock")) {
            assert!(is_whole(&name, &bytes), "{name} is half-written");
        }
    }
    files(&out)
}

/// Whether lines of JSON end with a whole one.
fn are_lines(bytes: &[u8]) -> bool {
    let text = str::from_utf8(bytes).unwrap();
    let lines = text.lines();
    text.is_empty()
        || text.ends_with('\n')
            && lines
                .map(serde_json::from_str::<Value>)
                .all(|line| line.is_ok())
}

/// Whether records of TensorBoard's (length, checksum, data, checksum) end with a whole one.
fn are_records(mut bytes: &[u8]) -> bool {
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let record = 4 + u64::from_le_bytes(*length) as usize + 4;
        let Some((_, rest)) = rest.split_at_checked(record) else {
            return false;
        };
        bytes = rest;
    }
    bytes.is_empty()
}

#[test]
fn prepare() {
    let folder = tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().join("disk")) else {
        return;
    };
    write_coco(folder.path());
    save_networks(folder.path());
    let program = env!("CARGO_BIN_EXE_coco");
    let prepare = format!("{} --images-per-shard 12", prepare_coco());
    run(program, folder.path(), &format!("{prepare} --out roomy"));
    let expected = files(&folder.path().join("roomy"));
    // A shard that is there must be that of a roomy disk; the index grows with each.
    let is_whole = |name: &str, bytes: &[u8]| match name {
        "index.json" => serde_json::from_slice::<Value>(bytes).is_ok(),
        ".lock" => bytes.is_empty(),
        _ => expected.get(name).is_some_and(|whole| whole == bytes),
    };
    let found = fill(&disk, program, folder.path(), &prepare, 100, is_whole);
    assert!(found == expected, "{:?}", found.keys());
}

#[test]
fn train_and_evaluate() {
    let folder = tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().join("disk")) else {
        return;
    };
    write_cifar10(folder.path());
    let program = env!("CARGO_BIN_EXE_cifar10");
    run(
        program,
        folder.path(),
        &format!("{TRAIN_JUDGED} --out roomy"),
    );
    let expected = files(&folder.path().join("roomy"));
    let is_whole = |name: &str, bytes: &[u8]| {
        if name.ends_with("training.jsonl") {
            return are_lines(bytes);
        }
        if name.ends_with(EVENTS_FILE) {
            return are_records(bytes);
        }
        // Nothing else than in the end, but for checkpoints of earlier steps and half as good a best.
        let is_known = expected.contains_key(name) || name.contains("/checkpoints/step-");
        is_known && !bytes.is_empty()
    };
    let found = fill(&disk, program, folder.path(), TRAIN_JUDGED, 600, is_whole);
    assert!(found.keys().eq(expected.keys()), "{:?}", found.keys());
    for (name, bytes) in &expected {
        if name.ends_with(".safetensors") {
            assert!(found[name] == *bytes, "{name} differs");
        }
    }

    // A file system cannot be made smaller than what it holds.
    drop(disk);
    let Some(disk) = SmallDisk::mount(folder.path().join("second")) else {
        return;
    };
    let evaluate = "evaluate --checkpoint roomy/joint/weights.safetensors --features pixels \
         --samples 96 --depth 1";
    let is_whole = |_: &str, bytes: &[u8]| serde_json::from_slice::<Value>(bytes).is_ok();
    let found = fill(&disk, program, folder.path(), evaluate, 8, is_whole);
    assert_eq!(found.len(), 1);

    // No room for a table either, and then there is.
    drop(disk);
    let Some(disk) = SmallDisk::mount(folder.path().join("third")) else {
        return;
    };
    let judged = "--quick --features pixels --checkpoint roomy/joint/weights.safetensors \
         --data cifar-10-batches-bin --out third/table";
    let told = fail(program, folder.path(), judged);
    assert!(told.contains("space left"), "{told}");
    let names = || {
        let entries = fs::read_dir(&disk.0).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<Vec<_>>()
    };
    // What was drawn is kept for the same command.
    assert_eq!(names(), [".table.unfinished"]);
    disk.resize(65_536);
    run(program, folder.path(), judged);
    assert_eq!(names(), ["table"]);
    assert!(disk.0.join("table/report.html").exists());
}
