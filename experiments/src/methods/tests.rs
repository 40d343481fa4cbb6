//! Every method, prepared for a tiny network with initial weights.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use adadiff_metrics::{Gaussian, write_statistics};
use adadiff_sampler::{SolverConfig, UniPc};
use adadiff_train::weights::{Precision, save};
use adadiff_uem::AdaDiff;
use burn_flex::Flex;
use indicatif::ProgressBar;

use super::*;
use crate::calibrations::ExitRule;
use crate::checkpoint::{BACKBONE_PHASE, Checkpoint, PHASE_KEY, PRESET_KEY};
use crate::judge::{FeatureName, JudgeOptions, Yardstick};
use crate::presets::Preset;
use crate::study::{Contexts, Drawn, Study};

const SAMPLES: usize = 8;

/// Steps of the preset.
const STEPS: usize = 6;

fn preset(variant: Option<&str>) -> Preset {
    let preset = Preset::parse(include_str!("../../presets/cifar10-tiny.toml")).unwrap();
    match variant {
        Some(variant) => preset.variant(variant).unwrap().unwrap(),
        None => preset,
    }
}

/// Writes the initial weights of a preset.
fn write(folder: &std::path::Path, name: &str, preset: &Preset, phase: &str) {
    let model: AdaDiff<Flex> = preset.model.init(3, &Default::default()).unwrap();
    let metadata = [
        (PHASE_KEY, phase.to_owned()),
        (PRESET_KEY, preset.to_toml().unwrap()),
    ];
    let path = folder.join(format!("{name}.safetensors"));
    save(&model, Precision::Single, &metadata, &path).unwrap();
}

/// The study of a tiny network, with or without the second networks beside it.
pub(crate) fn study(stop: &AtomicBool, companions: bool) -> Study<'_, Flex> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "weights", &preset(None), "joint");
    if companions {
        let shallow = preset(Some("shallow"));
        write(folder.path(), "shallow", &shallow, BACKBONE_PHASE);
        let learned = preset(Some("learned-exit"));
        write(folder.path(), "learned-exit", &learned, "joint");
    }
    let weights = folder.path().join("weights.safetensors");
    let checkpoint = Checkpoint::read(&weights, None, &[]).unwrap();
    Study::new(checkpoint, Default::default(), stop).unwrap()
}

fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

/// Samples in batches of `batch`, and the mean blocks and GFLOPs of an image.
fn draw(study: &Study<'_, Flex>, method: Method, batch: usize) -> (Drawn, f64, f64) {
    let bar = ProgressBar::hidden();
    let prepared = method.prepare(study, &bar).unwrap();
    let mut draw = study.plan(SAMPLES).unwrap();
    draw.batch = batch;
    let drawn = prepared.draw(study, &draw, &bar).unwrap();
    let cost = prepared.cost(&drawn.effort).unwrap();
    (drawn, cost.blocks_mean, cost.gflops_per_image)
}

#[test]
fn methods_run_the_blocks_that_their_knobs_ask_for() {
    println!("device: flex");
    let stop = AtomicBool::new(false);
    let study = study(&stop, true);
    let (full, blocks, full_gflops) = draw(&study, Method::Full, SAMPLES);
    assert_eq!(blocks, 5.0);
    let flops = study.preset.model.backbone.flops();
    assert!((full_gflops - STEPS as f64 * flops.total() / 1e9).abs() < 1e-12);

    let shallow = preset(Some("shallow")).model.backbone.flops().total();
    let (_, cached) = study.preset.model.backbone.cached_evaluation();
    let merged = study.preset.model.backbone.merged_flops(0.5).total();
    let total = flops.total();
    for (method, blocks, gflops) in [
        (
            Method::StaticDepth { depth: count(2) },
            2.0,
            6.0 * (total - flops.blocks[2..].iter().sum::<f64>()),
        ),
        (Method::FewerSteps { steps: count(3) }, 5.0, 3.0 * total),
        (
            Method::FeatureCache { interval: count(2) },
            3.5,
            3.0 * (total + cached),
        ),
        (Method::TokenMerging { ratio: 0.5 }, 5.0, 6.0 * merged),
        (
            Method::DuoDiff { switch: 0.5 },
            4.0,
            3.0 * (total + shallow),
        ),
    ] {
        let (drawn, found, found_gflops) = draw(&study, method, SAMPLES);
        assert_eq!(found, blocks, "{method}");
        assert!((found_gflops - gflops / 1e9).abs() < 1e-9, "{method}");
        assert_ne!(drawn.pixels, full.pixels, "{method}");
    }
    for method in [
        Method::StaticDepth { depth: count(5) },
        Method::FeatureCache { interval: count(1) },
        Method::TokenMerging { ratio: 0.0 },
        Method::DuoDiff { switch: 0.0 },
        Method::FewerSteps {
            steps: count(STEPS),
        },
    ] {
        let (drawn, ..) = draw(&study, method, SAMPLES);
        assert_eq!(drawn.pixels, full.pixels, "{method} saves nothing");
    }
}

