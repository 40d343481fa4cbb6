use adadiff_weights::{Misfit, WeightError};
use burn_flex::Flex;

use super::*;
use crate::testing::{Entry, file, needed};

/// Unlike the published one in everything that tensors tell.
fn other() -> ClipTextConfig {
    ClipTextConfig {
        vocabulary: 11,
        width: 128,
        mlp_width: 96,
        layers: 3,
        heads: 2,
        tokens: 5,
        end_of_text: 10,
        ..ClipTextConfig::vit_l_14()
    }
}

fn entries() -> Vec<Entry> {
    needed(&other().placements().unwrap())
}

#[test]
fn tensors_tell_the_configuration() {
    let (_folder, weights) = file(&entries());
    let inferred = ClipTextConfig::infer(&weights, ClipTextHints::default()).unwrap();
    assert_eq!(inferred, other());
    let hints = ClipTextHints {
        heads: Some(8),
        activation: Activation::Gelu,
        end_of_text: Some(2),
    };
    let inferred = ClipTextConfig::infer(&weights, hints).unwrap();
    let expected = ClipTextConfig {
        heads: 8,
        activation: Activation::Gelu,
        end_of_text: 2,
        ..other()
    };
    assert_eq!(inferred, expected);

    let narrow = ClipTextConfig {
        width: 24,
        ..other()
    };
    let (_folder, weights) = file(&needed(&narrow.placements().unwrap()));
    let error = ClipTextConfig::infer(&weights, ClipTextHints::default()).unwrap_err();
    assert!(error.to_string().contains("number of heads"), "{error}");
}

#[test]
fn the_published_network_has_the_published_tensors() {
    let list = ClipTextConfig::vit_l_14().placements().unwrap();
    let needed = needed(&list);
    let values: usize = needed
        .iter()
        .map(|entry| entry.shape.iter().product::<usize>())
        .sum();
    assert_eq!(needed.len(), 196);
    assert_eq!(values, 123_060_480);
}

#[test]
fn a_whole_model_gives_its_text_model() {
    let mut entries = entries();
    entries.push(Entry {
        whole: true,
        ..Entry::new("text_model.embeddings.position_ids", &[1, 5])
    });
    entries.push(Entry {
        whole: true,
        ..Entry::new("vision_model.embeddings.position_ids", &[1, 2])
    });
    let others = [
        "logit_scale",
        "text_projection.weight",
        "visual_projection.weight",
    ];
    entries.extend(others.map(|name| Entry::new(name, &[])));
    let (_folder, weights) = file(&entries);
    other()
        .import::<Flex>(&weights, &Default::default())
        .unwrap();
    let placed = weights.place(other().placements().unwrap()).unwrap();
    assert_eq!(
        placed.left_out(),
        [
            "logit_scale",
            "text_projection.weight",
            "vision_model.embeddings.position_ids",
            "visual_projection.weight",
        ]
    );
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let mut entries = entries();
    let unexpected = [
        "logit_scales",
        "text_model.embeddings.position_id",
        "text_model.encoder.layers.3.mlp.fc1.bias",
        "vision_model_2.proj",
    ];
    entries.extend(unexpected.map(|name| Entry::new(name, &[7])));
    entries.push(Entry::new("text_model.embeddings.position_ids", &[1, 6]));
    entries[0].whole = true;
    let (_folder, weights) = file(&entries);
    let error = other()
        .import::<Flex>(&weights, &Default::default())
        .unwrap_err();
    let ImportError::Weights(WeightError::Misfits { misfits, .. }) = error else {
        panic!("{error}");
    };
    let mut names = misfits.iter().map(|misfit| match misfit {
        Misfit::Unexpected { name, found } => {
            assert_eq!(*found, [7]);
            name.as_str()
        }
        Misfit::Shape { name, .. } | Misfit::Type { name, .. } => name.as_str(),
        Misfit::Missing { name, .. } => panic!("{name}"),
    });
    let first: Vec<_> = names.by_ref().take(2).collect();
    assert_eq!(
        first,
        [
            "text_model.embeddings.token_embedding.weight",
            "text_model.embeddings.position_ids",
        ]
    );
    assert_eq!(names.collect::<Vec<_>>(), unexpected);
}
