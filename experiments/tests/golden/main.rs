//! What users and their files rely on, as it was when these files were written: command lines, ids of
//! measured rows, presets as they are printed, and files that an older program left.
#![cfg(feature = "flex")]

mod help;
mod left_behind;
mod presets;
mod rows;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const FASHION_MNIST: &str = env!("CARGO_BIN_EXE_fashion_mnist");

const PROGRAMS: [(&str, &str); 7] = [
    ("fashion_mnist", FASHION_MNIST),
    ("celeba", env!("CARGO_BIN_EXE_celeba")),
    ("cifar10", env!("CARGO_BIN_EXE_cifar10")),
    ("coco", env!("CARGO_BIN_EXE_coco")),
    ("folder", env!("CARGO_BIN_EXE_folder")),
    ("imagenet", env!("CARGO_BIN_EXE_imagenet")),
    ("metrics", env!("CARGO_BIN_EXE_metrics")),
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// Text that must be the golden file's. What was found otherwise is kept, so that a change that is
/// meant can be looked at and put in its place.
#[track_caller]
fn assert_golden(name: &str, found: &str) {
    let golden = fs::read_to_string(path(name)).unwrap_or_default();
    if golden == found {
        return;
    }
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name.replace('/', "-"));
    fs::write(&kept, found).unwrap();
    let same = golden.lines().zip(found.lines());
    let line = same.take_while(|(golden, found)| golden == found).count();
    panic!(
        "line {} of {} is {:?}, and {:?} was found; all of it lies in {}",
        line + 1,
        path(name).display(),
        golden.lines().nth(line),
        found.lines().nth(line),
        kept.display()
    );
}

/// What a program prints that must succeed.
#[track_caller]
fn printed(program: &str, folder: &Path, arguments: &[&str]) -> String {
    let output = output(program, folder, arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

fn output(program: &str, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.current_dir(folder).args(arguments);
    command.output().unwrap()
}
