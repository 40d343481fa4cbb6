//! The command lines of `table`, `figure` and `study`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use super::inputs::InputOptions;
use super::{QUICK_SAMPLES, SAMPLES};
use crate::checkpoint::Checkpoint;
use crate::figures::FigureArgument;
use crate::methods::{MethodEntry, MethodKind};
use crate::presets::{Experiment, Preset, positive};
use crate::results::TableName;
use crate::tables::{TableSettings, Variants};

/// Options of `table`.
#[derive(Debug, Args)]
pub struct TableOptions {
    /// The tables: unconditional or conditional, ual, ablations, solvers, methods, trade-off, all
    #[arg(value_name = "NAME", required = true, value_parser = table_argument)]
    pub names: Vec<TableArgument>,
    /// How rows are measured.
    #[command(flatten)]
    pub measuring: MeasuringOptions,
}

/// Options of `figure`.
#[derive(Debug, Args)]
pub struct FigureOptions {
    /// The figures: 1, 3, 4, 5, 6, exits, reliability, time, all
    #[arg(value_name = "NAME", required = true, value_parser = FigureArgument::parse)]
    pub names: Vec<FigureArgument>,
    /// How rows are measured.
    #[command(flatten)]
    pub measuring: MeasuringOptions,
}

/// Options of `study`.
#[derive(Debug, Args)]
pub struct StudyOptions {
    /// Folder of results, as `table` and `figure` leave it
    #[arg(long, value_name = "DIR")]
    pub results: PathBuf,
    /// Page to write; what stands in it outside of the generated parts stays
    #[arg(long, value_name = "FILE", default_value = "docs/study.md")]
    pub out: PathBuf,
}

/// How rows are measured, and where they are kept.
#[derive(Clone, Debug, Args)]
pub struct MeasuringOptions {
    /// What to sample from, and what samples are judged by.
    #[command(flatten)]
    pub inputs: InputOptions,
    /// Folder of results; what is in it already is not measured again [default: runs/PRESET-results]
    #[arg(long, value_name = "DIR")]
    pub results: Option<PathBuf>,
    /// Samples of each row [default: the preset's, 512 for Fashion-MNIST]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub samples: Option<usize>,
    /// Seeds of each row, whose mean and spread are shown [default: --seed]
    #[arg(long, value_name = "N", value_delimiter = ',', conflicts_with = "seed")]
    pub seeds: Vec<u64>,
    /// A small run that shows that everything works: 96 samples, few rows
    #[arg(long)]
    pub quick: bool,
    /// Compare AdaDiff with these methods only, by commas, in the tables unconditional, conditional,
    /// methods and trade-off and in figure 5, for example paper_rule,static_depth
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = method_argument)]
    pub methods: Vec<MethodKind>,
    /// Folder of networks that were trained otherwise, NAME/ as `train --out` leaves it or
    /// NAME.safetensors [default: runs/PRESET-variants]
    #[arg(long, value_name = "DIR")]
    pub variants: Option<PathBuf>,
    /// The weights of one of them, in place of the folder's
    #[arg(long, value_name = "NAME=FILE", value_parser = variant)]
    pub variant: Vec<(String, PathBuf)>,
    /// Measure no times; other work may run beside
    #[arg(long)]
    pub no_timing: bool,
    /// Judge no samples; rows that were judged before keep their figures
    #[arg(long, conflicts_with = "no_timing")]
    pub no_quality: bool,
    /// Turns of each method in a measurement of times, after one that does not count
    #[arg(long, value_name = "N", value_parser = positive, default_value = "6")]
    pub rounds: usize,
    /// The farthest that a time may be from the one it has to match, as a share of it
    #[arg(long, value_name = "SHARE", value_parser = crate::presets::share, default_value = "0.05")]
    pub tolerance: f64,
}

/// What the command line asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableArgument {
    /// A table.
    One(TableName),
    /// All of the preset's.
    All,
}

