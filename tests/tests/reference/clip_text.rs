//! Token ids to hidden states.

use adadiff_model::clip::{Activation, ClipTextConfig, ClipTextHints};
use adadiff_model::kernels::Kernels;
use adadiff_weights::WeightFile;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::fixture::{Fixture, values};
use crate::report::{FixtureReport, Rule};

const RULE: Rule = Rule::Scaled(1e-4);

/// What the published class is built with, under its names.
#[derive(Debug, Deserialize)]
struct Published {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    hidden_act: Activation,
    layer_norm_eps: f64,
    eos_token_id: u32,
}

impl Published {
    /// Our configuration of the same network.
    fn config(self) -> ClipTextConfig {
        ClipTextConfig {
            vocabulary: self.vocab_size,
            width: self.hidden_size,
            mlp_width: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            tokens: self.max_position_embeddings,
            activation: self.hidden_act,
            layer_norm_epsilon: self.layer_norm_eps,
            end_of_text: self.eos_token_id,
        }
    }
}

pub fn check<B: Kernels>(fixture: &Fixture, device: &B::Device) -> Result<FixtureReport> {
    let mut report = FixtureReport::new(fixture)?;
    let config = fixture.get::<Published>("text_config")?.config();
    let ids: Result<Vec<u32>, _> = values::<i64>(report.tensors(), "in.input_ids")?
        .into_iter()
        .map(u32::try_from)
        .collect();
    let shape = report.tensors().shape("in.input_ids");
    let tokens = shape.and_then(<[usize]>::last).copied();
    let tokens = tokens.filter(|&tokens| tokens > 0).context("no tokens")?;
    let ids = ids.context("in.input_ids")?;
    let texts: Vec<_> = ids.chunks(tokens).collect();
    for weights in fixture.weights()? {
        let file = WeightFile::open(&weights)?;
        let hints = ClipTextHints {
            heads: Some(config.heads),
            activation: config.activation,
            end_of_text: Some(config.end_of_text),
        };
        let mut inferred = ClipTextConfig::infer(&file, hints)?;
        inferred.layer_norm_epsilon = config.layer_norm_epsilon;
        ensure!(
            inferred == config,
            "the weights tell {inferred:?} instead of {config:?}"
        );
        let features = config.import::<B>(&file, device)?.forward(&texts)?;
        report.tensor(RULE, "last_hidden_state", features.hidden)?;
        report.tensor(RULE, "pooler_output", features.pooled)?;
    }
    Ok(report.finish())
}
