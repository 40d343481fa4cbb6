//! The main job: the full network, static depths and AdaDiff on the same seeds, compared.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use adadiff_model::kernels::Kernels;
use adadiff_sampler::{NoiseSchedule, VpLinear};
use adadiff_uem::{AdaptiveUVit, FixedDepth, Never};
use anyhow::Result;
use indicatif::ProgressBar;

use crate::calibrations::Calibration;
use crate::checkpoint::Checkpoint;
use crate::device::{DeviceName, DeviceTask};
use crate::judge::Judge;
use crate::preset::Preset;
use crate::progress::evaluations_bar;
use crate::report::{Method, ResultRow};
use crate::run_folder::RunFolder;
use crate::study::{Draw, Drawn, SOLVER, Study};
use crate::timing::{self, Timing};
use crate::{presentation, report};

/// Samples that are drawn once more with their uncertainty maps kept.
const MAP_SAMPLES: usize = 4;

/// The main job and its options.
#[derive(Debug)]
pub struct MainJob<'a> {
    /// The trained network.
    pub checkpoint: Checkpoint,
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
    pub full: Drawn,
    /// AdaDiff's.
    pub adaptive: Drawn,
    /// Uncertainty maps of a few samples.
    pub maps: report::UncertaintyMaps,
}

impl DeviceTask for MainJob<'_> {
    type Output = PathBuf;

    fn run<B: Kernels>(self, device: B::Device) -> Result<PathBuf> {
        let experiment = self.checkpoint.preset.name.clone();
        let folder = RunFolder::create(self.out.as_deref(), &experiment)?;
        let study = Study::<B>::new(self.checkpoint, device.clone(), self.stop)?;
        let judge = Judge::<B>::new(&device)?;
        let bench = Bench {
            study: &study,
            judge: &judge,
            device: self.device,
            bar: evaluations_bar(),
        };
        let findings = bench.findings(self.samples, self.curve_samples, &self.curve)?;
        bench.bar.finish_and_clear();
        presentation::write(
            folder.path(),
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

struct Bench<'a, B: Kernels> {
    study: &'a Study<'a, B>,
    judge: &'a Judge<B>,
    device: DeviceName,
    bar: ProgressBar,
}

impl<B: Kernels> Bench<'_, B> {
    fn preset(&self) -> &Preset {
        &self.study.preset
    }

    fn findings(&self, samples: usize, curve_samples: usize, budgets: &[f64]) -> Result<Findings> {
        let reduction = self.preset().sampling.reduction;
        let draw = Draw::of_all_classes(self.preset(), samples);
        self.expect(4 * samples);
        // First of all, because a budget that cannot be met should not cost a full run.
        self.say("calibrating");
        let calibration = self.study.threshold(reduction, &self.bar)?;
        self.warm_up()?;

        self.say("the full network");
        let full = self.study.draw(Never, &draw, &self.bar)?;
        let mut rows = vec![self.row(Method::Full, &full, &draw, full.seconds_per_image)?];
        let full_seconds = full.seconds_per_image;

        self.say("AdaDiff");
        let adaptive = self.study.draw(calibration.policy(), &draw, &self.bar)?;
        let below = (adaptive.cost.blocks_mean.floor() as usize).max(1);
        for depth in [below, below + 1] {
            rows.extend(self.static_row(depth, &draw, full_seconds)?);
        }
        let mut row = self.row(Method::Adadiff, &adaptive, &draw, full_seconds)?;
        calibration.enter(&mut row);
        rows.push(row);

        let curve = self.curve(curve_samples, budgets)?;
        self.say("speed");
        let timings = timing::measure(self.study, &calibration, &self.bar)?;
        self.say("uncertainty maps");
        let maps = self.maps(&calibration)?;
        Ok(Findings {
            rows,
            curve,
            timings,
            full,
            adaptive,
            maps,
        })
    }

    /// The first evaluation of a process pays for memory and kernels; it is not timed.
    fn warm_up(&self) -> Result<()> {
        let batch = self.preset().sampling.batch;
        self.study.draw(
            Never,
            &Draw::of_all_classes(self.preset(), batch),
            &self.bar,
        )?;
        Ok(())
    }

    /// The points of the curve, all on the same samples.
    fn curve(&self, samples: usize, budgets: &[f64]) -> Result<Vec<ResultRow>> {
        let draw = Draw::of_all_classes(self.preset(), samples);
        self.expect(samples * (budgets.len() + 2));
        self.say("the curve: full network");
        let full = self.study.draw(Never, &draw, &self.bar)?;
        let full_seconds = full.seconds_per_image;
        let mut rows = vec![self.row(Method::Full, &full, &draw, full_seconds)?];
        for &budget in budgets {
            self.say(&format!("the curve: {:.0} % fewer blocks", 100.0 * budget));
            let calibration = self.study.threshold(budget, &self.bar)?;
            let policy = calibration.policy();
            let drawn = self.study.draw(policy, &draw, &self.bar)?;
            let mut row = self.row(Method::Adadiff, &drawn, &draw, full_seconds)?;
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
        let drawn = self.study.draw(FixedDepth(depth), draw, &self.bar)?;
        let mut row = self.row(Method::Static, &drawn, draw, full_seconds)?;
        row.depth = Some(depth.get() as u32);
        Ok(Some(row))
    }

    fn row(
        &self,
        method: Method,
        drawn: &Drawn,
        draw: &Draw,
        full_seconds: f64,
    ) -> Result<ResultRow> {
        Ok(ResultRow {
            experiment: self.preset().name.clone(),
            method,
            depth: None,
            device: self.device.to_string(),
            dtype: self.preset().sampling.precision.name().to_owned(),
            solver: SOLVER.to_owned(),
            steps: self.preset().sampling.steps,
            samples: draw.samples,
            batch: draw.batch,
            seed: draw.seed,
            exit_rule: None,
            check_every: None,
            threshold: None,
            target_reduction: None,
            blocks_mean: drawn.cost.blocks_mean,
            blocks_total: drawn.cost.blocks_total,
            blocks_per_prediction: self.study.blocks() as u32,
            block_reduction: drawn.cost.block_reduction,
            gflops_per_image: drawn.cost.gflops_per_image,
            seconds_per_image: drawn.seconds_per_image,
            speedup: full_seconds / drawn.seconds_per_image,
            frechet_distance: self.judge.frechet_distance(&drawn.pixels)?,
            features: self.judge.features().to_owned(),
            crate_version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// Draws a few samples again and keeps the uncertainty of some steps.
    fn maps(&self, calibration: &Calibration) -> Result<report::UncertaintyMaps> {
        let draw = Draw::of_all_classes(self.preset(), MAP_SAMPLES);
        let steps = self.preset().sampling.steps;
        let shown: Vec<usize> = (0..8).map(|i| i * (steps - 1) / 7).collect();
        let mut maps: Vec<Vec<report::UncertaintyMap>> = vec![Vec::new(); MAP_SAMPLES];
        let denoiser = AdaptiveUVit::new(&self.study.model, calibration.policy()).with_maps();
        let schedule = VpLinear::default();
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
                        values: values.to_vec(),
                    });
                }
            })?;
        let shape = self.preset().model.backbone.image_shape();
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

    fn say(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    fn expect(&self, samples: usize) {
        self.bar
            .inc_length((samples * self.preset().sampling.steps) as u64);
    }
}
