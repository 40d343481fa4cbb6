//! The main job: the full network, static depths and AdaDiff on the same seeds, compared.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use adadiff_backends::{DeviceName, DeviceTask};
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{
    Calibration, CalibrationKey, Evaluator, ExitRule, Monitor, ReferenceId, SamplePlan,
    SampleStats, ensure_enough, network_cost,
};
use adadiff_report::UncertaintyMaps;
use adadiff_storage::{ResumeStore, RunFolder};
use adadiff_uem::{AdaptiveUVit, ExitPolicy, FixedDepth, FullDepth};
use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;

use super::inputs::{InputOptions, Inputs};
use super::{QUICK_SAMPLES, SAMPLES, Task, compare_report};
use crate::checkpoint::LoadedCheckpoint;
use crate::commands::budget_request::target_option;
use crate::figures::uncertainty_maps;
use crate::methods::timing::{self, Timing};
use crate::methods::{MethodKind, PAPER_REDUCTION, judge_samples};
use crate::presets::{Preset, positive};
use crate::results::{ResultRow, RowMeasurement};
use crate::terminal::Terminal;

/// The name under which the threshold of a budget other than blocks is kept, as measuring it again
/// would find another.
const CALIBRATED: &str = "wished";

/// The budgets of the curve beside the preset's own.
const CURVE: [f64; 5] = [0.15, 0.3, 0.45, 0.6, 0.75];

/// Those of a quick run.
const QUICK_CURVE: [f64; 2] = [0.3, 0.6];

/// Samples of each of the curve's points, but for features that need more for a distance.
const CURVE_SAMPLES: usize = 128;

/// Options of the comparison.
#[derive(Debug, Args)]
pub struct CompareOptions {
    /// What to sample from, and what samples are judged by.
    #[command(flatten)]
    pub inputs: InputOptions,
    /// Folder to write [default: runs/PRESET/DATE]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Samples of each row [default: the preset's, 512 for Fashion-MNIST]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub samples: Option<usize>,
    /// A small run that shows that everything works: 96 samples, few budgets
    #[arg(long)]
    pub quick: bool,
}

/// Everything that the report shows.
#[derive(Debug)]
pub struct ComparisonResults {
    /// The rows of the table.
    pub rows: Vec<ResultRow>,
    /// The rows of the curve, on fewer samples.
    pub curve: Vec<ResultRow>,
    /// Speed at several batch sizes.
    pub timings: Vec<Timing>,
    /// The full network's samples.
    pub full: SampleStats,
    /// AdaDiff's.
    pub adaptive: SampleStats,
    /// When they left.
    pub calibration: Calibration,
    /// Uncertainty maps of a few samples.
    pub maps: UncertaintyMaps,
    /// Channels, height and width of an image.
    pub image_shape: [usize; 3],
}

impl DeviceTask for Task<'_, CompareOptions> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let CompareOptions {
            inputs,
            out,
            samples,
            quick,
        } = self.options;
        let Inputs {
            checkpoint,
            component_files,
            request,
            device: name,
            ..
        } = inputs.resolve(self.experiment)?;
        let samples = samples.or(checkpoint.preset.sampling.samples);
        let samples = samples.unwrap_or(SAMPLES);
        let samples = if quick {
            samples.min(QUICK_SAMPLES)
        } else {
            samples
        };
        if samples <= 64 {
            bail!(
                "the Fréchet distance over 64 features needs more than 64 samples, {samples} were \
                 asked for; `sample --samples {samples}` draws a few pictures without judging them"
            );
        }
        let curve = if quick { &QUICK_CURVE[..] } else { &CURVE };
        let folder = RunFolder::create(out.as_deref(), &checkpoint.preset.name)?;
        let data = checkpoint.preset.data;
        let checkpoint_sha256 = checkpoint.sha256.clone();
        let reference = &component_files.reference;
        let reference_id = reference.id(data)?;
        let mut loaded: LoadedCheckpoint<B> = component_files.load(checkpoint, &device)?;
        let shape = loaded.pipeline().image_shape();
        let evaluator = reference.evaluator(data, shape, &device)?;
        // Said before hours of sampling, not after.
        let asked = format!("{samples} were asked for");
        ensure_enough(samples as u64, evaluator.dims(), &asked)?;
        let curve_samples = samples.min(CURVE_SAMPLES.max(evaluator.dims() + evaluator.dims() / 2));
        let request = request.as_ref();
        let settings = CompareSettings {
            preset: loaded.preset().to_toml()?,
            checkpoint_sha256,
            calibrations: loaded.calibrator().all_stored().cloned().collect(),
            wish: request.map(|request| target_option(request.target)),
            features: evaluator.features(),
            reference_id,
            samples,
            curve_samples,
            device: name.backend.name(),
        };
        let kept = ResumeStore::open(folder.kept(), &settings)?;
        let terminal = Terminal::evaluations();
        if let Some(request) = request {
            let calibration = match kept.read::<Calibration>(CALIBRATED)? {
                Some(calibration) => {
                    loaded.adopt(calibration.clone());
                    calibration
                }
                None => {
                    let found = request.adopt(&mut loaded, Some(&evaluator), &terminal)?;
                    kept.write(CALIBRATED, &found)?;
                    found
                }
            };
            calibration.write_beside(&folder.path())?;
        }
        let bench = CompareRunner {
            loaded: &loaded,
            evaluator: &evaluator,
            kept,
            device: name,
            terminal,
        };
        let results = bench.results(samples, curve_samples, curve);
        let results = results.map_err(|error| match folder.continues() {
            Some(target) => error.context(format!(
                "what was drawn so far is kept: the same command continues with --out {}",
                target.display()
            )),
            None if bench.terminal.stopped() => error.context("nothing was written"),
            None => error,
        })?;
        bench.terminal.finish();
        compare_report::write(
            &folder.path(),
            &results,
            loaded.preset(),
            name,
            &std::env::args().collect::<Vec<_>>().join(" "),
        )?;
        let folder = folder.finish()?;
        compare_report::print(&results, &folder)
    }
}

