//! Presets as `train --dry-run` prints them: their text is part of the keys of measured rows and of
//! the settings that an interrupted run must find again.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::{PROGRAMS, assert_golden};

/// Networks of every kind: on pixels and latents, by class and by text, and a variant.
const PRESETS: [(&str, &str); 5] = [
    ("fashion_mnist", "fashion_mnist"),
    ("fashion_mnist", "fashion_mnist-own-heads"),
    ("cifar10", "cifar10-tiny"),
    ("coco", "coco-tiny"),
    ("imagenet", "imagenet-tiny"),
];

/// The preset that a program prints before it measures the device.
fn preset(program: &str, name: &str) -> String {
    let mut child = Command::new(program)
        .args(["train", "--dry-run", "--preset", name])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let lines = lines.map(Result::unwrap);
    let preset: Vec<String> = lines
        .take_while(|line| !line.starts_with("parameters:"))
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    preset.join("\n") + "\n"
}

#[test]
fn presets_are_printed_as_ever() {
    for (program, name) in PRESETS {
        let (_, path) = PROGRAMS
            .into_iter()
            .find(|(known, _)| *known == program)
            .unwrap();
        assert_golden(&format!("presets/{name}.toml"), &preset(path, name));
    }
}
