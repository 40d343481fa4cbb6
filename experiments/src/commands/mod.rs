//! The command line that the programs of all data sets share.

mod arguments;
mod backends;
mod calibrate;
mod compare;
mod compare_report;
mod dry_run;
mod evaluate;
mod import;
mod options;
mod prepare;
mod reference;
mod sample;
mod table;
mod table_options;
mod timing;
mod train;
mod train_features;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use adadiff_backends::{run_on, run_on_all};
use adadiff_data::LatentStorage;
use adadiff_train::Node;
use anyhow::{Context, Result, bail};
use clap::{CommandFactory, FromArgMatches};

use crate::budget::Wish;
use crate::calibrations::Calibrations;
use crate::checkpoint::Checkpoint;
use crate::commands::backends::BackendsOptions;
use crate::commands::calibrate::Calibrate;
use crate::commands::compare::MainJob;
use crate::commands::dry_run::DryRun;
use crate::commands::evaluate::{Evaluate, Merge};
use crate::commands::import::Import;
use crate::commands::prepare::Prepare;
use crate::commands::reference::Reference;
use crate::commands::sample::Sample;
use crate::commands::table::{Job, Wanted};
use crate::commands::table_options::{
    FigureOptions, MeasuringOptions, StudyOptions, TableArgument, TableOptions,
};
use crate::commands::timing::TimeExits;
use crate::commands::train::Train;
use crate::commands::train_features::TrainFeatures;
use crate::figures::{FIGURE_2, FigureArgument, FigureName};
use crate::methods::Exit;
use crate::pages::{write_document, write_report};
use crate::presets::Experiment;
use crate::results::{Results, TableName};
use arguments::{
    Arguments, CalibrateOptions, Command, CompareOptions, EvaluateOptions, ImportOptions,
    MergeOptions, PrepareOptions, ReferenceOptions, SampleOptions, TimingOptions,
    TrainFeaturesOptions, TrainOptions,
};

static STOP: AtomicBool = AtomicBool::new(false);

/// Samples of a quick run: enough for a covariance of 64 features.
const QUICK_SAMPLES: usize = 96;

/// Samples of a row where the preset names no number.
const SAMPLES: usize = 512;

/// The budgets of the curve beside the preset's own.
const CURVE: [f64; 5] = [0.15, 0.3, 0.45, 0.6, 0.75];

