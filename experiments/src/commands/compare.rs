//! The main job: the full network, static depths and AdaDiff on the same seeds, compared.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use adadiff_backends::{DeviceName, DeviceTask};
use adadiff_model::kernels::Kernels;
use adadiff_report::UncertaintyMaps;
use adadiff_storage::{ResumeStore, RunFolder};
use adadiff_uem::{ExitPolicy, FixedDepth, Never};
use anyhow::Result;
use indicatif::ProgressBar;
use serde::Serialize;

use super::compare_report;
use crate::budget::Wish;
use crate::calibrations::{Calibration, Calibrations};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::components::Surroundings;
use crate::figures::uncertainty_maps;
use crate::judge::{Judge, JudgeOptions, YardstickName};
use crate::methods::MethodKind;
use crate::methods::timing::{self, Timing};
use crate::presets::{Place, Preset};
use crate::results::{Measured, ResultRow};
use crate::study::{Draw, Study, network_cost};
use crate::tally::Tally;
use crate::terminal::evaluations_bar;

/// The name under which the threshold of a budget other than blocks is kept, as measuring it again
/// would find another.
const WISHED: &str = "wished";

/// The main job and its options.
#[derive(Debug)]
pub struct MainJob<'a> {
    /// The trained network.
    pub checkpoint: Checkpoint,
    /// The budget, where it is none of blocks.
    pub wish: Option<Wish>,
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
    pub maps: UncertaintyMaps,
    /// Channels, height and width of an image.
    pub image_shape: [usize; 3],
}

impl DeviceTask for MainJob<'_> {
    type Output = Result<PathBuf>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<PathBuf> {
        let experiment = self.checkpoint.preset.name.clone();
        let folder = RunFolder::create(self.out.as_deref(), &experiment)?;
        let data = self.checkpoint.preset.data;
        let checkpoint_sha256 = self.checkpoint.sha256()?;
        let yardstick = self.surroundings.yardstick.name(data)?;
        let mut study: Study<'_, B> =
            self.surroundings
                .study(self.checkpoint, &device, self.stop)?;
        let judge = self
            .judge
            .judge(data, &self.place, study.image_shape(), &device)?;
        let settings = Settings {
            preset: study.preset.to_toml()?,
            checkpoint_sha256,
            calibrations: study.calibrations().clone(),
            wish: self.wish.as_ref().map(|wish| wish.goal.option()),
            features: judge.features(),
            yardstick,
            samples: self.samples,
            curve_samples: self.curve_samples,
            device: self.device.backend.name(),
        };
        let kept = ResumeStore::open(folder.kept(), &settings)?;
        let bar = evaluations_bar();
        if let Some(wish) = &self.wish {
            let calibration = match kept.read::<Calibration>(WISHED)? {
                Some(calibration) => {
                    study.adopt(calibration.clone());
                    calibration
                }
                None => {
                    let found = wish.enter(&mut study, Some(&judge), &device, &bar)?;
                    kept.write(WISHED, &found)?;
                    found
                }
            };
            calibration.write_beside(&folder.path())?;
        }
        let bench = Bench {
            study: &study,
            judge: &judge,
            kept,
            device: self.device,
            bar,
        };
        let findings = bench.findings(self.samples, self.curve_samples, &self.curve);
        let findings = findings.map_err(|error| match folder.continues() {
            Some(how) => error.context(how),
            None if self.stop.load(Ordering::Relaxed) => error.context("nothing was written"),
            None => error,
        })?;
        bench.bar.finish_and_clear();
        compare_report::write(
            &folder.path(),
            &findings,
            &study.preset,
            self.device,
            &self.command,
        )?;
        let folder = folder.finish()?;
        compare_report::print(&findings, &folder);
        Ok(folder)
    }
}

/// What a run's samples depend on.
#[derive(Debug, Serialize)]
struct Settings {
    /// The preset with the command line's changes, in TOML.
    preset: String,
    /// SHA-256 of the weights.
    checkpoint_sha256: String,
    /// The thresholds that came with the weights.
    calibrations: Calibrations,
    /// The budget as on the command line, where it is none of blocks.
    wish: Option<String>,
    features: &'static str,
    /// What the exit rule `distance` is calibrated by, where the user named it.
    yardstick: Option<YardstickName>,
    samples: usize,
    curve_samples: usize,
    device: &'static str,
}

struct Bench<'a, B: Kernels> {
    study: &'a Study<'a, B>,
    judge: &'a Judge<B>,
    kept: ResumeStore,
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
        let mut rows = vec![self.row(MethodKind::Full, &full, full_seconds)?];

        self.say("AdaDiff");
        let adaptive = self.draw("adadiff", &calibration.policy(), &draw)?;
        let blocks_mean = self.study.cost(&adaptive.effort)?.blocks_mean;
        let below = (blocks_mean.floor() as usize).max(1);
        for depth in [below, below + 1] {
            rows.extend(self.static_row(depth, &draw, full_seconds)?);
        }
        let mut row = self.row(MethodKind::AdaDiff, &adaptive, full_seconds)?;
        calibration.enter(&mut row);
        rows.push(row);

        let curve = self.curve(curve_samples, budgets)?;
        self.say("speed");
        let timings = timing::measure(
            self.study,
            &calibration,
            &timing::BATCHES,
            timing::ROUNDS,
            &self.bar,
        )?;
        self.say("uncertainty maps");
        let maps = uncertainty_maps(self.study, calibration.policy(), &self.bar)?;
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
        let mut rows = vec![self.row(MethodKind::Full, &full, full_seconds)?];
        for &budget in budgets {
            self.say(&format!("the curve: {:.0} % fewer blocks", 100.0 * budget));
            let calibration = self.threshold(budget)?;
            let drawn = self.draw(&format!("curve-{budget}"), &calibration.policy(), &draw)?;
            let mut row = self.row(MethodKind::AdaDiff, &drawn, full_seconds)?;
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
        let mut row = self.row(MethodKind::StaticDepth, &drawn, full_seconds)?;
        row.depth = Some(depth.get() as u32);
        Ok(Some(row))
    }

    fn row(&self, method: MethodKind, drawn: &Tally, full_seconds: f64) -> Result<ResultRow> {
        let row = Measured {
            preset: self.preset(),
            method,
            device: self.device.to_string(),
            cost: network_cost(&self.preset().model).into(),
            steps: self.preset().sampling.steps,
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

    /// The threshold of a budget, the same one after an interruption.
    fn threshold(&self, reduction: f64) -> Result<Calibration> {
        if let Some(calibration) = self.study.stored_threshold(reduction)? {
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
        let so_far: Tally = match self.kept.read(name)? {
            Some(tally) => tally,
            None => Tally::none(self.judge, draw)?,
        };
        let evaluations = so_far.effort.samples * self.preset().sampling.steps as u64;
        self.bar.inc(evaluations);
        let mut keep = |tally: &Tally| Ok(self.kept.write(name, tally)?);
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
