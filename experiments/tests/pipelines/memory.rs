//! Memory that does not grow with a data set. Takes minutes, so it runs when it is asked for:
//!
//! ```sh
//! cargo test --release -p adadiff-experiments --test pipelines memory -- --ignored --nocapture
//! ```
//!
//! `ADADIFF_IMAGES` makes another number of images than 100,000.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use adadiff_experiments::presets::IMAGENET;
use adadiff_experiments::{DataSet, Preset};
use serde_json::Value;
use tempfile::tempdir;

use crate::made::{command, jpeg, picture, run, save_networks};

const IMAGENET_PROGRAM: &str = env!("CARGO_BIN_EXE_imagenet");

const IMAGES_PER_SHARD: usize = 500;

/// Images that are encoded at a time, and those of a training step.
const BATCH: usize = 50;

/// What memory may grow by from the first fifth of the images to the last, in MiB.
const GROWTH: f64 = 8.0;

fn images() -> usize {
    std::env::var("ADADIFF_IMAGES").map_or(100_000, |count| count.parse().unwrap())
}

/// A preset of images so small that many are encoded in little time.
fn preset() -> Preset {
    let mut preset = IMAGENET.preset(Some("imagenet-tiny")).unwrap();
    preset.data = DataSet::ImageNet { side: 8 };
    preset.model.backbone.image_size = 4;
    preset.backbone_training.flip = false;
    // As many steps as see every image once.
    preset.backbone_training.batch_size = BATCH;
    preset.backbone_training.steps = (images() / BATCH) as u64;
    preset.backbone_training.log_every = preset.backbone_training.steps / 20;
    preset.backbone_training.checkpoint_every = preset.backbone_training.steps;
    preset
}

/// Resident memory of a process that runs, in KiB.
fn resident_kib(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn shards(folder: &Path) -> usize {
    let files = fs::read_dir(folder).into_iter().flatten();
    let names = files.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.ends_with(".safetensors")).count()
}

#[test]
#[ignore = "takes minutes"]
fn prepare_and_training_take_the_same_memory_for_any_number_of_images() {
    let images = images();
    let folder = tempdir().unwrap();
    let folder = folder.path();
    for number in 0..images {
        let synset = ["n01440764", "n01443537", "n15075141"][number % 3];
        let synset = folder.join("train").join(synset);
        fs::create_dir_all(&synset).unwrap();
        let picture = picture(number, 20 + number as u32 % 7, 18 + number as u32 % 5);
        fs::write(synset.join(format!("{number}.JPEG")), jpeg(&picture)).unwrap();
    }
    save_networks(folder);
    fs::write(folder.join("small.toml"), preset().to_toml().unwrap()).unwrap();
    println!("{images} images are written");

    let prepare = format!(
        "prepare --preset small.toml --data train --autoencoder autoencoder.safetensors \
         --out latents --batch {BATCH} --images-per-shard {IMAGES_PER_SHARD}"
    );
    let mut child = command(IMAGENET_PROGRAM, folder, &prepare)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut seen, mut told) = (Vec::new(), 0);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        let done = shards(&folder.join("latents")) * IMAGES_PER_SHARD;
        if let Some(kib) = resident_kib(&child) {
            if done >= told {
                println!("{done} images: {:.1} MiB", kib as f64 / 1024.0);
                told = done + images / 20;
            }
            seen.push((done, kib));
        }
        sleep(Duration::from_millis(200));
    };
    assert!(status.success());
    let most = |from: f64, to: f64| {
        let share = |done: usize| done as f64 / images as f64;
        let part = seen
            .iter()
            .filter(|(done, _)| (from..to).contains(&share(*done)));
        part.map(|(_, kib)| *kib as f64 / 1024.0)
            .fold(0.0, f64::max)
    };
    let (first, last) = (most(0.02, 0.2), most(0.8, 1.1));
    println!("at most {first:.1} MiB in the first fifth, {last:.1} MiB in the last");
    assert!(
        first > 0.0 && last < first + GROWTH,
        "{first} MiB, then {last} MiB"
    );

    let train = "train --preset small.toml --latents latents --backbone-only --out run";
    run(IMAGENET_PROGRAM, folder, train);
    let log = fs::read_to_string(folder.join("run/backbone/training.jsonl")).unwrap();
    let peaks: Vec<f64> = log
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            println!("step {}: {} MiB", line["step"], line["peak_memory_mib"]);
            line["peak_memory_mib"].as_f64().unwrap()
        })
        .collect();
    let (first, last) = (peaks[peaks.len() / 5 - 1], peaks[peaks.len() - 1]);
    println!("training: at most {first:.0} MiB in the first fifth, {last:.0} MiB in all");
    assert!(last < first + GROWTH, "{first} MiB, then {last} MiB");
}
