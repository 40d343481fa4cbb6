//! Commands whose output nobody reads any more, or whose output goes to a full disk: nothing panics,
//! and what they were to write is there.
#![cfg(all(feature = "flex", target_os = "linux"))]

use std::fs::{self, File};
use std::io::pipe;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::tempdir;

/// The end of a pipe that nobody reads from.
fn unread() -> Stdio {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer.into()
}

fn run(folder: &Path, arguments: &str, stdout: Stdio, stderr: Stdio) -> Output {
    let program = Command::new(env!("CARGO_BIN_EXE_fashion_mnist"))
        .current_dir(folder)
        .args(arguments.split(' '))
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn();
    program.unwrap().wait_with_output().unwrap()
}

/// Runs a command with each kind of output, and checks that it leaves `file` each time.
#[track_caller]
fn ends_well(folder: &Path, arguments: &str, file: Option<&str>) {
    let written = || {
        let Some(file) = file.map(|file| folder.join(file)) else {
            return;
        };
        assert!(file.exists(), "{arguments} wrote no {}", file.display());
        if file.is_dir() {
            fs::remove_dir_all(file).unwrap()
        } else {
            fs::remove_file(file).unwrap()
        }
    };
    let told = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();

    let output = run(folder, arguments, unread(), Stdio::piped());
    let told_of_pipe = told(&output);
    assert!(output.status.success(), "{arguments}: {told_of_pipe}");
    assert!(!told_of_pipe.contains("panicked"), "{told_of_pipe}");
    written();

    let output = run(folder, arguments, unread(), unread());
    assert!(output.status.success(), "{arguments} without readers");
    written();

    let full = File::create("/dev/full").unwrap();
    let output = run(folder, arguments, full.into(), Stdio::piped());
    let told_of_disk = told(&output);
    assert_eq!(output.status.code(), Some(1), "{arguments}: {told_of_disk}");
    let expected = "error: cannot write to standard output: No space left on device";
    assert!(told_of_disk.contains(expected), "{told_of_disk}");
    written();
}

#[test]
fn samples_that_are_drawn_are_kept() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    for (command, out) in [
        ("sample --steps 1 --samples 1 --full", "drawn"),
        (
            "timing --steps 1 --batches 1 --rounds 1 --exit-rule threshold",
            "timing.jsonl",
        ),
        (
            "backends --steps 1 --devices flex --samples 2 --exit-rule threshold",
            "lines.jsonl",
        ),
    ] {
        ends_well(folder, &format!("{command} --out {out}"), Some(out));
    }

    let evaluate = "evaluate --steps 1 --samples 65 --depth 1 --out parts";
    ends_well(folder, evaluate, Some("parts"));
    let again = run(folder, evaluate, Stdio::null(), Stdio::null());
    assert!(again.status.success());
    let statistics = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/assets/fashion_mnist/train_statistics.npz"
    );
    fs::copy(statistics, folder.join("reference.npz")).unwrap();
    let merge = "merge parts --reference reference.npz";
    ends_well(folder, merge, Some("parts/results.jsonl"));
}

#[test]
fn pages_and_plans() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ablations");
    for name in ["quality.jsonl", "tables", "preset.toml"] {
        let (from, to) = (results.join(name), folder.join("results").join(name));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        if from.is_dir() {
            fs::create_dir(&to).unwrap();
            for table in fs::read_dir(&from).unwrap() {
                let table = table.unwrap();
                fs::copy(table.path(), to.join(table.file_name())).unwrap();
            }
        } else {
            fs::copy(from, to).unwrap();
        }
    }
    let study = "study --results results --out study.md";
    ends_well(folder, study, Some("study.md"));
    ends_well(folder, "figure 2", None);
    ends_well(folder, "train --dry-run", None);
}
