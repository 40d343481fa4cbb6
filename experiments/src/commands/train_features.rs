//! The command `train-features`: the classifier whose features judge samples.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use adadiff_backends::{DeviceName, DeviceTask};
use adadiff_data::Split;
use adadiff_metrics::{CifarCnnConfig, Classifier, FashionCnnConfig};
use adadiff_model::kernels::Kernels;
use adadiff_storage::check_output;
use adadiff_train::{
    ClassifierConfig, ClassifierError, ClassifierProgress, remove_checkpoints, train_classifier,
};
use adadiff_weights::native::{WeightPrecision, save};
use anyhow::{Result, anyhow, bail};
use burn::module::AutodiffModule;
use burn_autodiff::Autodiff;
use clap::Args;

use super::Task;
use crate::evaluator::TEST_ACCURACY_KEY;
use crate::presets::{DataSet, DatasetPath};
use crate::terminal::{STOP, say, steps_bar};

/// Options of `train-features`.
#[derive(Debug, Args)]
pub struct TrainFeaturesOptions {
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub device: DeviceName,
    /// Folder or archive of the images [default for Fashion-MNIST: $ADADIFF_DATA, then Debian's]
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// Weights file to write [default: runs/fashion_cnn.safetensors or runs/cifar_cnn.safetensors]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

impl DeviceTask for Task<'_, TrainFeaturesOptions> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let set = self.experiment.preset(None)?.data;
        match set {
            DataSet::FashionMnist => {
                let config = ClassifierConfig::new();
                let network = FashionCnnConfig::new().init::<Autodiff<B>>(&device);
                self.train(&config, network, set, "fashion_cnn", &device)
            }
            DataSet::Cifar10 => {
                let config = ClassifierConfig::new()
                    .with_steps(8000)
                    .with_weight_decay(0.05)
                    .with_shift(4);
                let network = CifarCnnConfig::new().init::<Autodiff<B>>(&device);
                self.train(&config, network, set, "cifar_cnn", &device)
            }
            other => bail!(
                "no classifier of this project judges samples of {}: name FID's network with \
                 --inception FILE where they are judged",
                other.title()
            ),
        }
    }
}

impl Task<'_, TrainFeaturesOptions> {
    fn train<B: Kernels, N>(
        &self,
        config: &ClassifierConfig,
        network: N,
        set: DataSet,
        name: &str,
        device: &B::Device,
    ) -> Result<()>
    where
        N: Classifier<Autodiff<B>> + AutodiffModule<Autodiff<B>>,
        N::InnerModule: Classifier<B>,
    {
        let out = match &self.options.out {
            Some(out) => out.clone(),
            None => Path::new("runs").join(format!("{name}.safetensors")),
        };
        check_output(&out, self.options.data.iter().map(PathBuf::as_path))?;
        let dataset = DatasetPath {
            data: self.options.data.clone(),
            captions: None,
        };
        let [train, test] =
            [Split::Train, Split::Test].map(|split| set.open_split(&dataset, split));
        let (train, test) = (train?, test?);
        let bar = steps_bar(config.steps as u64);
        let mut kept = out.clone().into_os_string();
        kept.push(".checkpoints");
        let kept = PathBuf::from(kept);
        let progress = |progress: ClassifierProgress| {
            bar.set_position(progress.step as u64);
            bar.set_message(format!("cross entropy {:.3}", progress.loss));
            if STOP.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let checkpoints = Some(kept.as_path());
        let trained = train_classifier(
            config,
            network,
            &*train,
            &*test,
            device,
            checkpoints,
            progress,
        );
        let trained = trained.map_err(|error| match error {
            ClassifierError::Interrupted { .. } => {
                anyhow!("{error}; the same command continues there")
            }
            error => error.into(),
        })?;
        bar.finish_and_clear();
        let metadata = [
            (TEST_ACCURACY_KEY, trained.test_accuracy.to_string()),
            ("steps", config.steps.to_string()),
            ("seed", config.seed.to_string()),
        ];
        save(&trained.network, WeightPrecision::Half, &metadata, &out)?;
        remove_checkpoints(&kept)?;
        say!(
            "test accuracy {:.2} %, weights in {}",
            100.0 * trained.test_accuracy,
            out.display()
        )
    }
}
