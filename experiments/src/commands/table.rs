//! The commands `table` and `figure`.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use adadiff_storage::write_atomically;
use anyhow::Result;

use crate::checkpoint::Checkpoint;
use crate::checkpoint::components::Surroundings;
use crate::figures::{FigureName, Figures, Outcome};
use crate::judge::{JudgeOptions, ensure_enough};
use crate::pages;
use crate::presets::Place;
use crate::results::{Results, TableName};
use crate::tables::{Bench, Networks, Rendered, Settings, Variants};
use crate::terminal::evaluations_bar;

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
    /// The trained network.
    pub checkpoint: Checkpoint,
    /// What stands before and behind it.
    pub surroundings: Surroundings,
    /// Where networks are that were trained otherwise.
    pub variants: Variants,
    /// What samples are judged by.
    pub judge: JudgeOptions,
    /// The images to compare with, where there are no statistics of them.
    pub place: Place,
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
        let data = self.checkpoint.preset.data;
        let preset = self.checkpoint.preset.to_toml()?;
        let yardstick = self.surroundings.yardstick.name(data)?;
        let networks: Networks<'_, B> = Networks::new(
            self.checkpoint,
            self.surroundings,
            self.variants,
            device.clone(),
            self.stop,
        )?;
        let shape = networks.main().study.image_shape();
        let judge = self.judge.judge(data, &self.place, shape, &device)?;
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
                    place: &self.place,
                    device,
                };
                self::figures(figures, &names)?;
            }
        }
        bench.bar.finish_and_clear();
        let report = pages::write_report(&bench.results)?;
        println!("report: {}", report.display());
        Ok(())
    }
}

fn tables<B: Kernels>(bench: &mut Bench<'_, B>, names: &[TableName]) -> Result<()> {
    for &name in names {
        let drawn = bench.table(name)?;
        let rendered = Rendered::of(&bench.results, &drawn);
        let path = bench.results.table_path(name, "md");
        write_atomically(&path, rendered.markdown().as_bytes())?;
        bench.bar.suspend(|| {
            println!("{}\n\n{}", name.title(), rendered.terminal());
        });
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
            Outcome::Drawn => println!("{files}"),
            Outcome::Kept => println!("{files}, as it was"),
            Outcome::Missing(reason) => println!("{files}: {reason}"),
        });
    }
    Ok(())
}
