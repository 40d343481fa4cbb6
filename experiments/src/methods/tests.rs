//! Every method, prepared for a tiny network with initial weights.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::Arc;

use adadiff_metrics::{FeatureOrigin, Gaussian, write_statistics};
use adadiff_model::DecisionScope;
use adadiff_pipeline::{
    CalibrationKey, Contexts, ExitRule, ExitSetting, Generated, Monitor, SampleStats, Silent,
};
use adadiff_sampler::{SolverConfig, UniPc};
use adadiff_storage::ResumeStore;
use adadiff_uem::AdaDiff;
use adadiff_weights::native::{WeightPrecision, save};
use burn_flex::Flex;

use super::*;
use crate::checkpoint::LoadedCheckpoint;
use crate::checkpoint::{BACKBONE_PHASE, Checkpoint, PHASE_KEY, PRESET_KEY};
use crate::evaluator::{DataSetReference, EvaluatorOptions, FeatureName};
use crate::presets::Preset;

const SAMPLES: usize = 8;

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
    write_as(folder, name, preset, phase, 3, WeightPrecision::Single);
}

fn write_as(
    folder: &std::path::Path,
    name: &str,
    preset: &Preset,
    phase: &str,
    seed: u64,
    precision: WeightPrecision,
) {
    let model: AdaDiff<Flex> = preset.model.init(seed, &Default::default()).unwrap();
    let metadata = [
        (PHASE_KEY, phase.to_owned()),
        (PRESET_KEY, preset.to_toml().unwrap()),
    ];
    let path = folder.join(format!("{name}.safetensors"));
    save(&model, precision, &metadata, &path).unwrap();
}

/// A tiny network on the device, with or without the second networks beside it.
pub(crate) fn loaded(baselines: bool) -> LoadedCheckpoint<Flex> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "weights", &preset(None), "joint");
    if baselines {
        let shallow = preset(Some("shallow"));
        write(folder.path(), "shallow", &shallow, BACKBONE_PHASE);
        let learned = preset(Some("learned-exit"));
        write(folder.path(), "learned-exit", &learned, "joint");
    }
    let weights = folder.path().join("weights.safetensors");
    let checkpoint = Checkpoint::read(&weights, None, &[]).unwrap();
    LoadedCheckpoint::new(checkpoint, Default::default()).unwrap()
}

fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

/// Samples in batches of `batch`, and the mean blocks and GFLOPs of an image.
fn draw(loaded: &LoadedCheckpoint<Flex>, method: Method, batch: usize) -> (Generated, f64, f64) {
    let prepared = method.prepare(loaded, &Silent).unwrap();
    let mut draw = loaded.plan(SAMPLES).unwrap();
    draw.batch = batch;
    let drawn = prepared.draw(loaded.pipeline(), &draw, &Silent).unwrap();
    let cost = prepared.cost(&drawn.counts).unwrap();
    (drawn, cost.blocks_mean, cost.gflops_per_image)
}

