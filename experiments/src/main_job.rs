//! The main job: the full network, static depths and AdaDiff on the same seeds, compared.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use adadiff_model::kernels::Kernels;
use adadiff_uem::{AdaptiveUVit, ExitPolicy, FixedDepth, Never};
use anyhow::Result;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::calibrations::{Calibration, Calibrations};
use crate::checkpoint::Checkpoint;
use crate::device::{DeviceName, DeviceTask};
use crate::judge::{Judge, JudgeOptions};
use crate::kept::Kept;
use crate::measured::Measured;
use crate::metrics_tool::of_file;
use crate::preset::{Place, Preset};
use crate::progress::evaluations_bar;
use crate::report::{Method, ResultRow};
use crate::run_folder::RunFolder;
use crate::study::{Draw, Study};
use crate::surroundings::Surroundings;
use crate::tally::Tally;
use crate::timing::{self, Timing};
use crate::{presentation, report};

/// Samples that are drawn once more with their uncertainty maps kept.
const MAP_SAMPLES: usize = 4;

/// The main job and its options.
#[derive(Debug)]
pub struct MainJob<'a> {
    /// The trained network.
    pub checkpoint: Checkpoint,
    /// The file that it came from; absent for the bundled one.
    pub weights: Option<PathBuf>,
    /// What samples are judged by.
    pub judge: JudgeOptions,
    /// The images to compare with, where there are no statistics of them.
    pub place: Place,
    /// What stands before and behind the network.
    pub surroundings: Surroundings,
    /// The device, as named on the command line.
    pub device: DeviceName,
    /// The folder to write, if one was named.
    pub out: Option<PathBuf>,
    /// Samples of the main rows.
    pub samples: usize,
    /// Samples of each point of the curve.
    pub curve_samples: usize,
    /// Shares of blocks to skip, for the curve.
    pub curve: Vec<f64>,
    /// The command line, for the report.
    pub command: String,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
}

/// Everything that the report shows.
#[derive(Debug)]
pub struct Findings {
    /// The rows of the table.
    pub rows: Vec<ResultRow>,
    /// The rows of the curve, on fewer samples.
    pub curve: Vec<ResultRow>,
    /// Speed at several batch sizes.
    pub timings: Vec<Timing>,
    /// The full network's samples.
    pub full: Tally,
    /// AdaDiff's.
    pub adaptive: Tally,
    /// Uncertainty maps of a few samples.
    pub maps: report::UncertaintyMaps,
    /// Channels, height and width of an image.
    pub image_shape: [usize; 3],
}

impl DeviceTask for MainJob<'_> {
    type Output = PathBuf;

    fn run<B: Kernels>(self, device: B::Device) -> Result<PathBuf> {
        let experiment = self.checkpoint.preset.name.clone();
        let folder = RunFolder::create(self.out.as_deref(), &experiment)?;
        let data = self.checkpoint.preset.data;
        let checkpoint_sha256 = self.weights.as_deref().map(of_file).transpose()?;
        let study: Study<'_, B> = self
            .surroundings
            .study(self.checkpoint, &device, self.stop)?;
        let judge = self
            .judge
            .judge(data, &self.place, study.image_shape(), &device)?;
        let settings = Settings {
            preset: study.preset.to_toml()?,
            checkpoint_sha256,
            calibrations: study.calibrations().clone(),
            features: judge.features(),
            samples: self.samples,
            curve_samples: self.curve_samples,
            device: self.device.backend.name(),
        };
        let bench = Bench {
            study: &study,
            judge: &judge,
            kept: Kept::open(folder.kept(), &settings)?,
            device: self.device,
            bar: evaluations_bar(),
        };
        let findings = bench.findings(self.samples, self.curve_samples, &self.curve);
        let findings = findings.map_err(|error| match folder.continues() {
            Some(how) => error.context(how),
            None if self.stop.load(Ordering::Relaxed) => error.context("nothing was written"),
            None => error,
        })?;
        bench.bar.finish_and_clear();
        presentation::write(
            &folder.path(),
            &findings,
            &study.preset,
            self.device,
            &self.command,
        )?;
        let folder = folder.finish()?;
        presentation::print(&findings, &folder);
        Ok(folder)
    }
}

/// What a run's samples depend on.
#[derive(Debug, Serialize)]
struct Settings {
    /// The preset with the command line's changes, in TOML.
    preset: String,
    /// SHA-256 of the weights; absent for the bundled ones.
    checkpoint_sha256: Option<String>,
    /// The thresholds that came with the weights.
    calibrations: Calibrations,
    features: &'static str,
    samples: usize,
    curve_samples: usize,
    device: &'static str,
}

