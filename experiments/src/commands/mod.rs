//! The command line that the programs of all data sets share.

mod arguments;
mod backends;
mod budget_request;
mod calibrate;
mod compare;
mod compare_report;
mod dry_run;
mod evaluate;
mod import;
mod inputs;
mod network_source;
mod options;
mod prepare;
mod reference;
mod sample;
mod table;
mod table_options;
mod timing;
mod train;
mod train_features;

pub use network_source::NetworkSource;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use adadiff_backends::{DeviceName, DeviceTask, run_on};
use anyhow::{Context, Result};
use clap::{CommandFactory, FromArgMatches};

use crate::commands::dry_run::DryRun;
use crate::commands::import::Import;
use crate::commands::inputs::Inputs;
use crate::commands::table::{Job, Requested};
use crate::commands::table_options::{
    FigureOptions, MeasuringOptions, StudyOptions, TableArgument, TableOptions,
};
use crate::commands::train::{Train, among_processes};
use crate::figures::{FIGURE_2, FigureArgument, FigureName};
use crate::pages::{write_document, write_report};
use crate::presets::Experiment;
use crate::results::{Results, TableName};
use crate::terminal::{STOP, describe_error, note, say};
use arguments::{Arguments, Command, ImportOptions, TrainOptions};

/// Samples of a quick run: enough for a covariance of 64 features.
const QUICK_SAMPLES: usize = 96;

/// Samples of a row where the preset names no number.
const SAMPLES: usize = 512;

/// A command with its options, on a device.
#[derive(Debug)]
struct Task<'a, O> {
    options: O,
    /// The program, which knows its presets.
    experiment: &'a Experiment,
}

impl Experiment {
    /// Runs the program; errors are told on standard error.
    #[cfg(all(feature = "programs", not(test)))]
    pub fn main(&self) -> ExitCode {
        adadiff_backends::keep_freed_memory();
        match self.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                note!("error: {}", describe_error(&error));
                ExitCode::FAILURE
            }
        }
    }

    fn run(&self) -> Result<()> {
        let presets: Vec<_> = self.preset_names().collect();
        let command = Arguments::command()
            .name(self.name)
            .about(self.about)
            .after_help(format!("Presets: {}", presets.join(", ")));
        let arguments = Arguments::from_arg_matches(&command.get_matches())?;
        ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed))
            .context("cannot handle Ctrl-C")?;
        match arguments.command {
            None => self.run_on(
                arguments.compare.inputs.sampling.network.device,
                arguments.compare,
            ),
            Some(Command::Prepare(options)) => self.run_on(options.device, options),
            Some(Command::Train(options)) => self.train(options),
            Some(Command::TrainFeatures(options)) => self.run_on(options.device, options),
            Some(Command::Reference(options)) => self.run_on(options.device, options),
            Some(Command::Evaluate(mut options)) => self.run_on(options.device()?, options),
            Some(Command::Merge(options)) => options.carry_out(),
            Some(Command::Table(options)) => self.table(options),
            Some(Command::Figure(options)) => self.figure(options),
            Some(Command::Study(options)) => study(&options),
            Some(Command::Sample(options)) => {
                self.run_on(options.inputs.sampling.network.device, options)
            }
            Some(Command::Calibrate(options)) => {
                self.run_on(options.inputs.sampling.network.device, options)
            }
            Some(Command::Timing(options)) => {
                self.run_on(options.inputs.sampling.network.device, options)
            }
            Some(Command::Backends(options)) => options.carry_out(self, &STOP),
            Some(Command::Import(options)) => self.import(options),
        }
    }

    fn run_on<O>(&self, device: DeviceName, options: O) -> Result<()>
    where
        for<'a> Task<'a, O>: DeviceTask<Output = Result<()>>,
    {
        let task = Task {
            options,
            experiment: self,
        };
        run_on(device, task)
    }

    fn train(&self, options: TrainOptions) -> Result<()> {
        let mut preset = self.preset(options.preset.as_deref())?;
        preset = preset.with_settings(&options.settings)?;
        options.apply_to(&mut preset.backbone_training)?;
        options.apply_to(&mut preset.joint_training)?;
        options.refuse_old()?;
        if options.dry_run {
            return run_on(options.device, DryRun { preset });
        }
        let rank = options.rank.rank()?;
        let device = if options.device_by_rank {
            options.device.of_process(rank)?
        } else {
            options.device
        };
        let out = options.out.unwrap_or_else(|| {
            let folder = format!("{}-train", preset.name);
            Path::new("runs").join(folder)
        });
        among_processes(rank, &STOP, |processes| {
            let task = Train {
                preset,
                dataset: options.dataset.into(),
                latents: options.latents,
                autoencoder: options.autoencoder,
                must_judge: options.judge_every.is_some(),
                evaluator: options.evaluator,
                backbone: options.backbone,
                backbone_only: options.backbone_only,
                change_optimizer: options.change_optimizer,
                processes,
                out,
                stop: &STOP,
            };
            run_on(device, task)
        })
    }

    fn table(&self, options: TableOptions) -> Result<()> {
        let inputs = options.measuring.inputs.resolve(self)?;
        let preset = &inputs.checkpoint.preset;
        let mut names = Vec::new();
        for name in options.names {
            match name {
                TableArgument::All => names.extend(TableName::for_preset(preset)),
                TableArgument::One(name) => {
                    name.check(preset)?;
                    names.push(name);
                }
            }
        }
        self.measure(&options.measuring, inputs, Requested::Tables(names))
    }

    fn figure(&self, options: FigureOptions) -> Result<()> {
        let mut names = Vec::new();
        for name in options.names {
            match name {
                FigureArgument::All => names.extend(FigureName::ALL),
                FigureArgument::One(name) => names.push(name),
                FigureArgument::Diagram => say!("{FIGURE_2}")?,
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        let inputs = options.measuring.inputs.resolve(self)?;
        self.measure(&options.measuring, inputs, Requested::Figures(names))
    }

    fn measure(
        &self,
        options: &MeasuringOptions,
        inputs: Inputs,
        requested: Requested,
    ) -> Result<()> {
        let preset = &inputs.checkpoint.preset;
        let device = inputs.device;
        let job = Job {
            requested,
            variants: options.variants(self, preset),
            settings: options.settings(&inputs.checkpoint)?,
            folder: options.folder(preset),
            inputs,
        };
        run_on(device, job)
    }

    fn import(&self, options: ImportOptions) -> Result<()> {
        let preset = match &options.preset {
            Some(name) => Some(self.preset(Some(name))?),
            None => None,
        };
        let task = Import {
            file: options.file,
            out: options.out,
            preset,
            known: self.presets()?,
            heads: options.heads,
            text_tokens: options.text_tokens,
            state_dict: options.state_dict,
        };
        run_on(options.device, task)
    }
}

fn study(options: &StudyOptions) -> Result<()> {
    write_document(&options.results, &options.out)?;
    let report = write_report(&Results::read(&options.results)?)?;
    say!("document: {}", options.out.display())?;
    say!("report: {}", report.display())
}
