//! The published code's numbers against ours, on every device that was compiled in.
//!
//! Walks a folder of reference fixtures, `tests/fixtures` or the one in the environment variable
//! `ADADIFF_FIXTURES`, builds everything from each fixture's `config.json`, and compares every tensor
//! within the tolerances that the fixtures' description recommends.

mod adaptive_sampler;
mod algorithm;
mod autoencoder;
mod clip_text;
mod clip_tokenizer;
mod exit;
mod fid;
mod fixture;
mod import;
mod inception;
mod loss;
mod network;
mod report;
mod sampler;
mod schedule;
mod uvit;

use std::io::Write;
use std::path::PathBuf;

use adadiff_backends::{DeviceName, DeviceTask, run_on};
use adadiff_model::kernels::Kernels;
use adadiff_tests::devices_under_test;
use anyhow::{Result, bail};

use crate::fixture::Fixture;
use crate::report::FixtureReport;

fn folder() -> PathBuf {
    match std::env::var_os("ADADIFF_FIXTURES") {
        Some(folder) => folder.into(),
        None => concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures").into(),
    }
}

/// Compares a fixture of tensor code.
#[derive(Clone, Copy)]
struct Check<'a>(&'a Fixture);

impl DeviceTask for Check<'_> {
    type Output = Result<FixtureReport>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<FixtureReport> {
        let fixture = self.0;
        match fixture.kind() {
            "uvit" | "uvit_t2i" => uvit::check::<B>(fixture, &device),
            "exit" => exit::check::<B>(fixture, &device),
            "loss" => loss::check::<B>(fixture, &device),
            "sampler" => sampler::check::<B>(fixture, &device),
            "adaptive_sampler" => adaptive_sampler::check::<B>(fixture, &device),
            "inception" => inception::check::<B>(fixture, &device),
            "autoencoder" => autoencoder::check::<B>(fixture, &device),
            "clip_text" => clip_text::check::<B>(fixture, &device),
            kind => bail!("nothing is known of fixtures of the kind '{kind}'"),
        }
    }
}

/// Compares a fixture, on the host if its kind needs no device.
fn check(fixture: &Fixture, devices: &[DeviceName]) -> Vec<(String, Result<FixtureReport>)> {
    let host = |report| vec![("the host".to_owned(), report)];
    match fixture.kind() {
        "schedule" => host(schedule::check(fixture)),
        "fid" => host(fid::check(fixture)),
        "clip_tokenizer" => host(clip_tokenizer::check(fixture)),
        kind => devices
            .iter()
            .filter(|device| !is_left_out(kind, **device))
            .map(|&device| (device.to_string(), run_on(device, Check(fixture))))
            .collect(),
    }
}

/// Whether `ADADIFF_LEFT_OUT`, a list such as `inception:wgpu`, names a kind of fixture on a device:
/// FID's network takes a software device a quarter of an hour.
fn is_left_out(kind: &str, device: DeviceName) -> bool {
    let list = std::env::var("ADADIFF_LEFT_OUT").unwrap_or_default();
    let is_listed = list
        .split(',')
        .any(|entry| entry == format!("{kind}:{device}"));
    if is_listed {
        let _ = writeln!(std::io::stdout(), "{kind} is left out on {device}");
    }
    is_listed
}

#[test]
fn numbers_are_the_published_ones() {
    let folder = folder();
    let fixtures = Fixture::all(&folder).unwrap();
    assert!(!fixtures.is_empty(), "no fixtures in {}", folder.display());
    let devices = devices_under_test();
    let mut failures = Vec::new();
    for fixture in &fixtures {
        for (place, report) in check(fixture, &devices) {
            let line = match &report {
                Ok(report) => report.to_string(),
                Err(error) => format!("{error:#}"),
            };
            let line = format!("{} on {place}: {line}", fixture.name());
            // Past the test harness, which would swallow it; a closed output is no failure.
            let _ = writeln!(std::io::stdout(), "{line}");
            if report.map_or(true, |report| report.has_failed()) {
                failures.push(line);
            }
        }
    }
    assert!(
        failures.is_empty(),
        "not the published numbers:\n{}",
        failures.join("\n")
    );
}

#[test]
fn an_unknown_kind_fails() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("new")).unwrap();
    std::fs::write(
        folder.path().join("new/config.json"),
        r#"{"name": "new", "kind": "discriminator", "files": {}}"#,
    )
    .unwrap();
    let fixtures = Fixture::all(folder.path()).unwrap();
    for (_, report) in check(&fixtures[0], &devices_under_test()) {
        let error = report.err().unwrap().to_string();
        assert!(error.contains("kind 'discriminator'"), "{error}");
    }
}
