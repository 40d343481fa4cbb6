//! The command `sample`: a grid of samples and the trace of their exits.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use adadiff_backends::DeviceTask;
use adadiff_data::{CIFAR10_CLASS_NAMES, CLASS_NAMES};
use adadiff_model::kernels::Kernels;
use adadiff_report::{ExitHeatmap, GridStyle, ImageBatch, image_grid, write_png};
use adadiff_storage::{RunFolder, write_atomically};
use anyhow::{Context, Result, bail};

use crate::budget::Wish;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::components::Surroundings;
use crate::methods::Exit;
use crate::presets::DataSet;
use crate::study::{Conditions, Study};
use crate::terminal::evaluations_bar;

/// What to sample.
#[derive(Debug)]
pub struct Sample<'a> {
    /// The trained network.
    pub checkpoint: Checkpoint,
    /// What stands before and behind it.
    pub surroundings: Surroundings,
    /// The budget, where it is none of blocks.
    pub wish: Option<Wish>,
    /// The folder to write, if one was named.
    pub out: Option<PathBuf>,
    /// Number of samples.
    pub samples: usize,
    /// The label of all samples; all classes in turn where none was named.
    pub class: Option<usize>,
    /// Without a label at all.
    pub unconditional: bool,
    /// When samples leave.
    pub exit: Exit,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
}

impl DeviceTask for Sample<'_> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let experiment = format!("{}-sample", self.checkpoint.preset.name);
        let folder = RunFolder::create(self.out.as_deref(), &experiment)?;
        let mut study: Study<'_, B> =
            self.surroundings
                .study(self.checkpoint, &device, self.stop)?;
        if self.unconditional {
            study.preset.sampling.guidance = 0.0;
        }
        let mut draw = study.plan(self.samples)?;
        let classes = match &draw.conditions {
            Conditions::Classes(classes) => classes.len(),
            _ => 0,
        };
        if let Some(class) = self.class {
            if class >= classes {
                bail!("{}", no_class(class, classes));
            }
            draw.conditions = Conditions::Classes(vec![class]);
        }
        if self.unconditional {
            if classes == 0 {
                bail!("--unconditional is for networks that are conditioned on classes");
            }
            draw.conditions = Conditions::Classes(vec![classes]);
        }

        let bar = evaluations_bar();
        if let Some(wish) = &self.wish {
            let calibration = wish.enter(&mut study, None, &device, &bar)?;
            calibration.write_beside(&folder.path())?;
        }
        bar.set_message("calibrating");
        let calibration = self.exit.calibration(&study, &bar)?;
        let policy = self.exit.policy(calibration.as_ref());
        bar.set_length(bar.position() + (self.samples * study.preset.sampling.steps) as u64);
        bar.set_message("sampling");
        let drawn = study
            .draw(policy, &draw, &bar)
            .context("nothing was written")?;
        bar.finish_and_clear();

        let [channels, height, width] = study.image_shape();
        let shape = [self.samples, channels, height, width];
        let images = ImageBatch::new(&drawn.pixels, shape)?;
        write_png(
            &folder.path().join("samples.png"),
            &image_grid(&images, GridStyle::of_width(width))?,
        )?;
        write_each(&folder.path().join("images"), &drawn.pixels, shape)?;
        let exits = drawn.trace.steps.iter();
        let exits = exits.map(|step| (step.timestep, step.blocks.as_slice()));
        ExitHeatmap::of_exits(drawn.trace.blocks_per_prediction, exits)?
            .write(&folder.path(), "exit_depth")?;
        let trace = serde_json::to_vec(&drawn.trace)?;
        write_atomically(&folder.path().join("trace.json"), &trace)?;
        let preset = study.preset.to_toml()?;
        write_atomically(&folder.path().join("preset.toml"), preset.as_bytes())?;
        let folder = folder.finish()?;
        println!(
            "{} samples of {}: {:.2} of {} blocks, {:.4} s an image, in {}",
            self.samples,
            subject(study.preset.data, &draw.conditions),
            study.cost(&drawn.effort)?.blocks_mean,
            study.blocks(),
            drawn.seconds_per_image(),
            folder.display()
        );
        Ok(())
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
        Conditions::Classes(classes) => match (classes.as_slice(), data) {
            ([class], DataSet::FashionMnist) => {
                CLASS_NAMES.get(*class).unwrap_or(&"no class").to_string()
            }
            ([class], DataSet::Cifar10) => CIFAR10_CLASS_NAMES
                .get(*class)
                .unwrap_or(&"no class")
                .to_string(),
            ([class], _) => format!("class {class}"),
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
        let image = ImageBatch::new(image, [1, channels, height, width])?;
        let picture = image_grid(&image, GridStyle::single())?;
        write_png(&folder.join(format!("{number:06}.png")), &picture)?;
    }
    Ok(())
}
