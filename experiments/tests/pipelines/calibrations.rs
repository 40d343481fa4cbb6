//! Calibrations beside weights: of which weights they are, and who writes them when.

use std::fs;
use std::io::pipe;
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::made::{bundled_weights, command, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fashion_mnist");

/// A rule that is calibrated quickly.
const QUICK: &str = "--exit-rule threshold --steps 2 --checkpoint";

/// The bundled weights in a folder of their own, with a threshold for 40 % fewer blocks.
fn folder() -> TempDir {
    let folder = bundled_weights();
    calibrate(folder.path(), "0.4");
    folder
}

fn calibration(reductions: &str) -> String {
    format!("calibrate {QUICK} weights.safetensors --reductions {reductions}")
}

fn calibrate(folder: &Path, reductions: &str) {
    run(PROGRAM, folder, &calibration(reductions));
}

fn stored(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("calibration.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn reductions(folder: &Path) -> Vec<f64> {
    let stored = stored(folder);
    let reductions = stored.iter().map(|entry| entry["reduction"].as_f64());
    reductions.map(Option::unwrap).collect()
}

/// What `sample` tells with the weights in `file`.
fn sample(folder: &Path, file: &str) -> String {
    let out = format!("samples-of-{file}");
    let sample = format!("sample {QUICK} {file} --reduction 0.4 --samples 2 --out {out}");
    let told = run(PROGRAM, folder, &sample);
    fs::remove_dir_all(folder.join(out)).unwrap();
    told
}

#[test]
fn a_calibration_of_other_weights_is_passed_over_and_told_of() {
    let folder = folder();
    let folder = folder.path();
    assert!(!sample(folder, "weights.safetensors").contains("passed over"));

    // The weights of a later step: the last parameter differs.
    let path = folder.join("weights.safetensors");
    let mut weights = fs::read(&path).unwrap();
    *weights.last_mut().unwrap() ^= 1;
    fs::write(folder.join("best.safetensors"), &weights).unwrap();
    let told = sample(folder, "best.safetensors");
    assert!(told.contains("calibrated for other weights"), "{told}");
    assert!(!sample(folder, "weights.safetensors").contains("passed over"));
    fs::write(&path, &weights).unwrap();
    let told = sample(folder, "weights.safetensors");
    assert!(told.contains("calibrated for other weights"), "{told}");

    // Calibrated anew they stand beside the others, and are used.
    calibrate(folder, "0.4");
    assert!(!sample(folder, "weights.safetensors").contains("passed over"));
    let entries = stored(folder);
    assert_eq!(reductions(folder), [0.4, 0.4]);
    assert_ne!(entries[0]["weights_sha256"], entries[1]["weights_sha256"]);
}

#[test]
fn a_calibration_that_does_not_tell_its_weights_is_passed_over() {
    let folder = folder();
    let folder = folder.path();
    let mut entries = stored(folder);
    entries[0].as_object_mut().unwrap().remove("weights_sha256");
    let text = serde_json::to_string(&entries).unwrap();
    fs::write(folder.join("calibration.json"), text).unwrap();
    let told = sample(folder, "weights.safetensors");
    assert!(told.contains("does not say which weights"), "{told}");
    // One for the same budget takes its place.
    calibrate(folder, "0.4");
    assert_eq!(reductions(folder), [0.4]);
    assert!(!sample(folder, "weights.safetensors").contains("passed over"));
}

fn start(folder: &Path, reductions: &str, stdout: Stdio) -> Child {
    command(PROGRAM, folder, &calibration(reductions))
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn two_that_calibrate_at_once_both_store_what_they_found() {
    let folder = folder();
    let folder = folder.path();
    let both = ["0.2", "0.3"].map(|share| start(folder, share, Stdio::null()));
    for child in both {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(reductions(folder), [0.2, 0.3, 0.4]);
}

#[test]
fn a_closed_output_loses_no_calibration() {
    let folder = folder();
    let folder = folder.path();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let output = start(folder, "0.2,0.3", writer.into());
    let output = output.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !told.contains("panicked"),
        "{told}"
    );
    assert_eq!(reductions(folder), [0.2, 0.3, 0.4]);
}
