//! The commands `table` and `figure`.

use std::path::PathBuf;

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::ensure_enough;
use adadiff_storage::write_atomically;
use anyhow::Result;

use super::inputs::Inputs;
use crate::figures::{FigureName, Figures, Outcome};
use crate::pages;
use crate::results::{Results, TableName};
use crate::tables::{Bench, Networks, Rendered, Settings, Variants};
use crate::terminal::{Terminal, say};

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
pub struct Job {
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
}

impl DeviceTask for Job {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let Inputs {
            checkpoint,
            surroundings,
            ..
        } = self.inputs;
        let data = checkpoint.preset.data;
        let preset = checkpoint.preset.to_toml()?;
        let reference = surroundings.reference.clone();
        let yardstick = reference.id(data)?;
        let networks: Networks<B> =
            Networks::new(checkpoint, surroundings, self.variants, device.clone())?;
        let shape = networks.main().loaded.pipeline().image_shape();
        let judge = reference.evaluator(data, shape, &device)?;
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
            terminal: Terminal::evaluations(),
        };
        match self.wanted {
            Wanted::Tables(names) => tables(&mut bench, &names)?,
            Wanted::Figures(names) => {
                let figures = Figures {
                    bench: &mut bench,
                    place: &reference.place,
                    device,
                };
                self::figures(figures, &names)?;
            }
        }
        bench.terminal.finish();
        let report = pages::write_report(&bench.results)?;
        say!("report: {}", report.display())
    }
}

fn tables<B: Kernels>(bench: &mut Bench<B>, names: &[TableName]) -> Result<()> {
    for &name in names {
        let drawn = bench.table(name)?;
        let rendered = Rendered::of(&bench.results, &drawn);
        let path = bench.results.table_path(name, "md");
        write_atomically(&path, rendered.markdown().as_bytes())?;
        let line = format_args!("{}\n\n{}", name.title(), rendered.terminal());
        bench.terminal.print(line)?;
    }
    Ok(())
}

fn figures<B: Kernels>(mut figures: Figures<'_, B>, names: &[FigureName]) -> Result<()> {
    for &name in names {
        let outcome = figures.draw(name)?;
        let folder = figures.bench.results.figures();
        let files = name.file_names().iter();
        let files: Vec<String> = files
            .map(|file| folder.join(format!("{file}.png")).display().to_string())
            .collect();
        let files = files.join(", ");
        let terminal = &figures.bench.terminal;
        match outcome {
            Outcome::Drawn => terminal.print(format_args!("{files}")),
            Outcome::Kept => terminal.print(format_args!("{files}, as it was")),
            Outcome::Missing(reason) => terminal.print(format_args!("{files}: {reason}")),
        }?;
    }
    Ok(())
}
