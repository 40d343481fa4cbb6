//! `train --dry-run`: what a training would take, before it starts.

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::network_cost;
use adadiff_train::{Objective, TrainConfig};
use adadiff_uem::AdaDiff;
use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Distribution, Tensor};
use std::time::{Duration, Instant};

use crate::presets::Preset;
use crate::terminal::say;

/// A backward pass costs about two forward passes.
const PASSES: f64 = 3.0;

/// Copies of the weights while training: themselves, gradients, two moments, moving average.
const COPIES: f64 = 5.0;

/// Values that a block keeps for its backward pass, in units of its hidden state: its input, query,
/// key and value, the attention's output, and the MLP's hidden layer of four widths.
const KEPT: f64 = 9.0;

/// Side of the matrices whose product measures the device.
const SIDE: usize = 2048;

#[derive(Debug)]
pub struct DryRun {
    pub preset: Preset,
}

impl DeviceTask for DryRun {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        say!("{}", self.preset.to_toml()?)?;
        let backbone = &self.preset.model.backbone;
        let model: AdaDiff<B> = self.preset.model.init(0, &device)?;
        let (all, parameters) = (model.num_params(), backbone.parameters()?);
        drop(model);
        let rate = products_per_second::<B>(&device);
        say!(
            "parameters: {:.1} million in the backbone, {:.3} million in the estimators",
            parameters as f64 / 1e6,
            (all as u64).saturating_sub(parameters) as f64 / 1e6
        )?;
        say!(
            "the device reaches {:.0} GFLOP/s in products of {SIDE} x {SIDE} matrices",
            rate / 1e9
        )?;
        for (name, phase) in [
            ("backbone", &self.preset.backbone_training),
            ("joint", &self.preset.joint_training),
        ] {
            let operations = self.operations(phase);
            let images = phase.steps as f64 * phase.batch_size as f64;
            say!(
                "{name}: {} steps of {} images, {:.1} GFLOP an image in training",
                phase.steps,
                phase.batch_size,
                operations / 1e9
            )?;
            say!(
                "  about {:.1} GiB of memory: {:.1} GiB of weights, their gradients, averages and \
                 moments, and what a part of {} images keeps for its backward pass (estimated)",
                (self.weights_bytes(all) + self.kept_bytes(phase)) / GIB,
                self.weights_bytes(all) / GIB,
                phase.batch_size.div_ceil(phase.accumulation.get()),
            )?;
            say!(
                "  at least {:.1} hours on 1 such device, computed from that rate: no training reaches \
                 it whole",
                images * operations / rate / 3600.0,
            )?;
        }
        Ok(())
    }
}

const GIB: f64 = (1_u64 << 30) as f64;

impl DryRun {
    /// Floating-point operations of an image in a training step.
    fn operations(&self, phase: &TrainConfig) -> f64 {
        let cost = network_cost(&self.preset.model);
        let blocks: f64 = cost.block_flops.iter().sum();
        let heads = match phase.objective {
            Objective::Simple => cost.decode_flops,
            Objective::Joint { .. } => {
                cost.block_flops.len() as f64 * (cost.decode_flops + cost.estimator_flops)
            }
        };
        PASSES * (cost.embed_flops + blocks + heads)
    }

    fn weights_bytes(&self, parameters: usize) -> f64 {
        COPIES * 4.0 * parameters as f64
    }

    fn kept_bytes(&self, phase: &TrainConfig) -> f64 {
        let backbone = &self.preset.model.backbone;
        let part = phase.batch_size.div_ceil(phase.accumulation.get());
        let state = (part * backbone.tokens() * backbone.width) as f64;
        4.0 * KEPT * state * backbone.blocks() as f64
    }
}

/// Floating-point operations per second in a large product, the best of three.
fn products_per_second<B: Kernels>(device: &B::Device) -> f64 {
    let matrix = || Tensor::<B, 2>::random([SIDE, SIDE], Distribution::Uniform(-1.0, 1.0), device);
    let (left, right) = (matrix(), matrix());
    let mut best = Duration::MAX;
    // The first one pays for memory and kernels.
    for _ in 0..4 {
        let start = Instant::now();
        let product = left.clone().matmul(right.clone());
        // Reading a value back waits for the device.
        let _ = product.narrow(0, 0, 1).narrow(1, 0, 1).into_data();
        best = best.min(start.elapsed());
    }
    2.0 * (SIDE as f64).powi(3) / best.as_secs_f64()
}