struct Bench<'a, B: Kernels> {
    study: &'a Study<'a, B>,
    judge: &'a Judge<B>,
    kept: Kept,
    device: DeviceName,
    bar: ProgressBar,
}

impl<B: Kernels> Bench<'_, B> {
    fn preset(&self) -> &Preset {
        &self.study.preset
    }

    fn findings(&self, samples: usize, curve_samples: usize, budgets: &[f64]) -> Result<Findings> {
        let reduction = self.preset().sampling.reduction;
        let draw = self.study.plan(samples)?;
        self.expect(4 * samples);
        // First of all, because a budget that cannot be met should not cost a full run.
        self.say("calibrating");
        let calibration = self.threshold(reduction)?;
        self.warm_up()?;

        self.say("the full network");
        let full = self.draw("full", &Never, &draw)?;
        let full_seconds = full.seconds_per_image();
        let mut rows = vec![self.row(Method::Full, &full, full_seconds)?];

        self.say("AdaDiff");
        let adaptive = self.draw("adadiff", &calibration.policy(), &draw)?;
        let blocks_mean = self.study.cost(&adaptive.effort)?.blocks_mean;
        let below = (blocks_mean.floor() as usize).max(1);
        for depth in [below, below + 1] {
            rows.extend(self.static_row(depth, &draw, full_seconds)?);
        }
        let mut row = self.row(Method::Adadiff, &adaptive, full_seconds)?;
        calibration.enter(&mut row);
        rows.push(row);

        let curve = self.curve(curve_samples, budgets)?;
        self.say("speed");
        let timings = timing::measure(self.study, &calibration, &timing::BATCHES, &self.bar)?;
        self.say("uncertainty maps");
        let maps = self.maps(&calibration)?;
        Ok(Findings {
            rows,
            curve,
            timings,
            full,
            adaptive,
            maps,
            image_shape: self.study.image_shape(),
        })
    }

    /// The first evaluation of a process pays for memory and kernels; it is not timed.
    fn warm_up(&self) -> Result<()> {
        let batch = self.preset().sampling.batch;
        self.study
            .draw(Never, &self.study.plan(batch)?, &self.bar)?;
        Ok(())
    }

    /// The points of the curve, all on the same samples.
    fn curve(&self, samples: usize, budgets: &[f64]) -> Result<Vec<ResultRow>> {
        let draw = self.study.plan(samples)?;
        self.expect(samples * (budgets.len() + 2));
        self.say("the curve: full network");
        let full = self.draw("curve-full", &Never, &draw)?;
        let full_seconds = full.seconds_per_image();
        let mut rows = vec![self.row(Method::Full, &full, full_seconds)?];
        for &budget in budgets {
            self.say(&format!("the curve: {:.0} % fewer blocks", 100.0 * budget));
            let calibration = self.threshold(budget)?;
            let drawn = self.draw(&format!("curve-{budget}"), &calibration.policy(), &draw)?;
            let mut row = self.row(Method::Adadiff, &drawn, full_seconds)?;
            calibration.enter(&mut row);
            rows.push(row);

            let depth = (1.0 - budget) * self.study.blocks() as f64;
            rows.extend(self.static_row(depth.round() as usize, &draw, full_seconds)?);
        }
        Ok(rows)
    }

    /// Draws samples that all leave after `depth` blocks; there is no row for no blocks.
    fn static_row(
        &self,
        depth: usize,
        draw: &Draw,
        full_seconds: f64,
    ) -> Result<Option<ResultRow>> {
        let Some(depth) = NonZeroUsize::new(depth) else {
            return Ok(None);
        };
        self.say(&format!("static depth {depth}"));
        let name = format!("depth-{depth}-of-{}-samples", draw.samples);
        let drawn = self.draw(&name, &FixedDepth(depth), draw)?;
        let mut row = self.row(Method::Static, &drawn, full_seconds)?;
        row.depth = Some(depth.get() as u32);
        Ok(Some(row))
    }

    fn row(&self, method: Method, drawn: &Tally, full_seconds: f64) -> Result<ResultRow> {
        let row = Measured {
            preset: self.preset(),
            method,
            device: self.device.to_string(),
            effort: &drawn.effort,
            seconds: drawn.seconds,
            features: self.judge.features(),
            frechet_distance: self.judge.frechet_distance(&drawn.statistics)?,
        };
        Ok(ResultRow {
            speedup: Some(full_seconds / drawn.seconds_per_image()),
            ..row.row()?
        })
    }

    /// Draws a few samples again and keeps the uncertainty of some steps.
    fn maps(&self, calibration: &Calibration) -> Result<report::UncertaintyMaps> {
        let draw = self.study.plan(MAP_SAMPLES)?;
        let steps = self.preset().sampling.steps;
        let network_shape = self.preset().model.backbone.image_shape();
        let shape = self.study.image_shape();
        let shown: Vec<usize> = (0..8).map(|i| i * (steps - 1) / 7).collect();
        let mut maps: Vec<Vec<report::UncertaintyMap>> = vec![Vec::new(); MAP_SAMPLES];
        let denoiser = AdaptiveUVit::new(&self.study.model, calibration.policy()).with_maps();
        let schedule = self.preset().schedule.build()?;
        let drawn = self
            .study
            .draw_from(denoiser, &draw, &self.bar, &mut |progress| {
                let step = progress.step.index;
                let Some(prediction) = progress.prediction else {
                    return;
                };
                let Some(map) = &prediction.uncertainty_map else {
                    return;
                };
                if !shown.contains(&step) {
                    return;
                }
                let values: Vec<f32> = map.clone().into_data().iter::<f32>().collect();
                let size = values.len() / prediction.blocks.len();
                let samples = values.chunks(size).zip(&prediction.blocks);
                for (sample, (values, &blocks)) in progress.samples.clone().zip(samples) {
                    maps[sample].push(report::UncertaintyMap {
                        step,
                        timestep: schedule.network_timestep(progress.step.from),
                        blocks,
                        values: enlarge(values, network_shape, shape),
                    });
                }
            })?;
        let images = drawn.pixels.chunks(shape.iter().product());
        let rows = maps
            .into_iter()
            .zip(images)
            .enumerate()
            .map(|(sample, (maps, image))| {
                let blocks = drawn
                    .trace
                    .steps
                    .iter()
                    .map(|step| f64::from(step.blocks[sample]));
                report::MapRow {
                    sample,
                    blocks_mean: blocks.sum::<f64>() / steps as f64,
                    maps,
                    image: image.to_vec(),
                }
            });
        let blocks = self.study.blocks() as u32;
        Ok(report::UncertaintyMaps::new(shape, blocks, rows.collect())?)
    }

    /// The threshold of a budget, the same one after an interruption.
    fn threshold(&self, reduction: f64) -> Result<Calibration> {
        if let Some(calibration) = self.study.stored_threshold(reduction) {
            return Ok(calibration);
        }
        let name = format!("calibration-{reduction}");
        if let Some(calibration) = self.kept.read(&name)? {
            return Ok(calibration);
        }
        let calibration = self.study.threshold(reduction, &self.bar)?;
        self.kept.write(&name, &calibration)?;
        Ok(calibration)
    }

    /// Draws what is missing of the samples `name`.
    fn draw(&self, name: &str, policy: &dyn ExitPolicy, draw: &Draw) -> Result<Tally> {
        let so_far = match self.kept.read(name)? {
            Some(tally) => tally,
            None => Tally::none(self.judge, draw)?,
        };
        let evaluations = so_far.effort.samples * self.preset().sampling.steps as u64;
        self.bar.inc(evaluations);
        let mut keep = |tally: &Tally| self.kept.write(name, tally);
        so_far.draw(self.study, self.judge, policy, draw, &self.bar, &mut keep)
    }

    fn say(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    fn expect(&self, samples: usize) {
        self.bar
            .inc_length((samples * self.preset().sampling.steps) as u64);
    }
}

