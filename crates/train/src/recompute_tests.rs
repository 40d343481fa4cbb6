use adadiff_losses::{JointWeights, LossForm};
use adadiff_model::TextConfig;
use adadiff_uem::{AdaDiffConfig, EstimatorForm, HeadForm, UncertaintyForm};
use burn_flex::FlexDevice;

use super::*;
use crate::objective;
use crate::testing::{
    Differentiable, JOINT, Watcher, farthest, farthest_gradients, four_steps, gradient_values,
    input, network, train, train_in,
};
use crate::{TrainConfig, TrainOutcome};

/// Networks that differ in condition, estimator, heads, skips and number of blocks.
fn networks() -> [AdaDiffConfig; 6] {
    let with = |change: &dyn Fn(&mut AdaDiffConfig)| {
        let mut config = network();
        change(&mut config);
        config
    };
    [
        network(),
        with(&|config| {
            config.estimator = EstimatorForm::Tokens;
            config.backbone.classes = None;
            config.backbone.text = Some(TextConfig {
                tokens: 3,
                width: 12,
            });
            config.backbone.final_convolution = false;
        }),
        with(&|config| {
            config.backbone.long_skips = false;
            config.backbone.classes = None;
            config.backbone.time_mlp = false;
        }),
        with(&|config| config.backbone.depth = 1),
        with(&|config| {
            config.heads = HeadForm::Own;
            config.uncertainty = UncertaintyForm::Token;
        }),
        with(&|config| {
            config.uncertainty = UncertaintyForm::Sample;
            config.shared_estimator = true;
        }),
    ]
}

#[test]
fn every_gradient_is_that_of_the_whole_graph() {
    println!("device: flex");
    let published = Objective::Joint {
        form: LossForm::Published,
        weights: JointWeights::default(),
    };
    for config in networks() {
        let model: AdaDiff<Differentiable> = config.init(3, &FlexDevice).unwrap();
        for objective in [Objective::Simple, JOINT, published] {
            let (expected_losses, expected) =
                objective::gradients(&model, objective, input(&config), 0.75).unwrap();
            let (losses, found) = gradients(&model, objective, input(&config), 0.75).unwrap();
            for (found, expected) in [
                (losses.total, expected_losses.total),
                (losses.simple, expected_losses.simple),
                (losses.uncertainty, expected_losses.uncertainty),
                (losses.layer_wise, expected_losses.layer_wise),
            ] {
                assert!((found - expected).abs() < 1e-6, "{found} and {expected}");
            }
            let expected = gradient_values(&model, expected);
            let moves = |values: &Vec<f32>| values.iter().any(|value| *value != 0.0);
            assert!(expected.iter().flatten().all(moves), "a gradient is zero");
            let worst = farthest_gradients(&gradient_values(&model, found), &expected);
            println!("{objective:?}: {worst:.1e} of the largest");
            assert!(worst < 1e-5);
        }
    }
}

#[test]
fn a_training_that_computes_blocks_again_learns_the_same_and_resumes() {
    println!("device: flex");
    let plain = four_steps(JOINT);
    let recomputing = TrainConfig {
        recompute_blocks: true,
        ..plain.clone()
    };
    let (_, expected) = train(&plain);
    let (_, whole) = train(&recomputing);
    assert!(farthest(&whole, &expected) < 1e-6);

    let folder = tempfile::tempdir().unwrap();
    let interrupting = Watcher::stopping_after(2);
    let (outcome, _, _) = train_in(folder.path(), &recomputing, interrupting);
    assert_eq!(outcome, TrainOutcome::Interrupted);
    let (_, _, resumed) = train_in(folder.path(), &recomputing, Watcher::default());
    assert_eq!(resumed, whole);
}
