//! Measures and draws figures that are not there yet.

use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Calibration, Monitor};
use adadiff_report::{Chart, WRITES_PNG};
use anyhow::{Result, anyhow};
use serde_json::{Value, to_value};

use super::exits::exit_heatmap;
use super::file::FigureFile;
use super::layer_errors::BlockErrorFigure;
use super::maps;
use super::name::FigureName;
use super::reliability::Reliability;
use super::samples::SamplePairs;
use super::trade_off::TradeOff;
use super::uncertainty_maps;
use crate::checkpoint::LoadedCheckpoint;
use crate::methods::{Method, PreparedMethod};
use crate::presets::{DatasetPath, Protocol};
use crate::results::{DrawKey, TableName};
use crate::tables::TableRunner;

/// Samples that errors, exits and reliability are measured on.
const SAMPLES: usize = 64;

const PAIRS: usize = 32;

/// Measures the figures of a checkpoint.
pub struct FigureRunner<'b, B: Kernels> {
    pub bench: &'b mut TableRunner<B>,
    /// Where images are that errors are measured on.
    pub dataset: &'b DatasetPath,
    pub device: B::Device,
}

/// A figure that was drawn or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FigureOutcome {
    Drawn,
    Kept,
    /// Why it was not drawn.
    Missing(String),
}