/// A map of the network's latents on their images' pixels: the mean over the channels, in all
/// channels. A map of pixels stays as it is.
fn enlarge(map: &[f32], [channels, height, width]: [usize; 3], image: [usize; 3]) -> Vec<f32> {
    if [channels, height, width] == image {
        return map.to_vec();
    }
    let [image_channels, image_height, image_width] = image;
    let place = |row: usize, column: usize| {
        (row * height / image_height) * width + column * width / image_width
    };
    let pixels = (0..image_height)
        .flat_map(|row| (0..image_width).map(move |column| place(row, column)))
        .map(|place| {
            let values = map.iter().skip(place).step_by(height * width);
            values.sum::<f32>() / channels as f32
        });
    let pixels: Vec<f32> = pixels.collect();
    pixels.repeat(image_channels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_latents_cover_their_images() {
        let map = [0.0, 0.2, 0.4, 0.6, 0.2, 0.4, 0.6, 0.8];
        let enlarged = enlarge(&map, [2, 2, 2], [1, 4, 4]);
        let rows = [[0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 0.7, 0.7]];
        let expected = [rows[0], rows[0], rows[1], rows[1]].concat();
        for (found, expected) in enlarged.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-6);
        }
        assert_eq!(enlarged.len(), 16);
        assert_eq!(enlarge(&map, [2, 2, 2], [2, 2, 2]), map);
    }
}
