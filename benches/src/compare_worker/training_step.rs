//! Forward, backward and AdamW.

use std::hint::black_box;

use adadiff_losses::simple_loss;
use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, UVit, UVitConfig};
use adadiff_train::{AdamW, ComputeType, trainable};
use anyhow::{Context, Result};
use burn::module::Param;
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use burn_autodiff::Autodiff;

use crate::arrays::Folder;
use crate::case::OptimizerSettings;
use crate::work::{Outputs, Work};

/// A network in training and its batch.
pub struct TrainingStep<B: Kernels> {
    model: UVit<Autodiff<B>>,
    optimizer: OptimizerAdaptor<AdamW, UVit<Autodiff<B>>, Autodiff<B>>,
    rate: f64,
    noisy: Tensor<Autodiff<B>, 4>,
    noise: Tensor<Autodiff<B>, 4>,
    timesteps: Vec<f32>,
    condition: Condition<Autodiff<B>>,
    compute: ComputeType,
    device: B::Device,
}

type Gradients<B> = <Autodiff<B> as AutodiffBackend>::Gradients;

type Backward<B> = (Tensor<Autodiff<B>, 1>, Gradients<B>, UVit<Autodiff<B>>);

impl<B: Kernels> TrainingStep<B> {
    pub fn load(
        config: &UVitConfig,
        compute: ComputeType,
        settings: OptimizerSettings,
        folder: &Folder,
        device: &B::Device,
    ) -> Result<Self> {
        let inputs = folder.inputs()?;
        let weights: UVit<B> = config.import(&folder.weights()?, device)?;
        Ok(Self {
            model: trainable(weights),
            optimizer: OptimizerAdaptor::from(AdamW {
                betas: settings.betas,
                epsilon: settings.epsilon,
                weight_decay: settings.weight_decay,
            }),
            rate: settings.learning_rate,
            noisy: inputs.tensor("noisy", device)?,
            noise: inputs.tensor("noise", device)?,
            timesteps: inputs.values("timesteps")?,
            condition: inputs.condition(device)?,
            compute,
            device: device.clone(),
        })
    }

    /// The loss, its gradients and the network that they are of.
    fn backward(&self) -> Result<Backward<B>> {
        let model = self.compute.working_copy(&self.model);
        let noise = model.forward(self.noisy.clone(), &self.timesteps, &self.condition)?;
        let loss = simple_loss(noise, self.noise.clone()).mean();
        let gradients = loss.backward();
        Ok((loss, gradients, model))
    }

    fn update(&mut self, gradients: Gradients<B>, of: &UVit<Autodiff<B>>) {
        let gradients = GradientsParams::from_grads(gradients, of);
        let gradients = self.compute.in_single(&self.model, gradients, 1.0);
        let model = self.model.clone();
        self.model = self.optimizer.step(self.rate, model, gradients);
    }

    /// A weight that shows what the optimizer did.
    fn optimized_weight(&self) -> Tensor<B, 2> {
        self.model.blocks[0].attn.qkv.weight.val().inner()
    }

    /// Gradients of tensors of every kind, as PyTorch names and lays them out.
    fn compared(model: &UVit<Autodiff<B>>, gradients: &Gradients<B>) -> Result<Outputs> {
        let blocks = &model.blocks;
        let middle = blocks.len() / 2;
        let out_block = blocks.get(middle + 1).and_then(|b| b.skip_linear.as_ref());
        let skip = out_block.context("the network has no out-blocks with skips")?;
        let decoder_bias = model.decoder_pred.bias.as_ref();
        let decoder_bias = decoder_bias.context("the decoder has no bias")?;
        Ok(vec![
            ("gradient.pos_embed", of(&model.pos_embed, gradients)?),
            (
                "gradient.patch_embed.proj.weight",
                of(&model.patch_embed.weight, gradients)?,
            ),
            (
                "gradient.in_blocks.0.attn.qkv.weight",
                transposed(&blocks[0].attn.qkv.weight, gradients)?,
            ),
            (
                "gradient.mid_block.norm2.weight",
                of(&blocks[middle].norm2.gamma, gradients)?,
            ),
            (
                "gradient.out_blocks.0.skip_linear.weight",
                transposed(&skip.weight, gradients)?,
            ),
            ("gradient.decoder_pred.bias", of(decoder_bias, gradients)?),
        ])
    }
}

fn gradient<B: Kernels, const D: usize>(
    param: &Param<Tensor<Autodiff<B>, D>>,
    gradients: &Gradients<B>,
) -> Result<Tensor<B, D>> {
    let gradient = param.val().grad(gradients);
    gradient.context("a compared parameter has no gradient")
}

fn of<B: Kernels, const D: usize>(
    param: &Param<Tensor<Autodiff<B>, D>>,
    gradients: &Gradients<B>,
) -> Result<TensorData> {
    Ok(gradient(param, gradients)?.into_data())
}

/// The gradient of a weight that PyTorch keeps as `[outputs, inputs]`.
fn transposed<B: Kernels>(
    param: &Param<Tensor<Autodiff<B>, 2>>,
    gradients: &Gradients<B>,
) -> Result<TensorData> {
    Ok(gradient(param, gradients)?.transpose().into_data())
}

impl<B: Kernels> Work for TrainingStep<B> {
    fn run(&mut self) -> Result<()> {
        let (loss, gradients, model) = self.backward()?;
        self.update(gradients, &model);
        black_box(loss);
        Ok(B::sync(&self.device)?)
    }

    fn outputs(&mut self) -> Result<Outputs> {
        let (first, gradients, model) = self.backward()?;
        let mut outputs = Self::compared(&model, &gradients)?;
        let before = self.optimized_weight();
        self.update(gradients, &model);
        let update = (self.optimized_weight() - before).transpose();
        outputs.push(("update.in_blocks.0.attn.qkv.weight", update.into_data()));
        let (second, ..) = self.backward()?;
        outputs.push(("losses", Tensor::cat(vec![first, second], 0).into_data()));
        Ok(outputs)
    }
}
