//! The command `sample`: a grid of samples and the trace of their exits.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Conditions, Monitor};
use adadiff_report::{GridStyle, ImageValues, image_grid, write_png};
use adadiff_storage::{RunFolder, write_atomically};
use anyhow::{Context, Result, bail};
use clap::Args;

use super::Task;
use super::inputs::InputOptions;
use super::options::PromptOptions;
use crate::checkpoint::LoadedCheckpoint;
use crate::evaluator::ClassAccuracy;
use crate::figures::exit_heatmap;
use crate::methods::Exit;
use crate::presets::{DataSet, positive};
use crate::terminal::{Terminal, say};

/// Options of `sample`.
#[derive(Debug, Args)]
pub struct SampleOptions {
    /// What to sample from, and what samples are judged by.
    #[command(flatten)]
    pub inputs: InputOptions,
    /// What to draw.
    #[command(flatten)]
    pub prompts: PromptOptions,
    /// Folder to write [default: runs/PRESET-sample/DATE]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Number of samples
    #[arg(long, value_name = "N", value_parser = positive, default_value = "64")]
    pub samples: usize,
    /// Label of all samples, from 0 [default: all classes in turn]
    #[arg(long, value_name = "LABEL")]
    pub class: Option<usize>,
    /// Sample without a label
    #[arg(long, conflicts_with_all = ["class", "guidance"])]
    pub unconditional: bool,
    /// Use the full network
    #[arg(long, conflicts_with_all = ["reduction", "speedup", "max_fd_increase", "depth"])]
    pub full: bool,
    /// Leave after this many blocks
    #[arg(long, value_name = "BLOCKS", conflicts_with_all = ["reduction", "speedup", "max_fd_increase"])]
    pub depth: Option<NonZeroUsize>,
}

impl DeviceTask for Task<'_, SampleOptions> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let options = self.options;
        let mut inputs = options.inputs.resolve(self.experiment)?;
        options.prompts.apply_to(&mut inputs.component_files)?;
        let experiment = format!("{}-sample", inputs.checkpoint.preset.name);
        let folder = RunFolder::create(options.out.as_deref(), &experiment)?;
        let request = inputs.request.take();
        let mut loaded: LoadedCheckpoint<B> = inputs.load(&device)?;
        if options.unconditional {
            loaded.change_sampling(|sampling| sampling.guidance = 0.0);
        }
        let mut draw = loaded.plan(options.samples)?;
        let classes = match &draw.conditions {
            Conditions::Classes(classes) => classes.len(),
            _ => 0,
        };
        if let Some(class) = options.class {
            if class >= classes {
                bail!("{}", no_class(class, classes));
            }
            draw.conditions = Conditions::Classes(vec![class]);
        }
        if options.unconditional {
            if classes == 0 || !loaded.pipeline().config.has_no_class {
                bail!(
                    "--unconditional is for networks that are conditioned on classes and were trained \
                     without them, too"
                );
            }
            draw.conditions = Conditions::Classes(vec![classes]);
        }

        let terminal = Terminal::evaluations();
        if let Some(request) = request {
            let calibration = request.adopt(&mut loaded, None, &terminal)?;
            calibration.write_beside(&folder.path())?;
        }
        terminal.stage("calibrating");
        let exit = Exit::new(options.full, options.depth);
        let calibration = exit.calibration(&loaded, &terminal)?;
        let exits = exit.policy(calibration.as_ref());
        terminal.expect((options.samples * loaded.preset().sampling.steps) as u64);
        let pipeline = loaded.pipeline();
        let bytes = pipeline.most_memory(&exits, &draw)?;
        if bytes > 0 {
            let kilobytes = bytes as f64 / 1e3;
            terminal.note(&format!(
                "note: forecasts keep up to {kilobytes:.1} kB of a sample from step to step"
            ));
        }
        terminal.stage("sampling");
        let drawn = pipeline
            .generate(&exits, &draw, &terminal)
            .context("nothing was written")?;
        terminal.finish();

        let [channels, height, width] = pipeline.image_shape();
        let shape = [options.samples, channels, height, width];
        let images = ImageValues::new(&drawn.pixels, shape)?;
        write_png(
            &folder.path().join("samples.png"),
            &image_grid(&images, GridStyle::of_width(width))?,
        )?;
        write_each(&folder.path().join("images"), &drawn.pixels, shape)?;
        exit_heatmap(&drawn.trace, Some(&exits))?.write(&folder.path(), "exit_depth")?;
        let trace = serde_json::to_vec(&drawn.trace)?;
        write_atomically(&folder.path().join("trace.json"), &trace)?;
        let preset = loaded.preset().to_toml()?;
        write_atomically(&folder.path().join("preset.toml"), preset.as_bytes())?;
        let data = loaded.preset().data;
        let accuracy = ClassAccuracy::new::<B>(
            data,
            &drawn.pixels,
            pipeline.image_shape(),
            &draw.conditions,
            &device,
        )?;
        let folder = folder.finish()?;
        say!(
            "{} samples of {}: {:.2} of {} blocks, {:.4} s an image, in {}",
            options.samples,
            subject(data, &draw.conditions),
            pipeline.cost(&drawn.counts)?.blocks_mean,
            pipeline.blocks(),
            drawn.seconds_per_image(),
            folder.display()
        )?;
        match accuracy {
            Some(accuracy) => say!("{accuracy}"),
            None => Ok(()),
        }
    }
}

fn no_class(class: usize, classes: usize) -> String {
    match classes {
        0 => format!("there is no class {class}: the network is not conditioned on classes"),
        _ => format!(
            "there is no class {class}; classes are 0 to {}",
            classes - 1
        ),
    }
}

/// What samples show.
fn subject(data: DataSet, conditions: &Conditions) -> String {
    match conditions {
        Conditions::None => "whatever the data set shows".to_owned(),
        Conditions::Texts(contexts) => format!("{} prompts in turn", contexts.len()),
        Conditions::Classes(classes) => match classes.as_slice() {
            [class] => match data.class_names() {
                [] => format!("class {class}"),
                names => names.get(*class).unwrap_or(&"no class").to_string(),
            },
            _ => "all classes in turn".to_owned(),
        },
    }
}

/// Writes each image as a PNG file, named by its number.
fn write_each(
    folder: &Path,
    pixels: &[f32],
    [_, channels, height, width]: [usize; 4],
) -> Result<()> {
    fs::create_dir(folder)?;
    let images = pixels.chunks(channels * height * width);
    for (number, image) in images.enumerate() {
        let image = ImageValues::new(image, [1, channels, height, width])?;
        let picture = image_grid(&image, GridStyle::single())?;
        write_png(&folder.join(format!("{number:06}.png")), &picture)?;
    }
    Ok(())
}
