use burn_flex::Flex;

use super::*;
use crate::testing::{Entry, file, needed};

/// Unlike the published one in everything that tensors tell.
fn other() -> ClipVisionConfig {
    ClipVisionConfig {
        image_size: 15,
        patch_size: 5,
        width: 128,
        mlp_width: 96,
        layers: 3,
        heads: 2,
        embedding: 7,
        ..ClipVisionConfig::vit_l_14_336()
    }
}

fn entries() -> Vec<Entry> {
    needed(&other().placements().unwrap())
}

#[test]
fn tensors_tell_the_configuration() {
    let (_folder, weights) = file(&entries());
    let inferred = ClipVisionConfig::infer(&weights, ClipVisionHints::default()).unwrap();
    assert_eq!(inferred, other());
    let hints = ClipVisionHints {
        heads: Some(4),
        activation: Activation::Gelu,
    };
    let inferred = ClipVisionConfig::infer(&weights, hints).unwrap();
    let expected = ClipVisionConfig {
        heads: 4,
        activation: Activation::Gelu,
        ..other()
    };
    assert_eq!(inferred, expected);
}

#[test]
fn the_published_network_has_the_published_tensors() {
    // Counted in transformers' `CLIPVisionModelWithProjection` of that size.
    let list = ClipVisionConfig::vit_l_14_336().placements().unwrap();
    let needed = needed(&list);
    let values: usize = needed
        .iter()
        .map(|entry| entry.shape.iter().product::<usize>())
        .sum();
    assert_eq!(needed.len(), 392);
    assert_eq!(values, 304_293_888);
}

#[test]
fn a_whole_model_gives_its_image_model() {
    let mut entries = entries();
    for name in [
        "text_model.embeddings.position_ids",
        "vision_model.embeddings.position_ids",
    ] {
        entries.push(Entry {
            whole: true,
            ..Entry::new(name, &[1, 10])
        });
    }
    entries.push(Entry::new("logit_scale", &[]));
    entries.push(Entry::new("text_projection.weight", &[2, 2]));
    let (_folder, weights) = file(&entries);
    other()
        .import::<Flex>(&weights, &Default::default())
        .unwrap();
    let placed = weights.place(other().placements().unwrap()).unwrap();
    assert_eq!(
        placed.left_out(),
        [
            "logit_scale",
            "text_model.embeddings.position_ids",
            "text_projection.weight",
        ]
    );
}

#[test]
fn files_of_no_image_model_are_refused() {
    let without = |name: &str| {
        let entries: Vec<_> = entries()
            .into_iter()
            .filter(|entry| entry.name != name)
            .collect();
        let (_folder, weights) = file(&entries);
        let error = ClipVisionConfig::infer(&weights, ClipVisionHints::default()).unwrap_err();
        error.to_string()
    };
    let message = without("visual_projection.weight");
    assert!(
        message.contains("no tensor visual_projection.weight"),
        "{message}"
    );

    let mut crooked = entries();
    for entry in &mut crooked {
        if entry.name.ends_with("position_embedding.weight") {
            entry.shape = vec![9, 128];
        }
    }
    let (_folder, weights) = file(&crooked);
    let error = ClipVisionConfig::infer(&weights, ClipVisionHints::default()).unwrap_err();
    assert!(error.to_string().contains("9 positions"), "{error}");
}
