//! The command `train-features`: the classifier whose features judge samples.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use adadiff_backends::{DeviceName, DeviceTask};
use adadiff_data::{FashionMnist, Split};
use adadiff_metrics::FashionCnnConfig;
use adadiff_model::kernels::Kernels;
use adadiff_train::{ClassifierConfig, train_classifier};
use adadiff_weights::native::{WeightPrecision, save};
use anyhow::Result;
use burn_autodiff::Autodiff;
use clap::Args;

use super::Task;
use crate::terminal::{STOP, say, steps_bar};

/// Options of `train-features`.
#[derive(Debug, Args)]
pub struct TrainFeaturesOptions {
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub device: DeviceName,
    /// Folder of the four Fashion-MNIST files [default: $ADADIFF_DATA, then Debian's]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Weights file to write
    #[arg(
        long,
        value_name = "FILE",
        default_value = "runs/fashion_cnn.safetensors"
    )]
    pub out: PathBuf,
}

impl DeviceTask for Task<'_, TrainFeaturesOptions> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let folder = adadiff_data::locate(self.options.data.as_deref())?;
        let train = FashionMnist::load(&folder, Split::Train)?;
        let test = FashionMnist::load(&folder, Split::Test)?;
        let config = ClassifierConfig::new(FashionCnnConfig::new());
        let bar = steps_bar(config.steps as u64);
        let trained =
            train_classifier::<Autodiff<B>>(&config, &train, &test, &device, |progress| {
                bar.set_position(progress.step as u64);
                bar.set_message(format!("cross entropy {:.3}", progress.loss));
                match STOP.load(Ordering::Relaxed) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            })?;
        bar.finish_and_clear();
        let metadata = [
            ("test_accuracy", trained.test_accuracy.to_string()),
            ("steps", config.steps.to_string()),
            ("seed", config.seed.to_string()),
        ];
        save(
            &trained.network,
            WeightPrecision::Half,
            &metadata,
            &self.options.out,
        )?;
        say!(
            "test accuracy {:.2} %, weights in {}",
            100.0 * trained.test_accuracy,
            self.options.out.display()
        )
    }
}
