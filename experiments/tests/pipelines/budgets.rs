//! Budgets in speed and in distance, from the command line to the threshold that is stored for them.

use std::fs;
use std::path::Path;

use adadiff_storage::sha256_file;
use serde_json::Value;

use crate::made::{bundled_weights, fail, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fashion_mnist");

/// Few steps of the bundled network, which stand for many.
const SAMPLING: &str = "--checkpoint weights.safetensors --steps 2 --batch 32";

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_distance_is_a_budget() {
    let folder = bundled_weights();
    let folder = folder.path();
    let increase = "--max-fd-increase 40%";
    let budget = format!("{SAMPLING} {increase} --budget-samples 96");
    // Several processes must not come to several thresholds.
    let parts = format!("evaluate {budget} --samples 128 --out parts --rank 0 --world-size 2");
    let told = fail(PROGRAM, folder, &parts);
    assert!(
        told.contains("`calibrate --max-fd-increase 40%` first"),
        "{told}"
    );

    let told = run(PROGRAM, folder, &format!("calibrate {budget}"));
    assert!(told.contains("40% above the full network's"), "{told}");
    let mut stored = json(&folder.join("calibration.json"))[0].take();
    // Outside the file of all weights it is told without them and the solver.
    let fields = stored.as_object_mut().unwrap();
    assert_eq!(
        fields.remove("solver").unwrap()["solver"],
        "dpm_solver_plus_plus"
    );
    let weights = fields.remove("weights_sha256");
    assert_eq!(
        weights.unwrap(),
        sha256_file(&folder.join("weights.safetensors")).unwrap()
    );
    let stored = &stored;
    let attainment = &stored["attainment"];
    let number = |name: &str| attainment[name].as_f64().unwrap();
    assert_eq!(attainment["budget"], "fd_increase");
    assert_eq!(attainment["asked"]["percent"], 40.0);
    assert_eq!(attainment["samples"], 96);
    assert!(number("measured") <= 1.4 * number("full"), "{attainment}");
    assert!(stored["reached"].as_f64().unwrap() > 0.0);
    // Neither was the threshold calibrated on the samples that it is judged on, nor on the run's.
    let seeds = [&stored["seed"], &attainment["seed"], &Value::from(0)];
    assert!(seeds[0] != seeds[1] && seeds[0] != seeds[2] && seeds[1] != seeds[2]);

    // What is stored is used; without the number of samples, too.
    let sample = format!("sample {SAMPLING} {increase} --samples 8 --out samples");
    let told = run(PROGRAM, folder, &sample);
    assert!(told.contains("40% above the full network's"), "{told}");
    assert_eq!(&json(&folder.join("samples/calibration.json")), stored);
    run(PROGRAM, folder, &parts);
    let part = fs::read_dir(folder.join("parts")).unwrap().next().unwrap();
    let part = json(&part.unwrap().path());
    assert_eq!(&part["settings"]["calibration"], stored);

    let few = format!("sample {SAMPLING} --max-fd-increase 0 --budget-samples 60");
    let told = fail(PROGRAM, folder, &few);
    assert!(
        told.contains("more than 64 samples, 60 were asked for"),
        "{told}"
    );
}

#[test]
fn a_speed_up_out_of_reach_is_told() {
    let folder = bundled_weights();
    // No device is so fast at the first of thirteen blocks.
    let sample = format!("sample {SAMPLING} --speedup 1000");
    let told = fail(PROGRAM, folder.path(), &sample);
    assert!(
        told.contains("a speed-up of 1000 was not reached on flex"),
        "{told}"
    );
}
