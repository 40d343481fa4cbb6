//! The bundled checkpoint draws the same images on every device, and leaves at the same blocks.

use std::path::Path;

use adadiff_backends::{DeviceTask, Precision, run_on};
use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser};
use adadiff_pipeline::{Calibrator, NetworkFile, Pipeline, SampleSpec, Silent};
use adadiff_sampler::NoiseStream;
use adadiff_tests::{announce, assert_close, devices_under_test, reference_device, values};
use adadiff_uem::{AdaptiveUVit, FullDepth};
use anyhow::{Context, Result};
use burn::tensor::{Tensor, TensorData};

/// The bundled weights, with their thresholds beside them.
const WEIGHTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../experiments/assets/fashion_mnist/weights.safetensors"
);

/// Few, as a software device takes a second for each step of one.
const SAMPLES: usize = 5;

const STEPS: usize = 5;

/// On noise predictions of a few units.
const NOISE_TOLERANCE: f32 = 1e-4;

/// On pixels in `[-1, 1]`, after steps that pass differences on.
const PIXEL_TOLERANCE: f32 = 1e-3;

/// A decision may differ where an uncertainty lies within rounding of its threshold.
const DIFFERING_EXITS: usize = 1;

/// What a device makes of the bundled checkpoint.
struct Drawn {
    /// The full network's noise predictions, timestep by timestep.
    noise: Vec<Vec<f32>>,
    /// The full network's samples.
    full: Vec<f32>,
    /// Blocks run by each sample in each step under the bundled calibration.
    exits: Vec<u32>,
    /// The samples drawn so, one by one.
    adaptive: Vec<Vec<f32>>,
}

#[derive(Clone, Copy)]
struct DrawBundled;

impl DeviceTask for DrawBundled {
    type Output = Result<Drawn>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<Drawn> {
        let mut pipeline = Pipeline::<B>::open(WEIGHTS, device.clone())?;
        // The stored thresholds are for more steps; they leave at many depths in fewer as well.
        let calibrator = Calibrator::new(&pipeline);
        let reduction = pipeline.config.sampling.reduction;
        let stored = calibrator.stored_for_reduction(reduction, &Silent)?;
        let policy = stored
            .context("the bundled thresholds lack the preset's own")?
            .policy();
        pipeline.config.sampling.steps = STEPS;

        let shape = pipeline.config.model.backbone.image_shape();
        let noisy: Tensor<B, 4> = NoiseStream::new(3).batch(0, SAMPLES, 0, shape, &device);
        let labels: Vec<i64> = (0..SAMPLES as i64).collect();
        let labels = TensorData::new(labels, [SAMPLES]);
        let condition = Condition::Class(Tensor::from_data(labels, &device));
        let noise = [999.0, 600.0, 200.0, 20.0]
            .map(|timestep| {
                let backbone = &pipeline.model.backbone;
                let prediction = backbone.predict(noisy.clone(), timestep, &condition)?;
                Ok(values(prediction.noise))
            })
            .into_iter()
            .collect::<Result<_>>()?;

        let spec = SampleSpec::new(SAMPLES);
        let full = pipeline.sample(FullDepth, &spec)?.pixels;
        let adaptive = pipeline.sample(policy, &spec)?;
        let exits = adaptive.trace.steps.iter().flat_map(|step| &step.blocks);
        Ok(Drawn {
            noise,
            full,
            exits: exits.copied().collect(),
            adaptive: adaptive
                .pixels
                .chunks(shape.iter().product())
                .map(<[f32]>::to_vec)
                .collect(),
        })
    }
}

fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn the_bundled_checkpoint_draws_the_same_on_every_device() {
    let devices = devices_under_test();
    announce(
        "the_bundled_checkpoint_draws_the_same_on_every_device",
        &devices,
    );
    let expected = run_on(reference_device(), DrawBundled).unwrap();
    let depths: std::collections::BTreeSet<_> = expected.exits.iter().collect();
    assert!(depths.len() >= 4, "exits only at {depths:?}");
    for device in devices {
        let found = run_on(device, DrawBundled).unwrap();
        println!(
            "{device}: noise predictions differ by up to {:.1e}, samples by {:.1e}",
            largest_difference(&found.noise.concat(), &expected.noise.concat()),
            largest_difference(&found.full, &expected.full),
        );
        for (found, expected) in found.noise.iter().zip(&expected.noise) {
            let what = format!("noise predictions on {device}");
            assert_close(&what, found, expected, NOISE_TOLERANCE);
        }
        let what = format!("full network's samples on {device}");
        assert_close(&what, &found.full, &expected.full, PIXEL_TOLERANCE);

        assert_eq!(found.exits.len(), expected.exits.len());
        let differs = |sample: usize| {
            let exits = found.exits.iter().zip(&expected.exits);
            exits
                .skip(sample)
                .step_by(SAMPLES)
                .filter(|(found, expected)| found != expected)
                .count()
        };
        let differing: usize = (0..SAMPLES).map(differs).sum();
        println!(
            "{device}: {differing} of {} exits differ",
            found.exits.len()
        );
        assert!(differing <= DIFFERING_EXITS, "{differing} exits differ");
        for sample in (0..SAMPLES).filter(|&sample| differs(sample) == 0) {
            let what = format!("adaptive sample {sample} on {device}");
            let (found, expected) = (&found.adaptive[sample], &expected.adaptive[sample]);
            assert_close(&what, found, expected, PIXEL_TOLERANCE);
        }
    }
}

/// The bundled network's noise predictions in a precision, or nothing where the device lacks it.
#[derive(Clone, Copy)]
struct PredictIn(Precision);

impl DeviceTask for PredictIn {
    type Output = Result<Option<Vec<f32>>>;

    fn run<B: Kernels>(self, device: B::Device) -> Self::Output {
        let file = NetworkFile::read(Path::new(WEIGHTS))?;
        let config = file.config()?.model;
        let Ok(model) = self.0.cast(file.model(&config, &device)?, &device) else {
            return Ok(None);
        };
        let shape = config.backbone.image_shape();
        let noisy: Tensor<B, 4> = NoiseStream::new(3).batch(0, SAMPLES, 0, shape, &device);
        let labels: Vec<i64> = (0..SAMPLES as i64).collect();
        let condition = Condition::Class(Tensor::from_data(
            TensorData::new(labels, [SAMPLES]),
            &device,
        ));
        let adaptive = AdaptiveUVit::new(&model, FullDepth).recording_all();
        let prediction = adaptive.predict(noisy, 600.0, &condition)?;
        let uncertainty = prediction.exit_signal.into_iter().flatten();
        Ok(Some(
            values(prediction.noise)
                .into_iter()
                .chain(uncertainty)
                .collect(),
        ))
    }
}

#[test]
fn half_precision_changes_predictions_by_its_rounding_alone() {
    let devices = devices_under_test();
    announce(
        "half_precision_changes_predictions_by_its_rounding_alone",
        &devices,
    );
    let expected = run_on(reference_device(), PredictIn(Precision::F32)).unwrap();
    let expected = expected.unwrap();
    let mut half = 0;
    for device in devices {
        // Ten and seven bits, over the two dozen roundings of thirteen blocks.
        for (precision, tolerance) in [(Precision::F16, 2e-2), (Precision::Bf16, 1.5e-1)] {
            let Some(found) = run_on(device, PredictIn(precision)).unwrap() else {
                println!("{device} does not compute in {}", precision.name());
                continue;
            };
            half += 1;
            let difference = largest_difference(&found, &expected);
            println!("{device}, {}: {difference:.1e}", precision.name());
            assert!(difference < tolerance, "{device}, {}", precision.name());
            assert!(
                difference > 1e-4,
                "nothing was rounded to {}",
                precision.name()
            );
        }
    }
    assert!(half > 0, "no device has half precision");
}
