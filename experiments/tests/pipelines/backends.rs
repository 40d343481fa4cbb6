//! One checkpoint on several devices, whether they are there or not.

use std::fs;
#[cfg(unix)]
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::tempdir;

#[cfg(unix)]
use crate::made::command;
use crate::made::{fail, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fashion_mnist");

#[test]
fn devices_are_compared_and_missing_ones_are_told() {
    let folder = tempdir().unwrap();
    // The second is there under no circumstances.
    let backends = "backends --devices flex:1,flex --steps 2 --samples 4 --reduction 0.4";
    let told = run(
        PROGRAM,
        folder.path(),
        &format!("{backends} --out lines.jsonl"),
    );
    assert!(told.contains("flex: the reference"), "{told}");
    assert!(told.contains("flex:1: not usable"), "{told}");
    assert!(told.contains("only one flex device"), "{told}");
    let lines = fs::read_to_string(folder.path().join("lines.jsonl")).unwrap();
    let rows: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2);
    let row = &rows[0];
    assert_eq!(
        (&row["device"], &row["verdict"]),
        (&"flex".into(), &"reference".into())
    );
    assert_eq!((&row["samples"], &row["steps"]), (&4.into(), &2.into()));
    assert!(row["full_seconds_per_image"].as_f64().unwrap() > 0.0);
    assert!(row["block_reduction"].as_f64().unwrap() > 0.1);
    assert_eq!(rows[1]["verdict"], "unusable");
    assert!(rows[1].get("noise_difference").is_none());
}

#[test]
fn one_device_agrees_with_itself_to_the_last_bit() {
    let folder = tempdir().unwrap();
    let backends = "backends --devices flex,flex --steps 2 --samples 3 --reduction 0.4";
    let told = run(
        PROGRAM,
        folder.path(),
        &format!("{backends} --out lines.jsonl"),
    );
    assert!(told.contains("100.0 %"), "{told}");
    let lines = fs::read_to_string(folder.path().join("lines.jsonl")).unwrap();
    for line in lines.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        assert_eq!(row["noise_difference"], 0.0);
        assert_eq!(row["adaptive_image_difference"], 0.0);
    }
    let told = fail(PROGRAM, folder.path(), "backends --devices flex:1");
    assert!(told.contains("no device could be used"), "{told}");
}

#[cfg(unix)]
#[test]
fn a_signal_to_the_comparison_alone_ends_its_processes() {
    let folder = tempdir().unwrap();
    let endless = "backends --devices flex --samples 100000";
    let mut child = command(PROGRAM, folder.path(), endless)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(told.next().unwrap().unwrap(), "flex: sampling");
    thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    let signal = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(signal.unwrap().success());
    assert!(!child.wait().unwrap().success());
    assert!(start.elapsed() < Duration::from_secs(20));
    let told: Vec<String> = told.map(Result::unwrap).collect();
    assert!(told.concat().contains("interrupted"), "{told:?}");
}
