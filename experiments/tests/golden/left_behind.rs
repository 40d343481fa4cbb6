//! Files that the program left when these tests were written: thresholds, a process's part of an
//! evaluation and a comparison that was interrupted. They are read, and continued.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use tempfile::tempdir;

use crate::{FASHION_MNIST, path, printed};

/// The longest that a command may take to where it is stopped.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn thresholds_stay_as_they_are_beside_a_new_one() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("calibration.json");
    let golden = fs::read_to_string(path("calibration.json")).unwrap();
    fs::write(&file, &golden).unwrap();
    let options = ["--exit-rule", "threshold", "--reduction", "0.3"];
    let calibrate = ["calibrate", "--steps", "1", "--out", "calibration.json"];
    printed(
        FASHION_MNIST,
        folder.path(),
        &[&calibrate[..], &options].concat(),
    );
    // Those of fewer steps come first.
    let found = fs::read_to_string(&file).unwrap();
    let entries = golden.strip_prefix("[\n").unwrap();
    assert!(found.ends_with(&format!("  }},\n{entries}")), "{found}");
    let entries: Vec<Value> = serde_json::from_str(&found).unwrap();
    assert_eq!(entries.len(), 6);
    assert_eq!(entries[0]["steps"], 1);
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_part_of_an_evaluation_is_continued_and_merged() {
    let folder = tempdir().unwrap();
    let part = folder.path().join("part-00000-of-00001.json");
    fs::copy(path("evaluate/part-00000-of-00001.json"), &part).unwrap();
    let options = ["--samples", "257", "--steps", "2", "--depth", "1"];
    let evaluate = [&["evaluate", "--out", "."], &options[..]].concat();
    printed(FASHION_MNIST, folder.path(), &evaluate);
    let effort = &json(&part)["effort"];
    assert_eq!(
        *effort,
        serde_json::json!({"samples": 257, "evaluations": {"1": {"0": 514}}})
    );

    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fashion_mnist");
    let reference = assets.join("train_statistics.npz");
    let merge = ["merge", ".", "--reference", reference.to_str().unwrap()];
    let row = printed(FASHION_MNIST, folder.path(), &merge);
    let mut row: Value = serde_json::from_str(&row).unwrap();
    let distance = row["frechet_distance"].take().as_f64().unwrap();
    // All but one of the samples are the file's, and that one is nearly the same on every machine.
    assert!(
        (distance / 1677.5063557401056 - 1.0).abs() < 1e-6,
        "{distance}"
    );
    assert!(row["seconds_per_image"].take().as_f64().unwrap() >= 0.5 / 257.0);
    row["crate_version"].take();
    let expected = serde_json::json!({
        "experiment": "fashion_mnist", "method": "static", "depth": 1, "device": "flex",
        "dtype": "f32", "solver": "dpm_solver_plus_plus_2m", "steps": 2, "samples": 257,
        "batch": 64, "seed": 0, "exit_rule": null, "threshold": null, "target_reduction": null,
        "blocks_mean": 1.0, "blocks_total": 514, "blocks_per_prediction": 13,
        "block_reduction": 0.9230769230769231, "gflops_per_image": 0.057450496,
        "seconds_per_image": null, "speedup": null, "frechet_distance": null,
        "features": "fashion-cnn", "crate_version": null,
    });
    assert_eq!(row, expected);
}

/// The threshold that lies there leaves after the first block, which no calibration would choose, and
/// the one sample is grey.
#[test]
fn a_comparison_that_was_interrupted_goes_on_with_what_it_has() {
    let folder = tempdir().unwrap();
    let kept = folder.path().join(".run.unfinished/kept");
    fs::create_dir_all(&kept).unwrap();
    let names = ["settings.json", "calibration-0.4.json", "adadiff.json"];
    for name in names {
        fs::copy(path("unfinished").join(name), kept.join(name)).unwrap();
    }
    let mut child = Command::new(FASHION_MNIST)
        .current_dir(folder.path())
        .args(["--quick", "--steps", "2", "--exit-rule", "threshold"])
        .args(["--reduction", "0.4", "--out", "run"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let tally = kept.join("adadiff.json");
    let mut waited = Duration::ZERO;
    while json(&tally)["effort"]["samples"] != 96 {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it went on"
        );
        assert!(waited < PATIENCE, "it does not go on");
        let pause = Duration::from_millis(50);
        sleep(pause);
        waited += pause;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let tally = json(&tally);
    let evaluations = &tally["effort"]["evaluations"];
    assert_eq!(*evaluations, serde_json::json!({"1": {"1": 192}}));
    let pixels = tally["pixels"].as_array().unwrap();
    assert!(pixels[..1024].iter().all(|pixel| *pixel == 0.5));
    assert_eq!(pixels.len(), 96 * 1024);
    for name in &names[..2] {
        let golden = fs::read(path("unfinished").join(name)).unwrap();
        assert_eq!(fs::read(kept.join(name)).unwrap(), golden, "{name}");
    }
}
