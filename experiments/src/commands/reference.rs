//! The command `reference`: the statistics that samples are compared with.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use adadiff_backends::DeviceTask;
use adadiff_metrics::Gaussian;
use adadiff_model::kernels::Kernels;
use adadiff_storage::write_atomically;
use anyhow::Result;

use crate::judge::{JudgeOptions, image_statistics};
use crate::presets::{Place, Preset};
use crate::terminal::samples_bar;

/// Which images to measure by which features, and where to put the statistics.
#[derive(Debug)]
pub struct Reference {
    /// Names the data set and the size of its images.
    pub preset: Preset,
    /// Where the images lie.
    pub place: Place,
    /// The features.
    pub judge: JudgeOptions,
    /// The file to write.
    pub out: PathBuf,
}

impl DeviceTask for Reference {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let data = self.preset.data;
        let images = data.open(&self.place)?;
        let extractor = self
            .judge
            .extractor::<B>(data, images.shape()[0], &device)?;
        let bar = samples_bar(images.len() as u64).with_prefix("reference");
        let gaussian = image_statistics(&extractor, &*images, &device, &bar)?.gaussian()?;
        bar.finish_and_clear();
        write_statistics(&self.out, &gaussian)?;
        println!(
            "statistics of {} images over {} features ({}): {}",
            images.len(),
            extractor.dims(),
            extractor.name(),
            self.out.display()
        );
        Ok(())
    }
}

/// Writes statistics as pytorch-fid does, and makes the folder where there is none.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_statistics(path: &Path, gaussian: &Gaussian) -> Result<()> {
    let mut bytes = Cursor::new(Vec::new());
    adadiff_metrics::write_statistics(&mut bytes, gaussian)?;
    Ok(write_atomically(path, bytes.get_ref())?)
}
