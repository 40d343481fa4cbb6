use burn_flex::Flex;

use super::*;
use crate::clip::Activation;
use crate::testing::{file, needed, values};

fn config() -> ClipTextConfig {
    ClipTextConfig {
        vocabulary: 12,
        width: 8,
        mlp_width: 20,
        layers: 2,
        heads: 2,
        tokens: 6,
        end_of_text: 9,
        ..ClipTextConfig::vit_l_14()
    }
}

fn network(config: &ClipTextConfig) -> ClipText<Flex> {
    let (_folder, file) = file(&needed(&config.placements().unwrap()));
    config.import(&file, &Default::default()).unwrap()
}

/// The hidden states of one text, token by token.
fn hidden(network: &ClipText<Flex>, ids: &[u32]) -> Vec<Vec<f32>> {
    let hidden = values(network.forward(&[ids]).unwrap().hidden);
    hidden.chunks(8).map(<[f32]>::to_vec).collect()
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn a_token_sees_those_before_it_and_none_after_it() {
    let network = network(&config());
    let before = hidden(&network, &[1, 2, 3, 4, 5, 6]);
    let after = hidden(&network, &[1, 2, 7, 4, 5, 6]);
    for token in 0..2 {
        assert!(difference(&before[token], &after[token]) < 1e-6);
    }
    for token in 2..6 {
        assert!(difference(&before[token], &after[token]) > 1e-3);
    }
    let short = hidden(&network, &[1, 2, 3]);
    for token in 0..3 {
        assert!(difference(&before[token], &short[token]) < 1e-6);
    }
}

#[test]
fn the_first_end_of_text_is_pooled() {
    let ids = [[1, 9, 11, 9], [9, 3, 4, 5], [1, 2, 3, 4]];
    let pooled_tokens = |end_of_text: u32| {
        let network = network(&ClipTextConfig {
            end_of_text,
            ..config()
        });
        let features = network.forward(&ids).unwrap();
        let pooled = values(features.pooled);
        let tokens = values(features.hidden);
        let tokens: Vec<_> = tokens.chunks(8).collect();
        let position = |text: usize| {
            let pooled = &pooled[8 * text..8 * (text + 1)];
            let mut tokens = tokens[4 * text..4 * (text + 1)].iter();
            tokens.position(|token| *token == pooled).unwrap()
        };
        [0, 1, 2].map(position)
    };
    assert_eq!(pooled_tokens(9), [1, 0, 0]);
    // The legacy number: the highest token of each text.
    assert_eq!(pooled_tokens(2), [2, 0, 3]);
}

#[test]
fn texts_that_do_not_suit_are_refused() {
    let network = network(&config());
    let refusal = |texts: &[Vec<u32>]| network.forward(texts).unwrap_err();
    assert_eq!(
        refusal(&[vec![1, 2], vec![11, 12]]),
        ModelError::Token {
            id: 12,
            vocabulary: 12,
        }
    );
    assert_eq!(
        refusal(&[vec![1; 7]]),
        ModelError::Tokens { most: 6, found: 7 }
    );
    assert_eq!(refusal(&[vec![]]), ModelError::Tokens { most: 6, found: 0 });
    for texts in [vec![], vec![vec![1, 2], vec![1]]] {
        assert!(matches!(refusal(&texts), ModelError::Shape { .. }));
    }
}

#[test]
fn both_activations_are_the_published_ones() {
    let with = |activation| {
        let network = network(&ClipTextConfig {
            activation,
            ..config()
        });
        hidden(&network, &[1, 2, 3]).concat()
    };
    let difference = difference(&with(Activation::QuickGelu), &with(Activation::Gelu));
    assert!((1e-5..0.1).contains(&difference), "{difference}");
}