fn table_argument(text: &str) -> Result<TableArgument, String> {
    if text == "all" {
        return Ok(TableArgument::All);
    }
    TableName::from_str(text, false)
        .map(TableArgument::One)
        .map_err(|_| {
            let names = TableName::value_variants().iter().map(TableName::to_string);
            format!("known are {} and all", names.collect::<Vec<_>>().join(", "))
        })
}

/// A method that has a knob, by the name that rows of results have it by.
fn method_argument(text: &str) -> Result<MethodKind, String> {
    let mut known = MethodEntry::adjustable().map(|entry| entry.kind);
    match MethodKind::from_str(text, false) {
        Ok(kind) if known.any(|known| known == kind) => Ok(kind),
        _ => {
            let names = MethodEntry::adjustable().filter_map(|entry| {
                let value = entry.kind.to_possible_value()?;
                Some(value.get_name().to_owned())
            });
            Err(format!(
                "known are {}",
                names.collect::<Vec<_>>().join(", ")
            ))
        }
    }
}

fn variant(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.to_owned(), file.into()))
        }
        _ => Err(
            "write a variant and its weights, for example no-ual=weights.safetensors".to_owned(),
        ),
    }
}

impl MeasuringOptions {
    /// The folder of results.
    pub fn folder(&self, preset: &Preset) -> PathBuf {
        let default = || Path::new("runs").join(format!("{}-results", preset.name));
        self.results.clone().unwrap_or_else(default)
    }

    /// Where variants are looked for.
    pub fn variants(&self, experiment: &Experiment, preset: &Preset) -> Variants {
        let default = || Path::new("runs").join(format!("{}-variants", preset.name));
        Variants {
            program: experiment.name,
            checkpoint: self.inputs.sampling.network.checkpoint.clone(),
            folder: self.variants.clone().unwrap_or_else(default),
            files: self.variant.clone(),
        }
    }

    /// How rows are measured.
    ///
    /// # Errors
    /// Where a seed is named twice.
    pub fn settings(&self, checkpoint: &Checkpoint) -> Result<TableSettings> {
        let preset = &checkpoint.preset;
        let samples = self.samples.or(preset.sampling.samples).unwrap_or(SAMPLES);
        let seeds = if self.seeds.is_empty() {
            vec![preset.sampling.seed]
        } else {
            self.seeds.clone()
        };
        ensure!(
            seeds.iter().collect::<BTreeSet<_>>().len() == seeds.len(),
            "a seed is named twice in --seeds; equal seeds give equal samples"
        );
        Ok(TableSettings {
            device: self.inputs.sampling.network.device.to_string(),
            samples: if self.quick {
                samples.min(QUICK_SAMPLES)
            } else {
                samples
            },
            seeds,
            quick: self.quick,
            methods: self.methods.clone(),
            quality: !self.no_quality,
            rounds: match (self.no_timing, self.quick) {
                (true, _) => None,
                (false, true) => Some(1),
                (false, false) => Some(self.rounds),
            },
            tolerance: self.tolerance,
            protocol: checkpoint.protocol(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_as_on_the_command_line() {
        assert_eq!(
            table_argument("trade-off"),
            Ok(TableArgument::One(TableName::TradeOff))
        );
        assert_eq!(table_argument("all"), Ok(TableArgument::All));
        assert_eq!(
            table_argument("table1"),
            Err(
                "known are unconditional, conditional, ual, ablations, solvers, methods, by-sample, \
                 trade-off and all"
                    .to_owned()
            )
        );
    }

    #[test]
    fn methods_are_named_as_in_results() {
        assert_eq!(method_argument("paper_rule"), Ok(MethodKind::PaperRule));
        assert_eq!(method_argument("speca"), Ok(MethodKind::SpeCa));
        let error = method_argument("full").unwrap_err();
        assert!(
            error.starts_with("known are paper_rule, allocated, distance, static_depth"),
            "{error}"
        );
    }

    #[test]
    fn variants_have_names_and_files() {
        assert_eq!(
            variant("no-ual=a/b=c.safetensors"),
            Ok(("no-ual".to_owned(), "a/b=c.safetensors".into()))
        );
        assert!(variant("weights.safetensors").is_err());
        assert!(variant("=weights.safetensors").is_err());
    }
}
