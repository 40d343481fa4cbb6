//! The commands `table` and `figure`.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use adadiff_storage::write_atomically;
use anyhow::Result;

use super::inputs::Inputs;
use crate::figures::{FigureName, Figures, Outcome};
use crate::judge::ensure_enough;
use crate::pages;
use crate::results::{Results, TableName};
use crate::tables::{Bench, Networks, Rendered, Settings, Variants};
use crate::terminal::{evaluations_bar, say};

/// What is to be measured and drawn.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// Tables.
    Tables(Vec<TableName>),
    /// Figures.
    Figures(Vec<FigureName>),
}

/// Measures and draws tables or figures.
#[derive(Debug)]
pub struct Job<'a> {
    /// What.
    pub wanted: Wanted,
    /// What to sample from, and what samples are judged by.
    pub inputs: Inputs,
    /// Where networks are that were trained otherwise.
    pub variants: Variants,
    /// How rows are measured.
    pub settings: Settings,
    /// The folder of results.
    pub folder: PathBuf,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
}

impl DeviceTask for Job<'_> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let Inputs {
            checkpoint,
            surroundings,
            judge,
            place,
            ..
        } = self.inputs;
        let data = checkpoint.preset.data;
        let preset = checkpoint.preset.to_toml()?;
        let yardstick = surroundings.yardstick.name(data)?;
        let networks: Networks<'_, B> = Networks::new(
            checkpoint,
            surroundings,
            self.variants,
            device.clone(),
            self.stop,
        )?;
        let shape = networks.main().study.image_shape();
        let judge = judge.judge(data, &place, shape, &device)?;
        // Said before hours of sampling, not after.
        let samples = self.settings.samples;
        let asked = format!("{samples} were asked for");
        ensure_enough(samples as u64, judge.dims(), &asked)?;
        let results = Results::open(&self.folder)?;
        write_atomically(&self.folder.join("preset.toml"), preset.as_bytes())?;
        let mut bench = Bench {
            networks,
            judge,
            yardstick,
            settings: self.settings,
            results,
            bar: evaluations_bar(),
        };
        match self.wanted {
            Wanted::Tables(names) => tables(&mut bench, &names)?,
            Wanted::Figures(names) => {
                let figures = Figures {
                    bench: &mut bench,
                    place: &place,
                    device,
                };
                self::figures(figures, &names)?;
            }
        }
        bench.bar.finish_and_clear();
        let report = pages::write_report(&bench.results)?;
        say!("report: {}", report.display())
    }
}

fn tables<B: Kernels>(bench: &mut Bench<'_, B>, names: &[TableName]) -> Result<()> {
    for &name in names {
        let drawn = bench.table(name)?;
        let rendered = Rendered::of(&bench.results, &drawn);
        let path = bench.results.table_path(name, "md");
        write_atomically(&path, rendered.markdown().as_bytes())?;
        let text = rendered.terminal();
        bench.bar.suspend(|| say!("{}\n\n{text}", name.title()))?;
    }
    Ok(())
}

fn figures<B: Kernels>(mut figures: Figures<'_, '_, B>, names: &[FigureName]) -> Result<()> {
    for &name in names {
        let outcome = figures.draw(name)?;
        let folder = figures.bench.results.figures();
        let files = name.file_names().iter();
        let files: Vec<String> = files
            .map(|file| folder.join(format!("{file}.png")).display().to_string())
            .collect();
        let files = files.join(", ");
        figures.bench.bar.suspend(|| match outcome {
            Outcome::Drawn => say!("{files}"),
            Outcome::Kept => say!("{files}, as it was"),
            Outcome::Missing(reason) => say!("{files}: {reason}"),
        })?;
    }
    Ok(())
}
