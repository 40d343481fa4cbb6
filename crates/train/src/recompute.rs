//! Gradients in the memory of one block: gradient checkpointing (Chen et al. 2016, arXiv
//! 1604.06174) with a block as the unit.
//!
//! A first pass without a graph keeps the input of every block and what the blocks predict. The
//! objective of these predictions gives the gradient towards each. Then, from the last block to the
//! first, a block runs again with a graph, and passes the gradient of its output on to its inputs.

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, ModelError};
use adadiff_uem::{AdaDiff, LayerPredictions};
use burn::module::AutodiffModule;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{FloatDType, Tensor};

use crate::graph::Graph;
use crate::objective::{Input, Losses, mean_objective};
use crate::{Objective, TrainError};

/// What the pass without a graph leaves.
struct Trace<B: Backend> {
    /// The embedded tokens, then the output of every block, each `[rows, tokens, width]`.
    hidden: Vec<Tensor<B, 3>>,
    /// The timestep embedding `[rows, width]`.
    time_embedding: Tensor<B, 2>,
    /// What the judged blocks predict: the last of them, or all.
    layers: LayerPredictions<B>,
}

/// As [`crate::objective::gradients`], up to rounding, in less memory and about a third more time.
///
/// # Errors
/// As [`crate::objective::gradients`].
pub(crate) fn gradients<B>(
    model: &AdaDiff<B>,
    objective: Objective,
    input: Input<B>,
    share: f64,
) -> Result<(Losses, GradientsParams), TrainError>
where
    B: AutodiffBackend + Kernels,
    B::InnerBackend: Kernels,
{
    let blocks = model.backbone.num_blocks();
    let first_judged = match objective {
        Objective::Simple => blocks - 1,
        Objective::Joint { .. } => 0,
    };
    let estimating = matches!(objective, Objective::Joint { .. });
    let Trace {
        mut hidden,
        time_embedding,
        layers,
    } = trace(&model.valid(), &input, first_judged, estimating)?;

    let graph = Graph::start();
    let layers = LayerPredictions {
        noise: layers.noise.into_iter().map(leaf).collect(),
        uncertainty: layers.uncertainty.into_iter().map(leaf).collect(),
    };
    let (total, losses) = mean_objective(objective, &layers, input.noise);
    let mut towards = graph.backward(&(total * share));
    let losses = losses.read()?;

    let time_embedding = Tensor::from_inner(time_embedding);
    let mut sum = GradientsAccumulator::new();
    // The gradient towards each of `hidden`, as far as the later blocks have told it.
    let mut wanted: Vec<Option<Tensor<B::InnerBackend, 3>>> = vec![None; blocks + 1];
    for index in (0..blocks).rev() {
        let block = &model.backbone.blocks[index];
        hidden.truncate(index + 1);
        let graph = Graph::start();
        let x = leaf(hidden[index].clone());
        // The output of in-block `i` is the skip of out-block `blocks - 1 - i`.
        let skip_at = blocks - index;
        let skip = block
            .skip_linear
            .as_ref()
            .map(|_| leaf(hidden[skip_at].clone()));
        let output = block.forward(x.clone(), skip.clone());

        let mut terms = Vec::with_capacity(3);
        if let Some(gradient) = wanted[index + 1].take() {
            terms.push(product(output.clone(), gradient));
        }
        if let Some(judged) = index.checked_sub(first_judged) {
            if let Some(gradient) = layers.noise[judged].grad_remove(&mut towards) {
                terms.push(product(model.decode(index, output.clone()), gradient));
            }
            let uncertainty = layers.uncertainty.get(judged);
            if let Some(gradient) = uncertainty.and_then(|leaf| leaf.grad_remove(&mut towards)) {
                let uncertainty = model.uncertainty(index, output, time_embedding.clone());
                terms.push(product(uncertainty, gradient));
            }
        }
        let Some(loss) = terms.into_iter().reduce(|a, b| a + b) else {
            continue;
        };
        let mut gradients = graph.backward(&loss);
        add(&mut wanted[index], x.grad_remove(&mut gradients));
        if let Some(skip) = skip {
            add(&mut wanted[skip_at], skip.grad_remove(&mut gradients));
        }
        sum.accumulate(model, GradientsParams::from_grads(gradients, model));
    }

    if let Some(gradient) = wanted[0].take() {
        let (noisy, condition) = (input.noisy, &input.condition);
        let graph = Graph::start();
        let embedded = model.backbone.embed(noisy, &input.timesteps, condition)?;
        let gradients = graph.backward(&product(embedded.hidden(), gradient));
        sum.accumulate(model, GradientsParams::from_grads(gradients, model));
    }
    Ok((losses, sum.grads()))
}

/// Runs the whole network and decodes the blocks from `first_judged` on; estimates their
/// uncertainty where `estimating`.
fn trace<B>(
    model: &AdaDiff<B::InnerBackend>,
    input: &Input<B>,
    first_judged: usize,
    estimating: bool,
) -> Result<Trace<B::InnerBackend>, ModelError>
where
    B: AutodiffBackend,
    B::InnerBackend: Kernels,
{
    let backbone = &model.backbone;
    let noisy = input.noisy.clone().inner();
    let condition = match &input.condition {
        Condition::None => Condition::None,
        Condition::Class(labels) => Condition::Class(labels.clone().inner()),
        Condition::Text(context) => Condition::Text(context.clone().inner()),
    };
    let state = backbone.embed(noisy, &input.timesteps, &condition)?;
    let mut hidden = vec![state.hidden()];
    let mut layers = LayerPredictions {
        noise: Vec::new(),
        uncertainty: Vec::new(),
    };
    let state = backbone.for_each_block(0..backbone.num_blocks(), state, |block, state| {
        if block >= first_judged {
            layers.noise.push(model.decode(block, state.hidden()));
            if estimating {
                let uncertainty = model.uncertainty(block, state.hidden(), state.time_embedding());
                layers.uncertainty.push(uncertainty);
            }
        }
        hidden.push(state.hidden());
    });
    Ok(Trace {
        hidden,
        time_embedding: state.time_embedding(),
        layers,
    })
}

/// The start of a graph.
fn leaf<B: AutodiffBackend, const D: usize>(value: Tensor<B::InnerBackend, D>) -> Tensor<B, D> {
    Tensor::from_inner(value).require_grad()
}

/// A scalar `[1]` whose gradient with respect to `output` is `gradient`.
fn product<B: AutodiffBackend, const D: usize>(
    output: Tensor<B, D>,
    gradient: Tensor<B::InnerBackend, D>,
) -> Tensor<B, 1> {
    let product = output * Tensor::from_inner(gradient);
    product.sum().cast(FloatDType::F32)
}

fn add<B: Backend>(sum: &mut Option<Tensor<B, 3>>, gradient: Option<Tensor<B, 3>>) {
    *sum = match (sum.take(), gradient) {
        (Some(sum), Some(gradient)) => Some(sum + gradient),
        (sum, gradient) => sum.or(gradient),
    };
}

#[cfg(test)]
#[path = "recompute_tests.rs"]
mod tests;
