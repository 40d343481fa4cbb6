use adadiff_losses::{JointWeights, LossForm};
use adadiff_model::TextConfig;
use adadiff_uem::{AdaDiffConfig, EstimatorForm, HeadForm, UncertaintyForm};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::TensorData;
use burn_flex::{Flex, FlexDevice};

use super::*;
use crate::objective;
use crate::testing::{
    Differentiable, JOINT, Watcher, farthest, four_steps, network, train, train_in,
};
use crate::{Outcome, TrainConfig};

/// The gradients of all parameters; absent where a parameter has none.
struct Reader {
    gradients: GradientsParams,
    values: Vec<Option<Vec<f32>>>,
}

impl ModuleVisitor<Differentiable> for Reader {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Differentiable, D>>) {
        let gradient = self.gradients.remove::<Flex, D>(param.id);
        let values = gradient.map(|gradient| gradient.into_data().into_vec().unwrap());
        self.values.push(values);
    }
}

fn values(model: &AdaDiff<Differentiable>, gradients: GradientsParams) -> Vec<Option<Vec<f32>>> {
    let mut reader = Reader {
        gradients,
        values: Vec::new(),
    };
    model.visit(&mut reader);
    reader.values
}

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

/// Two images that are noise all through.
fn input(config: &AdaDiffConfig) -> Input<Differentiable> {
    let device = FlexDevice;
    let wave = |count: usize, speed: f32| -> Vec<f32> {
        (0..count).map(|i| (i as f32 * speed).sin()).collect()
    };
    let images =
        |speed: f32| Tensor::from_data(TensorData::new(wave(256, speed), [2, 2, 8, 8]), &device);
    let backbone = &config.backbone;
    let condition = match (backbone.classes, backbone.text) {
        (Some(_), _) => Condition::Class(Tensor::from_data([3, 1], &device)),
        (_, Some(text)) => {
            let shape = [2, text.tokens, text.width];
            let context = wave(shape.iter().product(), 0.7);
            Condition::Text(Tensor::from_data(TensorData::new(context, shape), &device))
        }
        _ => Condition::None,
    };
    Input {
        noisy: images(1.3),
        noise: images(2.1),
        timesteps: vec![20.0, 730.0],
        condition,
    }
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
            let (found, expected) = (values(&model, found), values(&model, expected));
            let mut worst = 0.0f32;
            for (found, expected) in found.iter().zip(&expected) {
                let (Some(found), Some(expected)) = (found, expected) else {
                    assert_eq!(found, expected, "one of them has no gradient");
                    continue;
                };
                let largest = expected.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
                let pairs = found.iter().zip(expected);
                let difference = pairs.fold(0.0, |most: f32, (a, b)| most.max((a - b).abs()));
                assert!(largest > 0.0 && largest.is_finite());
                worst = worst.max(difference / largest);
            }
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
    let interrupting = Watcher {
        stop_after: Some(2),
        ..Watcher::default()
    };
    let (outcome, _, _) = train_in(folder.path(), &recomputing, interrupting);
    assert_eq!(outcome, Outcome::Interrupted);
    let (_, _, resumed) = train_in(folder.path(), &recomputing, Watcher::default());
    assert_eq!(resumed, whole);
}
