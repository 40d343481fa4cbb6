//! What a training shows while it runs.

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use adadiff_data::BadImage;
use adadiff_model::kernels::Kernels;
use adadiff_report::{GridStyle, ImageValues, image_grid, write_png};
use adadiff_train::{LogLine, TrainObserver};
use adadiff_uem::{AdaDiff, FullDepth};
use anyhow::Result;
use burn_autodiff::Autodiff;
use indicatif::ProgressBar;

use super::Train;
use super::validation::BestCheckpoint;
use crate::checkpoint::LoadedCheckpoint;
use crate::checkpoint::components::ComponentFiles;
use crate::presets::Preset;
use crate::terminal::{Terminal, note_line, steps_bar};

/// Samples of a picture that is drawn during training.
const DRAWN_SAMPLES: usize = 40;

/// The progress of a phase in the terminal, and pictures of it in its folder.
pub(super) struct Progress<'a, B: Kernels> {
    bar: ProgressBar,
    preset: &'a Preset,
    component_files: ComponentFiles,
    /// The folder of the pictures; none in a process that does not write.
    folder: Option<PathBuf>,
    device: B::Device,
    best: Option<BestCheckpoint<'a, B>>,
    stop: &'a AtomicBool,
}

impl<'a, B: Kernels> Progress<'a, B> {
    /// A phase of `steps` steps, `done` of which are done.
    pub fn new(
        train: &'a Train<'_>,
        name: &str,
        device: &B::Device,
        best: Option<BestCheckpoint<'a, B>>,
        done: u64,
        steps: u64,
    ) -> Self {
        let bar = if train.processes.leads() {
            steps_bar(steps).with_prefix(format!("{name} "))
        } else {
            ProgressBar::hidden()
        };
        let folder = train.out.join(name).join("samples");
        bar.set_position(done);
        bar.reset_eta();
        Self {
            bar,
            preset: &train.preset,
            component_files: train.component_files(),
            folder: train.processes.leads().then_some(folder),
            device: device.clone(),
            best,
            stop: train.stop,
        }
    }

    /// Ends the bar, and tells of the best weights.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
        if let Some(best) = &self.best {
            best.tell();
        }
    }

    /// Draws samples of all classes with the full network into a picture.
    fn draw(&self, step: u64, model: &AdaDiff<B>, folder: &Path) -> Result<()> {
        let (preset, device) = (self.preset.clone(), self.device.clone());
        let loaded = LoadedCheckpoint::of_model(model.clone(), preset, device);
        let loaded = self.component_files.attach(loaded, &self.device)?;
        let draw = loaded.plan(DRAWN_SAMPLES)?;
        let pipeline = loaded.pipeline();
        let drawn = pipeline.generate(FullDepth, &draw, &Terminal::hidden())?;
        let [channels, height, width] = pipeline.image_shape();
        let shape = [DRAWN_SAMPLES, channels, height, width];
        let style = GridStyle {
            columns: 10,
            ..GridStyle::default()
        };
        let grid = image_grid(&ImageValues::new(&drawn.pixels, shape)?, style)?;
        fs::create_dir_all(folder)?;
        write_png(&folder.join(format!("step-{step:010}.png")), &grid)?;
        Ok(())
    }
}

impl<B: Kernels> TrainObserver<Autodiff<B>> for Progress<'_, B> {
    fn step(&mut self, step: u64, _steps: u64) -> ControlFlow<()> {
        self.bar.set_position(step);
        if self.stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn line(&mut self, line: &LogLine) {
        self.bar.set_message(format!(
            "loss {:.4}, {:.0} images/s",
            line.total, line.images_per_second
        ));
    }

    fn validate(
        &mut self,
        step: u64,
        average: &AdaDiff<B>,
    ) -> Result<Option<f64>, Box<dyn Error + Send + Sync>> {
        let Some(best) = &mut self.best else {
            return Ok(None);
        };
        self.bar.set_message(format!("judging step {step}"));
        match best.validate(average) {
            Ok(distance) => {
                best.keep(step, distance, average)?;
                Ok(Some(distance))
            }
            // Resumed, the training must judge this step.
            Err(error) if self.stop.load(Ordering::Relaxed) => Err(error.into()),
            // Samples that cannot be judged are no reason to lose a training.
            Err(error) => {
                self.bar
                    .suspend(|| note_line(format_args!("step {step} was not judged: {error:#}")));
                Ok(None)
            }
        }
    }

    fn skipped(&mut self, image: &BadImage) {
        self.bar
            .suspend(|| note_line(format_args!("left out: {image}")));
    }

    fn sample(&mut self, step: u64, average: &AdaDiff<B>) {
        let Some(folder) = &self.folder else {
            return;
        };
        // A picture that cannot be drawn is no reason to lose a training.
        if let Err(error) = self.draw(step, average, folder) {
            self.bar
                .suspend(|| note_line(format_args!("no samples of step {step}: {error:#}")));
        }
    }
}