#[test]
fn exits_meet_their_budgets_and_a_sample_stays_the_same_in_any_batch() {
    println!("device: flex");
    let stop = AtomicBool::new(false);
    let study = study(&stop, true);
    let reduction = 0.4;
    let rule = |rule| Method::AdaDiff { rule, reduction };
    for (method, independent) in [
        (rule(ExitRule::Threshold), true),
        (rule(ExitRule::Excess), true),
        (rule(ExitRule::Schedule), true),
        (rule(ExitRule::Allocated), true),
        (Method::Saturation { reduction }, true),
        (Method::LearnedExit { reduction }, true),
        (Method::DepthDrop { reduction }, true),
        (Method::FeatureCache { interval: count(2) }, true),
        (Method::TokenMerging { ratio: 0.5 }, true),
        (Method::Published { reduction }, false),
    ] {
        let (whole, blocks, _) = draw(&study, method, SAMPLES);
        if let Some(reduction) = method.reduction() {
            let found = 1.0 - blocks / 5.0;
            println!("{method}: {found:.3}");
            // Measured: 0.40 to 0.46, and 0.50 of the batch's mean, where all samples leave together.
            // Untrained, the single number that BERxiT has for a sample hardly tells samples apart, so
            // many leave at once: 0.65.
            let above = match method {
                Method::LearnedExit { .. } => 0.3,
                _ => 0.11,
            };
            let range = reduction - 0.01..reduction + above;
            assert!(range.contains(&found), "{method}: {found}");
        }
        let (parts, ..) = draw(&study, method, 3);
        let pixels = whole.pixels.iter().zip(&parts.pixels);
        let farthest = pixels.fold(0.0, |most: f32, (a, b)| most.max((a - b).abs()));
        if independent {
            assert!(farthest < 1e-3, "{method}: {farthest}");
        }
    }
}