impl Experiment {
    /// Runs the program; errors are told on standard error.
    #[cfg(all(feature = "programs", not(test)))]
    pub fn main(&self) -> ExitCode {
        adadiff_backends::keep_freed_memory();
        match self.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
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
            None => self.compare(arguments.compare),
            Some(Command::Prepare(options)) => self.prepare(options),
            Some(Command::Train(options)) => self.train(options),
            Some(Command::TrainFeatures(options)) => self.train_features(options),
            Some(Command::Reference(options)) => self.reference(options),
            Some(Command::Evaluate(options)) => self.evaluate(options),
            Some(Command::Merge(options)) => merge(options),
            Some(Command::Table(options)) => self.table(options),
            Some(Command::Figure(options)) => self.figure(options),
            Some(Command::Study(options)) => study(&options),
            Some(Command::Sample(options)) => self.sample(options),
            Some(Command::Calibrate(options)) => self.calibrate(options),
            Some(Command::Timing(options)) => self.timing(options),
            Some(Command::Backends(options)) => self.backends(options),
            Some(Command::Import(options)) => self.import(options),
        }
    }

    fn compare(&self, options: CompareOptions) -> Result<()> {
        let checkpoint = options.sampling.checkpoint(self)?;
        let samples = options.samples.or(checkpoint.preset.sampling.samples);
        let samples = match (samples.unwrap_or(SAMPLES), options.quick) {
            (samples, true) => samples.min(QUICK_SAMPLES),
            (samples, false) => samples,
        };
        if samples <= 64 {
            bail!(
                "the Fréchet distance over 64 features needs more than 64 samples, {samples} were \
                 asked for; `sample --samples {samples}` draws a few pictures without judging them"
            );
        }
        let wish = options.sampling.wish(&options.judge, &options.place);
        let surroundings = options
            .sampling
            .surroundings(&options.judge, &options.place);
        let job = MainJob {
            checkpoint,
            wish,
            judge: options.judge,
            place: options.place.into(),
            surroundings,
            device: options.sampling.device,
            out: options.out,
            samples,
            curve_samples: samples.min(128),
            curve: if options.quick {
                vec![0.3, 0.6]
            } else {
                CURVE.to_vec()
            },
            command: std::env::args().collect::<Vec<_>>().join(" "),
            stop: &STOP,
        };
        run_on(options.sampling.device, job)?;
        Ok(())
    }

    fn train(&self, options: TrainOptions) -> Result<()> {
        let mut preset = self.preset(options.preset.as_deref())?;
        preset = preset.with_settings(&options.settings)?;
        options.enter(&mut preset.backbone_training)?;
        options.enter(&mut preset.joint_training)?;
        let mut devices = match options.devices.is_empty() {
            true => vec![options.device],
            false => options.devices,
        };
        let node = match options.leader {
            None => None,
            Some(leader) => {
                let rank = options.rank.rank()?;
                if options.device_by_rank {
                    devices = vec![options.device.of_process(rank)?];
                }
                Some(Node {
                    rank: rank.rank as usize,
                    count: rank.size as usize,
                    leader,
                })
            }
        };
        if options.dry_run {
            return run_on_all(&devices, DryRun { preset });
        }
        let out = options.out.unwrap_or_else(|| {
            let folder = format!("{}-train", preset.name);
            Path::new("runs").join(folder)
        });
        run_on_all(
            &devices,
            Train {
                preset,
                place: options.place.into(),
                latents: options.latents,
                autoencoder: options.autoencoder,
                must_judge: options.judge_every.is_some(),
                judge: options.judge,
                backbone: options.backbone,
                backbone_only: options.backbone_only,
                node,
                out,
                stop: &STOP,
            },
        )
    }

    fn train_features(&self, options: TrainFeaturesOptions) -> Result<()> {
        let out = options
            .out
            .unwrap_or_else(|| Path::new("runs").join(format!("{}_cnn.safetensors", self.name)));
        run_on(
            options.device,
            TrainFeatures {
                set: self.preset(None)?.data,
                data: options.data,
                out,
                stop: &STOP,
            },
        )
    }

    fn prepare(&self, options: PrepareOptions) -> Result<()> {
        run_on(
            options.device,
            Prepare {
                preset: self.preset(options.preset.as_deref())?,
                place: options.place.into(),
                autoencoder: options.autoencoder,
                text_model: options.text_model,
                vocabulary: options.vocabulary,
                storage: match options.half {
                    true => LatentStorage::F16,
                    false => LatentStorage::F32,
                },
                batch: options.batch,
                images_per_shard: options.images_per_shard,
                most_bad_images: options.skip_bad,
                out: options.out,
                stop: &STOP,
            },
        )
    }

    fn reference(&self, options: ReferenceOptions) -> Result<()> {
        run_on(
            options.device,
            Reference {
                preset: self.preset(options.preset.as_deref())?,
                place: options.place.into(),
                judge: options.judge,
                out: options.out,
            },
        )
    }

    fn evaluate(&self, options: EvaluateOptions) -> Result<()> {
        let checkpoint = options.sampling.checkpoint(self)?;
        let rank = options.rank.rank()?;
        let device = match options.device_by_rank {
            true => options.sampling.device.of_process(rank)?,
            false => options.sampling.device,
        };
        let samples = options.samples.or(checkpoint.preset.sampling.samples);
        let wish = options.sampling.wish(&options.judge, &options.place);
        let wish = wish.map(|wish| Wish {
            device,
            only_stored: rank.size > 1,
            ..wish
        });
        let task = Evaluate {
            checkpoint,
            wish,
            weights: options.sampling.checkpoint.clone(),
            surroundings: options
                .sampling
                .surroundings(&options.judge, &options.place),
            judge: options.judge,
            exit: Exit::new(options.full, options.depth),
            samples: samples.unwrap_or(SAMPLES) as u64,
            rank,
            device,
            out: options.out,
            stop: &STOP,
        };
        run_on(device, task)
    }

    fn table(&self, options: TableOptions) -> Result<()> {
        let checkpoint = options.measuring.sampling.checkpoint(self)?;
        let preset = &checkpoint.preset;
        let mut names = Vec::new();
        for name in options.names {
            match name {
                TableArgument::All => names.extend(TableName::of(preset)),
                TableArgument::One(name) => {
                    name.check(preset)?;
                    names.push(name);
                }
            }
        }
        self.measure(options.measuring, checkpoint, Wanted::Tables(names))
    }

    fn figure(&self, options: FigureOptions) -> Result<()> {
        let mut names = Vec::new();
        for name in options.names {
            match name {
                FigureArgument::All => names.extend(FigureName::ALL),
                FigureArgument::One(name) => names.push(name),
                FigureArgument::Diagram => println!("{FIGURE_2}"),
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        let checkpoint = options.measuring.sampling.checkpoint(self)?;
        self.measure(options.measuring, checkpoint, Wanted::Figures(names))
    }

    fn measure(
        &self,
        options: MeasuringOptions,
        checkpoint: Checkpoint,
        wanted: Wanted,
    ) -> Result<()> {
        let preset = &checkpoint.preset;
        let job = Job {
            wanted,
            surroundings: options
                .sampling
                .surroundings(&options.judge, &options.place),
            variants: options.variants(self, preset),
            settings: options.settings(preset)?,
            folder: options.folder(preset),
            judge: options.judge,
            place: options.place.into(),
            checkpoint,
            stop: &STOP,
        };
        run_on(options.sampling.device, job)
    }

    fn sample(&self, options: SampleOptions) -> Result<()> {
        let exit = Exit::new(options.full, options.depth);
        let mut surroundings = options
            .sampling
            .surroundings(&options.judge, &options.place);
        options.prompts.enter(&mut surroundings)?;
        let task = Sample {
            checkpoint: options.sampling.checkpoint(self)?,
            surroundings,
            wish: options.sampling.wish(&options.judge, &options.place),
            out: options.out,
            samples: options.samples,
            class: options.class,
            unconditional: options.unconditional,
            exit,
            stop: &STOP,
        };
        run_on(options.sampling.device, task)
    }

    fn calibrate(&self, options: CalibrateOptions) -> Result<()> {
        let checkpoint = options.sampling.checkpoint(self)?;
        let out: PathBuf = match (&options.out, &options.sampling.checkpoint) {
            (Some(out), _) => out.clone(),
            (None, Some(weights)) => Calibrations::path_beside(weights),
            (None, None) => bail!(
                "the bundled checkpoint is part of the program; name a file for its thresholds \
                 with --out, or weights of your own with --checkpoint"
            ),
        };
        let reductions = match options.reductions.is_empty() {
            true => vec![checkpoint.preset.sampling.reduction],
            false => options.reductions,
        };
        run_on(
            options.sampling.device,
            Calibrate {
                checkpoint,
                surroundings: options
                    .sampling
                    .surroundings(&options.judge, &options.place),
                wish: options.sampling.wish(&options.judge, &options.place),
                out,
                reductions,
                stop: &STOP,
            },
        )
    }

    fn timing(&self, options: TimingOptions) -> Result<()> {
        let task = TimeExits {
            checkpoint: options.sampling.checkpoint(self)?,
            surroundings: options
                .sampling
                .surroundings(&options.judge, &options.place),
            wish: options.sampling.wish(&options.judge, &options.place),
            batches: options.batches,
            rounds: options.rounds,
            out: options.out,
            stop: &STOP,
        };
        run_on(options.sampling.device, task)
    }

    fn backends(&self, options: BackendsOptions) -> Result<()> {
        let checkpoint = options.sampling.checkpoint(self)?;
        options.carry_out(checkpoint, &STOP)
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
        };
        run_on(options.device, task)
    }
}

fn study(options: &StudyOptions) -> Result<()> {
    write_document(&options.results, &options.out)?;
    let report = write_report(&Results::read(&options.results)?)?;
    println!("document: {}", options.out.display());
    println!("report: {}", report.display());
    Ok(())
}

fn merge(options: MergeOptions) -> Result<()> {
    let MergeOptions {
        folder,
        write_statistics,
        reference,
    } = options;
    Merge {
        folder,
        statistics: write_statistics,
        reference,
    }
    .carry_out()
}
