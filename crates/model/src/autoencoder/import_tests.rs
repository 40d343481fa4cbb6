use adadiff_weights::{Misfit, WeightError};
use burn_flex::Flex;

use super::*;
use crate::testing::{Entry, file, needed};

/// Unlike the published one in everything that can differ.
fn other() -> AutoencoderConfig {
    AutoencoderConfig {
        resolution: 48,
        in_channels: 2,
        out_channels: 5,
        channels: 32,
        channel_multipliers: vec![2, 1, 3],
        residual_blocks: 1,
        attention_resolutions: vec![48, 12],
        z_channels: 3,
        latent_channels: 6,
        scale_factor: 0.5,
    }
}

fn hints(config: &AutoencoderConfig) -> AutoencoderHints {
    AutoencoderHints {
        resolution: config.resolution,
        scale_factor: config.scale_factor,
    }
}

fn entries() -> Vec<Entry> {
    needed(&other().placements().unwrap())
}

#[test]
fn tensors_tell_the_configuration() {
    let mut without_attention = other();
    without_attention.attention_resolutions.clear();
    without_attention.channel_multipliers = vec![1];
    without_attention.residual_blocks = 3;
    for config in [other(), without_attention] {
        let (_folder, file) = file(&needed(&config.placements().unwrap()));
        let inferred = AutoencoderConfig::infer(&file, hints(&config)).unwrap();
        assert_eq!(inferred, config);
        config.import::<Flex>(&file, &Default::default()).unwrap();
    }
}

#[test]
fn diffusers_layout_tells_the_same() {
    let config = other();
    for (layout, names) in [
        (
            Layout::Diffusers(["to_q", "to_k", "to_v", "to_out.0"]),
            [
                "encoder.down_blocks.2.attentions.0.to_q.weight",
                "decoder.up_blocks.0.attentions.1.to_out.0.bias",
            ],
        ),
        (
            Layout::Diffusers(["query", "key", "value", "proj_attn"]),
            [
                "encoder.down_blocks.2.attentions.0.query.weight",
                "decoder.up_blocks.0.attentions.1.proj_attn.bias",
            ],
        ),
    ] {
        let placements = layout.published(config.placements().unwrap(), 3);
        let entries = needed(&placements);
        let shape = |name: &str| {
            let entry = entries.iter().find(|entry| entry.name == name);
            entry.unwrap_or_else(|| panic!("{name}")).shape.clone()
        };
        // 32 channels times three in the innermost level; linear layers where ours convolve.
        assert_eq!(shape(names[0]), [96, 96]);
        assert_eq!(shape(names[1]), [96]);
        assert_eq!(
            shape("decoder.up_blocks.2.attentions.0.group_norm.weight"),
            [64]
        );
        assert_eq!(
            shape("encoder.down_blocks.2.resnets.0.conv_shortcut.weight"),
            [96, 32, 1, 1]
        );
        assert_eq!(shape("decoder.up_blocks.1.upsamplers.0.conv.bias"), [32]);
        let (_folder, file) = file(&entries);
        assert_eq!(Layout::detect(&file), layout);
        let inferred = AutoencoderConfig::infer(&file, hints(&config)).unwrap();
        assert_eq!(inferred, config);
        config.import::<Flex>(&file, &Default::default()).unwrap();
    }
}

#[test]
fn the_published_network_has_the_published_tensors() {
    let list = AutoencoderConfig::stable_diffusion().placements().unwrap();
    let values: usize = list
        .iter()
        .map(|placement| placement.shape.iter().product::<usize>())
        .sum();
    assert_eq!(list.iter().count(), 248);
    assert_eq!(values, 83_653_863);
    let shape = |name: &str| {
        let mut found = list.iter().filter(|placement| placement.published == name);
        let placement = found.next().unwrap_or_else(|| panic!("{name}"));
        assert!(found.next().is_none());
        placement.shape.clone()
    };
    assert_eq!(
        shape("encoder.down.1.block.0.nin_shortcut.weight"),
        [256, 128, 1, 1]
    );
    assert_eq!(shape("encoder.down.2.downsample.conv.bias"), [512]);
    assert_eq!(
        shape("encoder.mid.attn_1.proj_out.weight"),
        [512, 512, 1, 1]
    );
    assert_eq!(shape("encoder.conv_out.weight"), [8, 512, 3, 3]);
    assert_eq!(
        shape("decoder.up.0.block.0.nin_shortcut.weight"),
        [128, 256, 1, 1]
    );
    assert_eq!(shape("decoder.up.3.upsample.conv.weight"), [512, 512, 3, 3]);
    assert_eq!(shape("decoder.up.0.block.2.norm2.weight"), [128]);
    assert_eq!(shape("post_quant_conv.weight"), [4, 4, 1, 1]);
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let mut changed = entries();
    changed.retain(|entry| entry.name != "decoder.up.1.upsample.conv.bias");
    let norm = changed
        .iter_mut()
        .find(|entry| entry.name == "encoder.mid.attn_1.norm.weight");
    norm.unwrap().shape = vec![32];
    changed.push(Entry::new("loss.logvar", &[]));
    let (_folder, file) = file(&changed);
    let error = other()
        .import::<Flex>(&file, &Default::default())
        .unwrap_err();
    let ImportError::Weights(WeightError::Misfits { misfits, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(
        misfits,
        [
            Misfit::Shape {
                name: "encoder.mid.attn_1.norm.weight".into(),
                expected: vec![96],
                found: vec![32],
            },
            Misfit::Missing {
                name: "decoder.up.1.upsample.conv.bias".into(),
                expected: vec![32],
            },
            Misfit::Unexpected {
                name: "loss.logvar".into(),
                found: vec![],
            },
        ]
    );
}

#[test]
fn files_that_tell_no_configuration_are_refused() {
    let refusal = |entries: &[Entry], resolution: usize| {
        let (_folder, file) = file(entries);
        let hints = AutoencoderHints {
            resolution,
            ..hints(&other())
        };
        let error = AutoencoderConfig::infer(&file, hints).unwrap_err();
        error.to_string()
    };
    let text = refusal(&[Entry::new("pos_embed", &[1, 2, 3])], 48);
    assert!(text.contains("encoder.conv_in.weight"), "{text}");
    assert!(text.contains("every autoencoder"), "{text}");

    let mut changed = entries();
    let first = "encoder.down.1.block.0.conv1.weight";
    let entry = changed.iter_mut().find(|entry| entry.name == first);
    entry.unwrap().shape = vec![40, 64, 3, 3];
    let text = refusal(&changed, 48);
    assert!(text.contains("40 outputs"), "{text}");

    let mut changed = entries();
    changed.retain(|entry| !entry.name.starts_with("encoder.down"));
    let text = refusal(&changed, 48);
    assert!(
        text.contains("encoder.down.0.block.0.conv1.weight"),
        "{text}"
    );

    let text = refusal(&entries(), 50);
    assert!(text.contains("halved 2 times"), "{text}");
}
