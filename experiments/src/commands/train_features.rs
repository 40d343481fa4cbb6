//! The command `train-features`: the classifier whose features judge samples.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use adadiff_backends::DeviceTask;
use adadiff_data::{FashionMnist, ImageSet, Split, open_cifar10};
use adadiff_metrics::{CifarCnnConfig, Classifier, FashionCnnConfig};
use adadiff_model::kernels::Kernels;
use adadiff_train::weights::{Precision, save};
use adadiff_train::{ClassifierConfig, train_classifier};
use anyhow::{Result, bail};
use burn::module::AutodiffModule;
use burn_autodiff::Autodiff;

use crate::presets::DataSet;
use crate::terminal::steps_bar;

/// What to train the classifier on, and where to put it.
#[derive(Debug)]
pub struct TrainFeatures<'a> {
    /// The data set, which decides on the network.
    pub set: DataSet,
    /// Where its images lie, if a place was named.
    pub data: Option<PathBuf>,
    /// The weights file to write, if one was named.
    pub out: Option<PathBuf>,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
}

impl DeviceTask for TrainFeatures<'_> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        match self.set {
            DataSet::FashionMnist => {
                let folder = adadiff_data::locate(self.data.as_deref())?;
                let train = FashionMnist::load(&folder, Split::Train)?;
                let test = FashionMnist::load(&folder, Split::Test)?;
                let network = FashionCnnConfig::new().init::<Autodiff<B>>(&device);
                self.train(
                    &ClassifierConfig::new(),
                    network,
                    [&train, &test],
                    "fashion_cnn",
                    &device,
                )
            }
            DataSet::Cifar10 => {
                let place = self.set.place_of(self.data.as_deref())?;
                let train = open_cifar10(place, Split::Train)?;
                let test = open_cifar10(place, Split::Test)?;
                let config = ClassifierConfig::new().with_steps(8000).with_shift(4);
                let network = CifarCnnConfig::new().init::<Autodiff<B>>(&device);
                self.train(&config, network, [&*train, &*test], "cifar_cnn", &device)
            }
            other => bail!(
                "no classifier judges samples of {}: judge them with --inception FILE",
                other.title()
            ),
        }
    }
}

impl TrainFeatures<'_> {
    fn train<B: Kernels, N>(
        &self,
        config: &ClassifierConfig,
        network: N,
        [train, test]: [&dyn ImageSet; 2],
        name: &str,
        device: &B::Device,
    ) -> Result<()>
    where
        N: Classifier<Autodiff<B>> + AutodiffModule<Autodiff<B>>,
        N::InnerModule: Classifier<B>,
    {
        let bar = steps_bar(config.steps as u64);
        let trained = train_classifier(config, network, train, test, device, |progress| {
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
        let out = self.out.clone();
        let out = out.unwrap_or_else(|| Path::new("runs").join(format!("{name}.safetensors")));
        save(&trained.network, Precision::Half, &metadata, &out)?;
        println!(
            "test accuracy {:.2} %, weights in {}",
            100.0 * trained.test_accuracy,
            out.display()
        );
        Ok(())
    }
}
