//! Training steps of both phases.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use adadiff_backends::{DeviceName, DeviceTask};
use adadiff_data::{Conditioning, ImageError, Label, TrainingSet, Visit};
use adadiff_experiments::Preset;
use adadiff_model::kernels::Kernels;
use adadiff_train::{LogLine, TrainConfig, TrainObserver, Trainer};
use adadiff_uem::AdaDiff;
use anyhow::Result;
use burn::tensor::backend::AutodiffBackend;
use burn_autodiff::Autodiff;
use criterion::{Criterion, Throughput};

pub struct Training<'a> {
    pub device: DeviceName,
    pub criterion: &'a mut Criterion,
}

/// Grey images of the preset's size: the time of a step does not depend on what they show.
struct Grey([usize; 3]);

impl TrainingSet for Grey {
    fn len(&self) -> usize {
        1_000
    }

    fn shape(&self) -> [usize; 3] {
        self.0
    }

    fn name(&self, index: usize) -> String {
        format!("grey image {index}")
    }

    fn conditioning(&self) -> Conditioning {
        Conditioning::Class { classes: 10 }
    }

    fn read(&self, index: usize, _visit: Visit, pixels: &mut [f32]) -> Result<Label, ImageError> {
        pixels.fill(0.0);
        Ok(Label::Class(index % 10))
    }
}

/// Interrupts a training after some steps and takes their time, without that of the checkpoint
/// that is written then.
struct Stopwatch {
    left: u64,
    start: Instant,
    taken: Duration,
}

impl<B: AutodiffBackend> TrainObserver<B> for Stopwatch {
    fn step(&mut self, _step: u64, _steps: u64) -> ControlFlow<()> {
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            return ControlFlow::Continue(());
        }
        self.taken = self.start.elapsed();
        ControlFlow::Break(())
    }

    fn line(&mut self, _line: &LogLine) {}

    fn sample(&mut self, _step: u64, _average: &AdaDiff<B::InnerBackend>) {}
}

impl DeviceTask for Training<'_> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let preset = Preset::fashion_mnist()?;
        let backbone = &preset.model.backbone;
        let images = Arc::new(Grey(backbone.image_shape()));
        let mut group = self
            .criterion
            .benchmark_group(format!("training/{}", self.device));
        group.sample_size(10);
        for (name, phase) in [
            ("backbone", &preset.backbone_training),
            ("joint", &preset.joint_training),
        ] {
            let config = TrainConfig {
                steps: u64::MAX,
                cooldown_steps: 0,
                log_every: u64::MAX,
                sample_every: 0,
                checkpoint_every: u64::MAX,
                judge: None,
                ..phase.clone()
            };
            let folder = tempfile::tempdir()?;
            let batch = config.batch_size;
            let model: AdaDiff<Autodiff<B>> = preset.model.init(0, &device)?;
            let mut trainer = Trainer::new(
                config,
                preset.model.clone(),
                preset.schedule.clone(),
                model,
                images.clone(),
                &device,
            )?;
            let mut failure = None;
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(format!("{name} step, batch {batch}"), |bencher| {
                bencher.iter_custom(|steps| {
                    let mut stopwatch = Stopwatch {
                        left: steps,
                        start: Instant::now(),
                        taken: Duration::ZERO,
                    };
                    let outcome = trainer.run(folder.path(), &mut stopwatch);
                    failure = failure.take().or(outcome.err());
                    stopwatch.taken
                });
            });
            if let Some(error) = failure {
                return Err(error.into());
            }
        }
        group.finish();
        Ok(())
    }
}