#[test]
fn methods_run_the_blocks_that_their_knobs_ask_for() {
    println!("device: flex");
    let loaded = loaded(true);
    let (full, blocks, full_gflops) = draw(&loaded, Method::Full, SAMPLES);
    assert_eq!(blocks, 5.0);
    let flops = loaded.preset().model.backbone.flops();
    assert!((full_gflops - STEPS as f64 * flops.total() / 1e9).abs() < 1e-12);

    let shallow = preset(Some("shallow")).model.backbone.flops().total();
    let (_, cached) = loaded.preset().model.backbone.cached_evaluation();
    let merged = loaded.preset().model.backbone.merged_flops(0.5).total();
    let forecast = loaded.preset().model.backbone.forecast_flops();
    let (_, verified) = loaded.preset().model.backbone.verified_evaluation();
    let total = flops.total();
    let backbone = &loaded.preset().model.backbone;
    let compared = 6.0 * (backbone.patches() * backbone.width) as f64;
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
        // Two of six steps at first and the last one are full.
        (
            Method::EasyCache {
                tolerance: 1e9,
                scope: DecisionScope::Sample,
            },
            2.5,
            3.0 * total,
        ),
        // The steps 0, 1 and 4.
        (
            Method::TaylorSeer {
                interval: count(3),
                order: 1,
            },
            2.5,
            3.0 * (total + forecast),
        ),
        // Two full steps and four forecasts, the second and third of which are verified, as the last one
        // is followed by none.
        (
            Method::SpeCa {
                tolerance: 1e9,
                scope: DecisionScope::Batch,
            },
            14.0 / 6.0,
            2.0 * (total + forecast + verified),
        ),
        // The first step, in which nothing is known to compare the first block's movement with.
        (
            Method::FirstBlockCache { tolerance: 1e9 },
            2.5,
            total + 5.0 * cached + 6.0 * compared,
        ),
        // The warm-up is the first step.
        (
            Method::DbCache { tolerance: 1e9 },
            2.5,
            total + 5.0 * (cached + compared),
        ),
    ] {
        let (drawn, found, found_gflops) = draw(&loaded, method, SAMPLES);
        assert_eq!(found, blocks, "{method}");
        assert!((found_gflops - gflops / 1e9).abs() < 1e-9, "{method}");
        assert_ne!(drawn.pixels, full.pixels, "{method}");
    }
    for method in [
        Method::StaticDepth { depth: count(5) },
        Method::FeatureCache { interval: count(1) },
        Method::TokenMerging { ratio: 0.0 },
        Method::DuoDiff { switch: 0.0 },
        Method::EasyCache {
            tolerance: 0.0,
            scope: DecisionScope::Batch,
        },
        Method::TaylorSeer {
            interval: count(1),
            order: 3,
        },
        Method::FewerSteps {
            steps: count(STEPS),
        },
    ] {
        let (drawn, ..) = draw(&loaded, method, SAMPLES);
        assert_eq!(drawn.pixels, full.pixels, "{method} saves nothing");
    }
}