#[test]
fn blocks_are_shared_out_by_a_distance_where_there_is_something_to_measure_it_by() {
    println!("device: flex");
    let stop = AtomicBool::new(false);
    let study = study(&stop, false);
    let bar = ProgressBar::hidden();
    let method = Method::AdaDiff {
        rule: ExitRule::Distance,
        reduction: 0.4,
    };
    let Err(error) = method.prepare(&study, &bar) else {
        panic!("there is nothing to measure by");
    };
    let error = format!("{error:#}");
    assert!(
        error.contains("`--exit-rule allocated` needs neither"),
        "{error}"
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grey.npz");
    let study = study.with_yardstick(grey_images(&path, 3));
    let prepared = method.prepare(&study, &bar).unwrap();
    let calibration = prepared.calibration.as_ref().unwrap();
    assert_eq!(calibration.exit_rule, ExitRule::Distance);
    assert_eq!(calibration.windows.len(), STEPS);
    // It may skip more than it was asked for, where samples come closer by that.
    assert!(calibration.reached >= 0.39, "{}", calibration.reached);
    let (_, blocks, _) = draw(&study, method, SAMPLES);
    assert!(
        (1.0 - blocks / 5.0 - calibration.reached).abs() < 0.11,
        "{blocks}"
    );
    // It is told from one by other statistics.
    let name = measured_by(&path).name(study.preset.data).unwrap();
    assert_eq!(calibration.yardstick, name);
    assert!(name.is_some());
}

/// Measures by the mean colours of 4 x 4 areas and the statistics at `path`.
fn measured_by(path: &std::path::Path) -> Yardstick {
    Yardstick {
        judge: JudgeOptions {
            features: Some(FeatureName::Pixels),
            reference: Some(path.to_owned()),
            ..JudgeOptions::default()
        },
        ..Yardstick::default()
    }
}

/// Grey images of so many channels: the colours of their areas have mean 0, each of them its own small
/// variance.
fn grey_images(path: &std::path::Path, channels: usize) -> Yardstick {
    let dims = 16 * channels;
    let covariance = (0..dims * dims).map(|place| match place % (dims + 1) {
        0 => 0.01,
        _ => 0.0,
    });
    let grey = Gaussian::new(vec![0.0; dims], covariance.collect()).unwrap();
    write_statistics(std::fs::File::create(path).unwrap(), &grey).unwrap();
    measured_by(path)
}

/// So many prompts, of seven kinds.
struct Prompts(usize);

impl Contexts for Prompts {
    fn len(&self) -> usize {
        self.0
    }

    fn size(&self) -> [usize; 2] {
        [77, 16]
    }

    fn context(&self, prompt: usize) -> Vec<f32> {
        vec![(prompt % 7) as f32 / 7.0; 77 * 16]
    }

    fn empty(&self) -> Vec<f32> {
        vec![0.0; 77 * 16]
    }
}

#[test]
fn a_few_prompts_are_no_data_set() {
    println!("device: flex");
    let stop = AtomicBool::new(false);
    let preset = Preset::parse(include_str!("../../presets/coco-tiny.toml")).unwrap();
    assert!(preset.sampling.guidance > 0.0);
    let model: AdaDiff<Flex> = preset.model.init(3, &Default::default()).unwrap();
    let study = Study::of_model(model, preset, Default::default(), &stop);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grey.npz");
    let study = study.with_yardstick(grey_images(&path, 4));
    let bar = ProgressBar::hidden();
    let calibrate = |study: &Study<'_, Flex>, reduction| {
        let budget = crate::calibrations::Budget {
            exit_rule: ExitRule::Distance,
            ..study.budget(reduction)
        };
        study.calibrate(budget, &bar)
    };

    let study = study.with_contexts(Some(Arc::new(Prompts(3))));
    let error = calibrate(&study, 0.4).unwrap_err().to_string();
    assert!(
        error.contains("so few prompts (3) tell too little"),
        "{error}"
    );

    let study = study.with_contexts(Some(Arc::new(Prompts(500))));
    let calibration = calibrate(&study, 0.4).unwrap();
    assert!(calibration.reached >= 0.39, "{}", calibration.reached);
    assert_eq!(calibration.guidance, study.preset.sampling.guidance);

    // What was measured is kept: neither another budget nor another solver opens the statistics again.
    let name = calibration.yardstick;
    std::fs::write(path, "no statistics").unwrap();
    let again = study.with_solver(SolverConfig::UniPc(UniPc::default()), 3);
    for calibration in [calibrate(&study, 0.6), calibrate(&again, 0.6)] {
        let calibration = calibration.unwrap();
        assert!(calibration.reached >= 0.59, "{}", calibration.reached);
        assert!(calibration.yardstick.is_some() && calibration.yardstick == name);
    }
}

#[test]
fn a_missing_network_is_named_with_the_command_that_makes_it() {
    let stop = AtomicBool::new(false);
    let study = study(&stop, false);
    let bar = ProgressBar::hidden();
    for (method, told) in [
        (
            Method::DuoDiff { switch: 0.5 },
            "`train --preset cifar10-tiny-shallow --backbone-only`",
        ),
        (
            Method::LearnedExit { reduction: 0.5 },
            "`train --preset cifar10-tiny-learned-exit --backbone WEIGHTS`",
        ),
    ] {
        assert!(method.companion().is_some());
        let Err(error) = method.prepare(&study, &bar) else {
            panic!("{method} needs another network")
        };
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn second_networks_must_suit_the_first() {
    let stop = AtomicBool::new(false);
    let folder = tempfile::tempdir().unwrap();
    let mut other = preset(Some("shallow"));
    other.model.backbone.channels = 1;
    write(folder.path(), "weights", &preset(None), "joint");
    write(folder.path(), "shallow", &other, BACKBONE_PHASE);
    let weights = folder.path().join("weights.safetensors");
    let checkpoint = Checkpoint::read(&weights, None, &[]).unwrap();
    let Err(error) = Study::<Flex>::new(checkpoint, Default::default(), &stop) else {
        panic!("it draws images of another kind")
    };
    assert!(
        error.to_string().contains("does not suit the network"),
        "{error}"
    );
}
