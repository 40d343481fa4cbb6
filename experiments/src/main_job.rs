//! The main job: the full network, static depths and AdaDiff on the same seeds, compared.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use adadiff_model::kernels::Kernels;
use adadiff_uem::{ExitPolicy, FixedDepth, Never};
use anyhow::Result;
use indicatif::ProgressBar;

use crate::budget::Wish;
use crate::checkpoint::Checkpoint;
use crate::device::{DeviceName, DeviceTask};
use crate::figures::uncertainty_maps;
use crate::judge::{Judge, JudgeOptions};
use crate::measured::Measured;
use crate::preset::{Place, Preset};
use crate::progress::evaluations_bar;
use crate::report::{Method, ResultRow};
use crate::run_folder::RunFolder;
use crate::study::{Draw, Study, network_cost};
use crate::surroundings::Surroundings;
use crate::tally::Tally;
use crate::timing::{self, Timing};
use crate::{presentation, report};

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
        let mut study: Study<'_, B> =
            self.surroundings
                .study(self.checkpoint, &device, self.stop)?;
        let judge = self
            .judge
            .judge(data, &self.place, study.image_shape(), &device)?;
        let bar = evaluations_bar();
        if let Some(wish) = &self.wish {
            let calibration = wish.enter(&mut study, Some(&judge), &device, &bar)?;
            calibration.write_beside(folder.path())?;
        }
        let bench = Bench {
            study: &study,
            judge: &judge,
            device: self.device,
            bar,
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
        let draw = self.study.plan(samples)?;
        self.expect(4 * samples);
        // First of all, because a budget that cannot be met should not cost a full run.
        self.say("calibrating");
        let calibration = self.study.threshold(reduction, &self.bar)?;
        self.warm_up()?;

        self.say("the full network");
        let full = self.draw(&Never, &draw)?;
        let full_seconds = full.seconds_per_image();
        let mut rows = vec![self.row(Method::Full, &full, full_seconds)?];

        self.say("AdaDiff");
        let adaptive = self.draw(&calibration.policy(), &draw)?;
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
        let full = self.draw(&Never, &draw)?;
        let full_seconds = full.seconds_per_image();
        let mut rows = vec![self.row(Method::Full, &full, full_seconds)?];
        for &budget in budgets {
            self.say(&format!("the curve: {:.0} % fewer blocks", 100.0 * budget));
            let calibration = self.study.threshold(budget, &self.bar)?;
            let drawn = self.draw(&calibration.policy(), &draw)?;
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
        let drawn = self.draw(&FixedDepth(depth), draw)?;
        let mut row = self.row(Method::Static, &drawn, full_seconds)?;
        row.depth = Some(depth.get() as u32);
        Ok(Some(row))
    }

    fn row(&self, method: Method, drawn: &Tally, full_seconds: f64) -> Result<ResultRow> {
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

    fn draw(&self, policy: &dyn ExitPolicy, draw: &Draw) -> Result<Tally> {
        Tally::draw(self.study, self.judge, policy, draw, &self.bar)
    }

    fn say(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    fn expect(&self, samples: usize) {
        self.bar
            .inc_length((samples * self.preset().sampling.steps) as u64);
    }
}
