//! The command `reference`: the statistics that samples are compared with.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use adadiff_backends::{DeviceName, DeviceTask};
use adadiff_data::{BadImages, Split};
use adadiff_metrics::{FeatureOrigin, Gaussian};
use adadiff_model::kernels::Kernels;
use adadiff_storage::{check_output, write_atomically};
use anyhow::Result;
use clap::Args;

use super::Task;
use super::options::DatasetOptions;
use crate::evaluator::{EvaluatorOptions, image_statistics};
use crate::terminal::{Terminal, note, samples_bar, say};

/// Options of `reference`.
#[derive(Debug, Args)]
pub struct ReferenceOptions {
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub device: DeviceName,
    /// The features.
    #[command(flatten)]
    pub evaluator: EvaluatorOptions,
    /// The images.
    #[command(flatten)]
    pub dataset: DatasetOptions,
    /// Take the test images, where the data set tells them from others
    #[arg(long)]
    pub test: bool,
    /// Preset that names the size of the images [default: the program's first]
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<String>,
    /// Statistics file to write, .npz
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

impl DeviceTask for Task<'_, ReferenceOptions> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let ReferenceOptions {
            evaluator,
            dataset,
            test,
            preset,
            out,
            ..
        } = self.options;
        let read = evaluator.files().chain(dataset.files());
        check_output(&out, read.map(PathBuf::as_path))?;
        let preset = self.experiment.preset(preset.as_deref())?;
        let data = preset.data;
        let split = if test { Split::Test } else { Split::Train };
        let images = data.open_split(&dataset.into(), split)?;
        let extractor = evaluator.extractor::<B>(data, images.shape()[0], &device)?;
        let bar = samples_bar(images.len() as u64).with_prefix("reference");
        let terminal = Terminal::over(bar);
        let mut bad = BadImages::new(preset.backbone_training.most_bad_images);
        let statistics = image_statistics(&extractor, &*images, &mut bad, &device, &terminal)?;
        terminal.finish();
        for image in bad.images() {
            note!("left out: {image}");
        }
        let gaussian = statistics.gaussian()?;
        write_statistics(&out, &gaussian, &evaluator.origin(data)?)?;
        say!(
            "statistics of {} images over {} features ({}): {}",
            statistics.count(),
            extractor.dims(),
            extractor.name(),
            out.display()
        )
    }
}

/// Writes statistics as pytorch-fid does, and makes the folder where there is none.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_statistics(path: &Path, gaussian: &Gaussian, origin: &FeatureOrigin) -> Result<()> {
    let mut bytes = Cursor::new(Vec::new());
    adadiff_metrics::write_statistics(&mut bytes, gaussian, origin)?;
    Ok(write_atomically(path, bytes.get_ref())?)
}