/// What a run's samples depend on.
#[derive(Debug, Serialize)]
struct CompareSettings {
    /// The preset with the command line's changes, in TOML.
    preset: String,
    /// SHA-256 of the weights.
    checkpoint_sha256: String,
    /// The thresholds that came with the weights.
    calibrations: Vec<Calibration>,
    /// The budget as on the command line, where it is other than blocks.
    wish: Option<String>,
    features: &'static str,
    /// What the exit rule `distance` is calibrated by, where the user named it.
    #[serde(rename = "yardstick")]
    reference_id: Option<ReferenceId>,
    samples: usize,
    curve_samples: usize,
    device: &'static str,
}

struct CompareRunner<'a, B: Kernels> {
    loaded: &'a LoadedCheckpoint<B>,
    evaluator: &'a Evaluator<B>,
    kept: ResumeStore,
    device: DeviceName,
    terminal: Terminal,
}

impl<B: Kernels> CompareRunner<'_, B> {
    fn preset(&self) -> &Preset {
        self.loaded.preset()
    }

    fn results(
        &self,
        samples: usize,
        curve_samples: usize,
        budgets: &[f64],
    ) -> Result<ComparisonResults> {
        let reduction = self.preset().sampling.reduction;
        let draw = self.loaded.plan(samples)?;
        self.expect(4 * samples);
        // First of all, because a budget that cannot be met should not cost a full run.
        self.say("calibrating");
        let calibration = self.threshold(reduction)?;
        self.warm_up()?;

        self.say("the full network");
        let full = self.draw("full", &FullDepth, &draw)?;
        let full_seconds = full.seconds_per_image();
        let mut rows = vec![self.row(MethodKind::Full, &full, full_seconds)?];

        self.say("AdaDiff");
        let adaptive = self.draw("adadiff", &calibration.policy(), &draw)?;
        let blocks_mean = self.loaded.pipeline().cost(&adaptive.counts)?.blocks_mean;
        let below = (blocks_mean.floor() as usize).max(1);
        for depth in [below, below + 1] {
            rows.extend(self.static_row(depth, &draw, full_seconds)?);
        }
        rows.extend(self.without_forecast(&draw, full_seconds)?);
        let row = self.row(MethodKind::AdaDiff, &adaptive, full_seconds)?;
        rows.push(row.with_exit(&calibration));

        let curve = self.curve(curve_samples, budgets)?;
        self.say("speed");
        let timings = timing::measure(
            self.loaded.pipeline(),
            &calibration,
            &timing::BATCHES,
            timing::ROUNDS,
            &self.terminal,
        )?;
        self.say("uncertainty maps");
        let maps = uncertainty_maps(self.loaded.pipeline(), calibration.policy(), &self.terminal)?;
        Ok(ComparisonResults {
            rows,
            curve,
            timings,
            full,
            adaptive,
            calibration,
            maps,
            image_shape: self.loaded.pipeline().image_shape(),
        })
    }

    /// What the paper skips, without forecasts, where the preset skips more with them.
    fn without_forecast(&self, draw: &SamplePlan, full_seconds: f64) -> Result<Option<ResultRow>> {
        if self.preset().sampling.exit_rule != ExitRule::Forecast {
            return Ok(None);
        }
        self.say("AdaDiff without forecasts");
        let reduction = self.preset().sampling.reduction.min(PAPER_REDUCTION);
        let calibration = self.calibration(CalibrationKey {
            exit_rule: ExitRule::Distance,
            ..self.loaded.calibrator().key(reduction)
        })?;
        let drawn = self.draw("adadiff-without-forecasts", &calibration.policy(), draw)?;
        let row = self.row(MethodKind::AdaDiff, &drawn, full_seconds)?;
        Ok(Some(row.with_exit(&calibration)))
    }

    /// The first evaluation of a process pays for memory and kernels; it is not timed.
    fn warm_up(&self) -> Result<()> {
        let batch = self.preset().sampling.batch;
        let plan = self.loaded.plan(batch)?;
        self.loaded
            .pipeline()
            .generate(FullDepth, &plan, &self.terminal)?;
        Ok(())
    }

    /// The points of the curve, all on the same samples.
    fn curve(&self, samples: usize, budgets: &[f64]) -> Result<Vec<ResultRow>> {
        let draw = self.loaded.plan(samples)?;
        self.expect(samples * (budgets.len() + 2));
        self.say("the curve: full network");
        let full = self.draw("curve-full", &FullDepth, &draw)?;
        let full_seconds = full.seconds_per_image();
        let mut rows = vec![self.row(MethodKind::Full, &full, full_seconds)?];
        for &budget in budgets {
            self.say(&format!("the curve: {:.0} % fewer blocks", 100.0 * budget));
            let calibration = self.threshold(budget)?;
            let drawn = self.draw(&format!("curve-{budget}"), &calibration.policy(), &draw)?;
            let row = self.row(MethodKind::AdaDiff, &drawn, full_seconds)?;
            rows.push(row.with_exit(&calibration));

            let depth = (1.0 - budget) * self.loaded.pipeline().blocks() as f64;
            rows.extend(self.static_row(depth.round() as usize, &draw, full_seconds)?);
        }
        Ok(rows)
    }

    /// Draws samples that all leave after `depth` blocks; there is no row for no blocks.
    fn static_row(
        &self,
        depth: usize,
        draw: &SamplePlan,
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

    fn row(&self, method: MethodKind, drawn: &SampleStats, full_seconds: f64) -> Result<ResultRow> {
        let row = ResultRow::new(RowMeasurement {
            preset: self.preset(),
            method,
            device: self.device.to_string(),
            cost: network_cost(&self.preset().model).into(),
            steps: self.preset().sampling.steps,
            counts: &drawn.counts,
            seconds: drawn.seconds,
            features: self.evaluator.features(),
            frechet_distance: self.evaluator.frechet_distance(&drawn.statistics)?,
        })?;
        Ok(ResultRow {
            speedup: Some(full_seconds / drawn.seconds_per_image()),
            bytes_per_sample: Some(drawn.memory_per_sample).filter(|&bytes| bytes > 0),
            ..row
        })
    }

    /// The threshold of a share of blocks.
    fn threshold(&self, reduction: f64) -> Result<Calibration> {
        self.calibration(self.loaded.calibrator().key(reduction))
    }

    /// The threshold of a budget, the same one after an interruption.
    fn calibration(&self, key: CalibrationKey) -> Result<Calibration> {
        let calibrator = self.loaded.calibrator();
        let stored = calibrator.stored(|entry| entry.key() == key, &self.terminal)?;
        if let Some(calibration) = stored {
            return Ok(calibration.clone());
        }
        let rule = if key.exit_rule == self.preset().sampling.exit_rule {
            String::new()
        } else {
            format!("{}-", key.exit_rule.name())
        };
        let name = format!("calibration-{rule}{}", key.reduction);
        if let Some(calibration) = self.kept.read(&name)? {
            return Ok(calibration);
        }
        let calibration = calibrator.calibrate(key, &self.terminal)?;
        self.kept.write(&name, &calibration)?;
        Ok(calibration)
    }

    /// Draws what is missing of the samples `name`.
    fn draw(&self, name: &str, policy: &dyn ExitPolicy, draw: &SamplePlan) -> Result<SampleStats> {
        let pipeline = self.loaded.pipeline();
        let denoiser = AdaptiveUVit::new(&pipeline.model, policy);
        let kept = (&self.kept, name);
        judge_samples(
            pipeline,
            self.evaluator,
            &denoiser,
            draw,
            kept,
            &self.terminal,
        )
    }

    fn say(&self, what: &str) {
        self.terminal.stage(what);
    }

    fn expect(&self, samples: usize) {
        self.terminal
            .expect((samples * self.preset().sampling.steps) as u64);
    }
}
