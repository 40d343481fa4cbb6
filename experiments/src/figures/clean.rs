//! Clean images that known noise is added to.

use std::sync::Arc;

use adadiff_data::ImageSet;
use adadiff_model::Condition;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Conditions, Monitor, SamplePlan};

use adadiff_uem::{AdaptiveUVit, FullDepth};
use anyhow::{Context, Result};
use burn::tensor::{Tensor, TensorData};

use super::curves::spread_over;
use crate::checkpoint::LoadedCheckpoint;
use crate::evaluator::test_images;
use crate::presets::{DataSet, DatasetPath};

/// Clean images and what they are conditioned on.
pub struct Clean<B: Kernels> {
    /// The images, in the network's space.
    pub images: Tensor<B, 4>,
    pub condition: Condition<B>,
    /// What they are called in a caption.
    pub name: &'static str,
}

impl<B: Kernels> Clean<B> {
    /// Held-out images where they come with the program, training images where `dataset` names them,
    /// and else the full network's own samples.
    ///
    /// # Errors
    /// Where images cannot be read, the user interrupts or the device fails.
    pub fn new(
        loaded: &LoadedCheckpoint<B>,
        dataset: &DatasetPath,
        samples: usize,
        device: &B::Device,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let preset = loaded.preset();
        let network = &preset.model.backbone;
        let on_pixels = preset.latents.is_none() && network.text.is_none();
        let (set, name): (Arc<dyn ImageSet>, _) = match preset.data {
            DataSet::FashionMnist if on_pixels => (Arc::new(test_images()?), "test images"),
            data if on_pixels && dataset.data.is_some() => (data.open(dataset)?, "training images"),
            _ => return Self::samples(loaded, samples, device, monitor),
        };
        let chosen = spread_over(set.len(), samples);
        let mut pixels = Vec::new();
        for &index in &chosen {
            pixels.extend(
                set.image(index, false)
                    .with_context(|| format!("{} cannot be judged", set.name(index)))?,
            );
        }
        let [channels, height, width] = network.image_shape();
        let data = TensorData::new(pixels, [chosen.len(), channels, height, width]);
        let draw = match network.classes {
            None => loaded.plan(chosen.len())?,
            Some(_) => {
                let labels = chosen.iter().map(|&index| set.label(index));
                let labels: Option<Vec<usize>> = labels.collect();
                SamplePlan {
                    conditions: Conditions::Classes(labels.context("the images have no labels")?),
                    ..loaded.plan(chosen.len())?
                }
            }
        };
        Ok(Self {
            images: Tensor::from_data(data, device),
            condition: draw.condition(device),
            name,
        })
    }

    /// The full network's own samples.
    fn samples(
        loaded: &LoadedCheckpoint<B>,
        samples: usize,
        device: &B::Device,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let draw = SamplePlan {
            batch: samples,
            ..loaded.plan(samples)?
        };
        let mut images = None;
        let full = AdaptiveUVit::new(&loaded.pipeline().model, FullDepth);
        monitor.expect((samples * draw.steps) as u64);
        loaded
            .pipeline()
            .generate_with(&full, &draw, monitor, &mut |progress| {
                if progress.step.is_last() {
                    images = Some(progress.state.clone());
                }
            })?;
        Ok(Self {
            images: images.context("no samples were drawn")?,
            condition: draw.condition(device),
            name: "samples of the full network",
        })
    }
}
