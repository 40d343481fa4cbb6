//! The commands `table` and `figure`.

use std::path::PathBuf;

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Monitor, ensure_enough};
use adadiff_report::{WRITES_PNG, picture_path};
use adadiff_storage::write_atomically;
use anyhow::Result;

use super::inputs::Inputs;
use crate::figures::{FigureName, FigureOutcome, FigureRunner};
use crate::pages;
use crate::results::{Results, TableName};
use crate::tables::{RenderedTable, TableNetworks, TableRunner, TableSettings, Variants};
use crate::terminal::{Terminal, say};

/// What is to be measured and drawn.
#[derive(Clone, Debug)]
pub enum Requested {
    Tables(Vec<TableName>),
    Figures(Vec<FigureName>),
}

/// Measures and draws tables or figures.
#[derive(Debug)]
pub struct Job {
    pub requested: Requested,
    /// What to sample from, and what samples are judged by.
    pub inputs: Inputs,
    /// Where networks are that were trained otherwise.
    pub variants: Variants,
    /// How rows are measured.
    pub settings: TableSettings,
    pub folder: PathBuf,
}

impl DeviceTask for Job {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let Inputs {
            checkpoint,
            component_files,
            ..
        } = self.inputs;
        let data = checkpoint.preset.data;
        let preset = checkpoint.preset_of_own_protocol().to_toml()?;
        let reference = component_files.reference.clone();
        let reference_id = reference.id(data)?;
        let networks: TableNetworks<B> =
            TableNetworks::new(checkpoint, component_files, self.variants, device.clone())?;
        let shape = networks.main().loaded.pipeline().image_shape();
        let evaluator = reference.evaluator(data, shape, &device)?;
        // Said before hours of sampling, not after.
        let samples = self.settings.samples;
        let asked = format!("{samples} were asked for");
        ensure_enough(samples as u64, evaluator.dims(), &asked)?;
        let results = Results::open(&self.folder)?;
        write_atomically(&self.folder.join("preset.toml"), preset.as_bytes())?;
        let mut bench = TableRunner {
            networks,
            evaluator,
            reference_id,
            settings: self.settings,
            results,
            terminal: Terminal::evaluations(),
        };
        match self.requested {
            Requested::Tables(names) => tables(&mut bench, &names)?,
            Requested::Figures(names) => {
                let figures = FigureRunner {
                    bench: &mut bench,
                    dataset: &reference.dataset,
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

fn tables<B: Kernels>(bench: &mut TableRunner<B>, names: &[TableName]) -> Result<()> {
    for &name in names {
        let drawn = bench.table(name)?;
        let rendered = RenderedTable::new(&bench.results, &drawn);
        let path = bench.results.table_path(&drawn, "md");
        write_atomically(&path, rendered.markdown().as_bytes())?;
        let line = format_args!("{}\n\n{}", drawn.title(), rendered.terminal());
        bench.terminal.print(line)?;
    }
    Ok(())
}

fn figures<B: Kernels>(mut figures: FigureRunner<'_, B>, names: &[FigureName]) -> Result<()> {
    for &name in names {
        let outcome = figures.draw(name)?;
        let folder = figures.bench.results.figures();
        let files = name.files(figures.bench.settings.protocol.as_ref());
        let files: Vec<String> = files
            .iter()
            .map(|file| picture_path(&folder, file).display().to_string())
            .collect();
        let files = files.join(", ");
        let terminal = &figures.bench.terminal;
        match outcome {
            FigureOutcome::Drawn => terminal.print(format_args!("{files}")),
            FigureOutcome::Kept => terminal.print(format_args!("{files}, as it was")),
            FigureOutcome::Missing(reason) => terminal.print(format_args!("{files}: {reason}")),
        }?;
    }
    if !WRITES_PNG {
        let terminal = &figures.bench.terminal;
        terminal.note("note: a build with `--features png` writes every figure as PNG too");
    }
    Ok(())
}