#[test]
fn exits_meet_their_budgets_and_a_sample_stays_the_same_in_any_batch() {
    println!("device: flex");
    let loaded = loaded(true);
    let reduction = 0.4;
    let rule = |rule| Method::AdaDiff { rule, reduction };
    for (method, independent) in [
        (rule(ExitRule::Threshold), true),
        (rule(ExitRule::Schedule), true),
        (rule(ExitRule::Allocated), true),
        (Method::Saturation { reduction }, true),
        (Method::LearnedExit { reduction }, true),
        (Method::DepthDrop { reduction }, true),
        (Method::FeatureCache { interval: count(2) }, true),
        (Method::TokenMerging { ratio: 0.5 }, true),
        (
            Method::EasyCache {
                tolerance: 0.1,
                scope: DecisionScope::Sample,
            },
            true,
        ),
        (
            Method::SpeCa {
                tolerance: 0.1,
                scope: DecisionScope::Sample,
            },
            true,
        ),
        (Method::FirstBlockCache { tolerance: 0.1 }, true),
        (Method::DbCache { tolerance: 0.1 }, true),
        (Method::Oracle { reduction }, true),
        (Method::Published { reduction }, false),
    ] {
        let (whole, blocks, _) = draw(&loaded, method, SAMPLES);
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
        let (parts, ..) = draw(&loaded, method, 3);
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
    let without_weights = DataSetReference {
        options: EvaluatorOptions {
            features: Some(FeatureName::Inception),
            ..EvaluatorOptions::default()
        },
        ..DataSetReference::default()
    };
    let loaded = measuring_by(loaded(false), without_weights, None);
    let method = Method::AdaDiff {
        rule: ExitRule::Distance,
        reduction: 0.4,
    };
    let Err(error) = method.prepare(&loaded, &Silent) else {
        panic!("there is nothing to measure by");
    };
    let error = format!("{error:#}");
    assert!(
        error.contains("`--exit-rule allocated` needs neither"),
        "{error}"
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grey.npz");
    let loaded = measuring_by(loaded, grey_images(&path, 3), None);
    let prepared = method.prepare(&loaded, &Silent).unwrap();
    let calibration = prepared.calibration.as_ref().unwrap();
    let ExitSetting::Distance {
        windows, reference, ..
    } = &calibration.exits
    else {
        panic!("{:?}", calibration.exits)
    };
    assert_eq!(windows.len(), STEPS);
    // It may skip more than it was asked for, where samples come closer by that.
    assert!(calibration.reached >= 0.39, "{}", calibration.reached);
    let (_, blocks, _) = draw(&loaded, method, SAMPLES);
    assert!(
        (1.0 - blocks / 5.0 - calibration.reached).abs() < 0.11,
        "{blocks}"
    );
    // It is told from one by other statistics.
    let id = measured_by(&path).id(loaded.preset().data).unwrap();
    assert_eq!(*reference, id);
    assert!(id.is_some());
}

/// Measures by the mean colours of 4 x 4 areas and the statistics at `path`.
fn measured_by(path: &std::path::Path) -> DataSetReference {
    DataSetReference {
        options: EvaluatorOptions {
            features: Some(FeatureName::Pixels),
            reference: Some(path.to_owned()),
            ..EvaluatorOptions::default()
        },
        ..DataSetReference::default()
    }
}

/// Grey images of so many channels: the colours of their areas have mean 0, each of them its own small
/// variance.
fn grey_images(path: &std::path::Path, channels: usize) -> DataSetReference {
    let dims = 16 * channels;
    let covariance = (0..dims * dims).map(|place| match place % (dims + 1) {
        0 => 0.01,
        _ => 0.0,
    });
    let grey = Gaussian::new(vec![0.0; dims], covariance.collect()).unwrap();
    let file = std::fs::File::create(path).unwrap();
    write_statistics(file, &grey, &FeatureOrigin::default()).unwrap();
    measured_by(path)
}

/// The same checkpoint, whose calibrations measure by this.
fn measuring_by(
    loaded: LoadedCheckpoint<Flex>,
    reference: DataSetReference,
    contexts: Option<Arc<dyn Contexts>>,
) -> LoadedCheckpoint<Flex> {
    let reference = Arc::new(reference.of_calibrations(loaded.preset().data));
    loaded.with_components(None, contexts, reference)
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
    let preset = Preset::parse(include_str!("../../presets/coco-tiny.toml")).unwrap();
    assert!(preset.sampling.guidance > 0.0);
    let model: AdaDiff<Flex> = preset.model.init(3, &Default::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grey.npz");
    let reference = grey_images(&path, 4);
    let loaded = |prompts: usize| {
        let loaded = LoadedCheckpoint::of_model(model.clone(), preset.clone(), Default::default());
        measuring_by(loaded, reference.clone(), Some(Arc::new(Prompts(prompts))))
    };
    let calibrate = |loaded: &LoadedCheckpoint<Flex>, reduction| {
        let calibrator = loaded.calibrator();
        let key = CalibrationKey {
            exit_rule: ExitRule::Distance,
            ..calibrator.key(reduction)
        };
        calibrator.calibrate(key, &Silent)
    };

    let error = calibrate(&loaded(3), 0.4).unwrap_err().to_string();
    assert!(
        error.contains("so few prompts (3) tell too little"),
        "{error}"
    );

    let loaded = loaded(500);
    let calibration = calibrate(&loaded, 0.4).unwrap();
    assert!(calibration.reached >= 0.39, "{}", calibration.reached);
    assert_eq!(calibration.guidance, preset.sampling.guidance);

    // What was measured is kept: neither another budget nor another solver opens the statistics again.
    let id = calibration.exits.reference().cloned();
    std::fs::write(path, "no statistics").unwrap();
    let again = loaded.with_solver(SolverConfig::UniPc(UniPc::default()), 3);
    for calibration in [calibrate(&loaded, 0.6), calibrate(&again, 0.6)] {
        let calibration = calibration.unwrap();
        assert!(calibration.reached >= 0.59, "{}", calibration.reached);
        assert!(id.is_some() && calibration.exits.reference() == id.as_ref());
    }
}

#[test]
fn a_missing_network_is_named_with_the_command_that_makes_it() {
    let loaded = loaded(false);
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
        assert!(method.baseline().is_some());
        let Err(error) = method.prepare(&loaded, &Silent) else {
            panic!("{method} needs another network")
        };
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn second_networks_must_suit_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = preset(Some("shallow"));
    other.model.backbone.channels = 1;
    write(folder.path(), "weights", &preset(None), "joint");
    write(folder.path(), "shallow", &other, BACKBONE_PHASE);
    let weights = folder.path().join("weights.safetensors");
    let checkpoint = Checkpoint::read(&weights, None, &[]).unwrap();
    let Err(error) = LoadedCheckpoint::<Flex>::new(checkpoint, Default::default()) else {
        panic!("it draws images of another kind")
    };
    assert!(
        error.to_string().contains("does not suit the network"),
        "{error}"
    );
}

#[test]
fn exits_are_learned_of_the_very_weights_that_they_serve() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("weights.safetensors");
    let refused = |seed| {
        // Half precision, as files of weights are: it rounds the backbone that was trained on.
        let stored = [
            ("weights", None, 3),
            ("learned-exit", Some("learned-exit"), seed),
        ];
        for (name, variant, seed) in stored {
            let preset = preset(variant);
            let precision = match variant {
                Some(_) => WeightPrecision::Half,
                None => WeightPrecision::Single,
            };
            write_as(folder.path(), name, &preset, "joint", seed, precision);
        }
        let checkpoint = Checkpoint::read(&weights, None, &[]).unwrap();
        let loaded = LoadedCheckpoint::<Flex>::new(checkpoint, Default::default());
        loaded.err().map(|error| error.to_string())
    };
    assert_eq!(refused(3), None);
    let error = refused(4).unwrap();
    assert!(error.contains("was trained on other weights"), "{error}");
}

/// Ends work after so many evaluations of single samples.
struct EndsAfter {
    most: u64,
    done: Cell<u64>,
}

impl Monitor for EndsAfter {
    fn advance(&self, evaluations: u64) {
        self.done.set(self.done.get() + evaluations);
    }

    fn stopped(&self) -> bool {
        self.done.get() >= self.most
    }
}

#[test]
fn a_row_resumes_within_its_samples() {
    println!("device: flex");
    let loaded = loaded(false);
    let folder = tempfile::tempdir().unwrap();
    let reference = grey_images(&folder.path().join("grey.npz"), 3);
    let pipeline = loaded.pipeline();
    let evaluator = reference
        .evaluator(
            loaded.preset().data,
            pipeline.image_shape(),
            pipeline.device(),
        )
        .unwrap();
    // Kept after 256 samples, of which one evaluation each is enough.
    let method = Method::FewerSteps { steps: count(1) };
    let prepared = method.prepare(&loaded, &Silent).unwrap();
    let draw = loaded.plan(300).unwrap();
    let judge = |name: &str, monitor: &dyn Monitor| {
        let store = ResumeStore::open(folder.path().join(name), &"these samples").unwrap();
        prepared.evaluate(pipeline, &evaluator, &draw, &store, monitor)
    };
    let ends_after = |most| EndsAfter {
        most,
        done: Cell::new(0),
    };
    let whole = judge("whole", &Silent).unwrap();
    assert!(judge("resumed", &ends_after(260)).is_err());
    // The first 256 count as done at once; the rest is 44.
    let monitor = ends_after(u64::MAX);
    let resumed = judge("resumed", &monitor).unwrap();
    assert_eq!(monitor.done.get(), 300);
    assert_eq!(resumed.counts, whole.counts);
    assert_eq!(resumed.pixels, whole.pixels);
    let distance = |stats: &SampleStats| evaluator.frechet_distance(&stats.statistics).unwrap();
    assert_eq!(distance(&resumed), distance(&whole));
}