impl<B: Kernels> FigureRunner<'_, B> {
    /// Draws a figure, unless it is there and nothing that it depends on has changed.
    ///
    /// # Errors
    /// Where the user interrupts, the device fails, or a file cannot be written.
    pub fn draw(&mut self, name: FigureName) -> Result<FigureOutcome> {
        match name {
            FigureName::TradeOff => self.trade_off(),
            FigureName::TimeOverBlocks => self.time_over_blocks(),
            name => self.of_samples(name),
        }
    }

    fn few(&self, samples: usize) -> usize {
        let batch = self.loaded().preset().sampling.batch;
        let most = if self.bench.settings.quick {
            8
        } else {
            samples
        };
        most.min(batch)
    }

    fn loaded(&self) -> &LoadedCheckpoint<B> {
        &self.bench.networks.main().loaded
    }

    fn of_samples(&mut self, name: FigureName) -> Result<FigureOutcome> {
        let count = self.few(match name {
            FigureName::Samples => PAIRS,
            _ => SAMPLES,
        });
        let method = self.method();
        let key = self.bench.key_of(method, count)?;
        let folder = self.bench.results.figures();
        let file = &self.file(name)?;
        let known = FigureFile::read(&folder, file)?;
        let lacks_png = WRITES_PNG && !folder.join(format!("{file}.png")).exists();
        if !lacks_png && known.is_some_and(|known| known.key.as_ref() == Some(&key)) {
            return Ok(FigureOutcome::Kept);
        }
        self.bench.terminal.stage(&format!("figure {file}"));
        match self.measure(name, count, key, file) {
            Ok(figure) => {
                figure.write(&folder, file)?;
                Ok(FigureOutcome::Drawn)
            }
            Err(error) if self.bench.terminal.stopped() => Err(error),
            Err(error) => Ok(FigureOutcome::Missing(format!("not drawn: {error:#}"))),
        }
    }

    /// The name of the only file of a figure.
    fn file(&self, name: FigureName) -> Result<String> {
        let mut files = name.files(self.protocol());
        match files.pop() {
            Some(file) if files.is_empty() => Ok(file),
            _ => Err(anyhow!("the figure has no single file")),
        }
    }

    fn protocol(&self) -> Option<&Protocol> {
        self.bench.settings.protocol.as_ref()
    }

    fn method(&self) -> Method {
        let sampling = &self.loaded().preset().sampling;
        Method::AdaDiff {
            rule: sampling.exit_rule,
            reduction: sampling.reduction,
        }
    }

    fn prepared(&self) -> Result<PreparedMethod<'_, B>> {
        self.method().prepare(self.loaded(), &self.bench.terminal)
    }

    /// Measures a figure of samples; pictures that are no charts are written at once.
    fn measure(
        &self,
        name: FigureName,
        count: usize,
        key: DrawKey,
        file: &str,
    ) -> Result<FigureFile> {
        let (loaded, monitor) = (self.loaded(), &self.bench.terminal);
        let pipeline = loaded.pipeline();
        let folder = self.bench.results.figures();
        let figure = |title: &str, caption: String, chart: Option<Chart>, data: Value| FigureFile {
            figure: name,
            key: Some(key),
            title: Protocol::title(self.protocol(), title),
            caption,
            chart,
            data,
        };
        match name {
            FigureName::LayerErrors | FigureName::LayerErrorsOverSteps => {
                let errors = BlockErrorFigure::measure(pipeline, count, monitor)?;
                let over_blocks = name == FigureName::LayerErrors;
                let (title, chart) = if over_blocks {
                    ("Error of every block's prediction", errors.over_blocks())
                } else {
                    ("Error over denoising steps", errors.over_steps())
                };
                let caption = format!(
                    "The mean squared difference between the noise predicted after a block and the \
                     last block's, along the full network's path of {count} samples. The predicted \
                     noise has a variance of about 1."
                );
                Ok(figure(title, caption, Some(chart), to_value(&errors)?))
            }
            FigureName::Samples => {
                let pairs = SamplePairs::draw(loaded, &self.prepared()?, count, monitor)?;
                pairs.picture()?.write(&folder, file)?;
                let caption = format!(
                    "{count} pairs with the same noise: the full model at the left of each, over a \
                     blue bar; {} at the right, over a vermillion one.",
                    pairs.method
                );
                let title = "Samples with and without adaptive computation";
                Ok(figure(title, caption, None, to_value(&pairs)?))
            }
            FigureName::UncertaintyMaps => {
                let prepared = self.prepared()?;
                let policy = prepared.calibration.as_ref();
                let policy = policy.ok_or_else(|| anyhow!("the method has no threshold"))?;
                let maps = uncertainty_maps(pipeline, policy.policy(), monitor)?;
                maps.picture()?.write(&folder, file)?;
                let caption = "Estimated uncertainty of each pixel at the block where the sample \
                               left, at selected steps, and the image that came out. Under a map \
                               stand the blocks run in that step, under an image the sample's mean \
                               over all steps. All maps share one scale of colours.";
                let title = "Uncertainty over denoising steps";
                Ok(figure(title, caption.to_owned(), None, maps::data(&maps)))
            }
            FigureName::ExitDepth => {
                let prepared = self.prepared()?;
                let drawn = prepared.draw(pipeline, &loaded.plan(count)?, monitor)?;
                let policy = prepared.calibration.as_ref().map(Calibration::policy);
                let heatmap = exit_heatmap(&drawn.trace, policy.as_deref())?;
                heatmap.write(&folder, file)?;
                let title = "Where samples leave";
                Ok(figure(title, heatmap.caption(), None, to_value(&heatmap)?))
            }
            FigureName::Reliability => {
                let found =
                    Reliability::measure(loaded, self.dataset, count, &self.device, monitor)?;
                let caption = format!(
                    "What the estimators say against the error really made, on {} {} with known \
                     noise of {} levels, every value of every block in a bin of its estimate. The \
                     expected calibration error is {:.4}; 0 would be perfect.",
                    found.samples,
                    found.images,
                    found.timesteps.len(),
                    found.calibration_error
                );
                let title = "Reliability of the uncertainty";
                Ok(figure(
                    title,
                    caption,
                    Some(found.chart()),
                    to_value(&found)?,
                ))
            }
            FigureName::TradeOff | FigureName::TimeOverBlocks => {
                Err(anyhow!("it is drawn from the lines of results"))
            }
        }
    }

    fn trade_off(&mut self) -> Result<FigureOutcome> {
        let table = self.bench.table(TableName::TradeOff)?;
        let results = &self.bench.results;
        let trade_off = TradeOff::new(results, &table);
        let charts = [
            (trade_off.over_operations(), "Quality over operations saved"),
            (trade_off.over_speedup(), "Quality over measured time"),
        ];
        let mut missing = Vec::new();
        let files = FigureName::TradeOff.files(self.protocol());
        for ((chart, title), file) in charts.into_iter().zip(files) {
            match chart {
                None => missing.push(file),
                Some(chart) => FigureFile {
                    figure: FigureName::TradeOff,
                    key: None,
                    title: Protocol::title(self.protocol(), title),
                    caption: "Every method at several settings of its knob, on the same samples. \
                              Lower is better; whiskers are standard deviations over seeds."
                        .to_owned(),
                    chart: Some(chart),
                    data: to_value(&table)?,
                }
                .write(&results.figures(), &file)?,
            }
        }
        Ok(if missing.is_empty() {
            FigureOutcome::Drawn
        } else {
            FigureOutcome::Missing(format!(
                "not drawn: {}, for which nothing was measured",
                missing.join(", ")
            ))
        })
    }

    fn time_over_blocks(&mut self) -> Result<FigureOutcome> {
        let quality = std::mem::replace(&mut self.bench.settings.quality, false);
        let table = self.bench.table(TableName::TradeOff);
        self.bench.settings.quality = quality;
        let table = table?;
        let results = &self.bench.results;
        let Some(chart) = TradeOff::new(results, &table).time_over_blocks() else {
            return Ok(FigureOutcome::Missing(
                "not drawn: no times were measured".to_owned(),
            ));
        };
        let file = self.file(FigureName::TimeOverBlocks)?;
        FigureFile {
            figure: FigureName::TimeOverBlocks,
            key: None,
            title: Protocol::title(self.protocol(), "Time against blocks"),
            caption: "The full model's seconds over speed-ups, which are medians of short runs in \
                      which the methods took turns. On the dashed line a method would save exactly \
                      the time of the blocks that it skips."
                .to_owned(),
            chart: Some(chart),
            data: to_value(&table)?,
        }
        .write(&results.figures(), &file)?;
        Ok(FigureOutcome::Drawn)
    }
}
