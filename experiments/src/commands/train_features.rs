//! The command `train-features`: the classifier whose features judge samples.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use adadiff_backends::DeviceTask;
use adadiff_data::{FashionMnist, Split};
use adadiff_metrics::FashionCnnConfig;
use adadiff_model::kernels::Kernels;
use adadiff_train::{ClassifierConfig, train_classifier};
use adadiff_weights::native::{WeightPrecision, save};
use anyhow::Result;
use burn_autodiff::Autodiff;

use crate::terminal::{say, steps_bar};

/// What to train the classifier on, and where to put it.
#[derive(Debug)]
pub struct TrainFeatures<'a> {
    /// The folder of the data set, if one was named.
    pub data: Option<PathBuf>,
    /// The weights file to write.
    pub out: PathBuf,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
}

impl DeviceTask for TrainFeatures<'_> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let folder = adadiff_data::locate(self.data.as_deref())?;
        let train = FashionMnist::load(&folder, Split::Train)?;
        let test = FashionMnist::load(&folder, Split::Test)?;
        let config = ClassifierConfig::new(FashionCnnConfig::new());
        let bar = steps_bar(config.steps as u64);
        let trained =
            train_classifier::<Autodiff<B>>(&config, &train, &test, &device, |progress| {
                bar.set_position(progress.step as u64);
                bar.set_message(format!("cross entropy {:.3}", progress.loss));
                match self.stop.load(Ordering::Relaxed) {
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
            &self.out,
        )?;
        say!(
            "test accuracy {:.2} %, weights in {}",
            100.0 * trained.test_accuracy,
            self.out.display()
        )
    }
}
