use burn_flex::Flex;

use super::*;
use crate::Condition;
use crate::testing::{uniform, values};

const STEPS: usize = 12;

fn network(long_skips: bool) -> UVit<Flex> {
    let config = UVitConfig {
        long_skips,
        ..UVitConfig::tiny()
    };
    config.init(3, &Default::default()).unwrap()
}

/// The inputs of a walk of two samples, of which the second hardly moves.
fn inputs() -> Vec<Tensor<Flex, 4>> {
    let noisy = uniform::<Flex, 4>([2, 2, 8, 8]);
    let [moving, resting] = [0, 1].map(|row| noisy.clone().narrow(0, row, 1));
    let step = |step: usize| {
        let moved = moving.clone() * (2.0 - 0.3 * step as f64).powi(2);
        let rested = resting.clone() * (1.0 - 1e-6 * step as f64);
        Tensor::cat(vec![moved, rested], 0)
    };
    (0..STEPS).map(step).collect()
}

fn walk(denoiser: &SpeCa<'_, Flex>) -> Vec<Prediction<Flex>> {
    let predict = |noisy| denoiser.predict(noisy, 500.0, &Condition::None);
    inputs()
        .into_iter()
        .map(predict)
        .collect::<Result<_, _>>()
        .unwrap()
}

fn blocks(walk: &[Prediction<Flex>], sample: usize) -> Vec<u32> {
    walk.iter().map(|found| found.blocks[sample]).collect()
}

#[test]
fn two_to_five_forecasts_follow_each_full_evaluation_as_each_sample_needs() {
    println!("device: flex");
    for (long_skips, verified) in [(true, 2), (false, 1)] {
        let network = network(long_skips);
        let v = verified;
        let patient = [5, 5, 0, v, v, v, 0, 5, 0, v, v, 0];
        let strict = [5, 5, 0, v, 5, 0, v, 5, 0, v, 5, 0];
        let speca = SpeCa::new(&network, f64::INFINITY, 1, DecisionScope::Sample, STEPS);
        let found = walk(&speca);
        assert_eq!([blocks(&found, 0), blocks(&found, 1)], [patient; 2]);
        // A tolerance of nothing is still one of 0.01, which a sample at rest stays below.
        let speca = SpeCa::new(&network, 0.0, 1, DecisionScope::Sample, STEPS);
        let found = walk(&speca);
        assert_eq!([blocks(&found, 0), blocks(&found, 1)], [strict, patient]);
        // Two series of two factors of 17 tokens.
        assert_eq!(speca.memory_per_sample(), 2 * 2 * 17 * 32 * 4);
        // Where all decide together, neither goes its own way.
        let together = SpeCa::new(&network, 0.0, 1, DecisionScope::Batch, STEPS);
        let together = walk(&together);
        assert_eq!(blocks(&together, 0), blocks(&together, 1));
    }
}

#[test]
fn an_interrupted_walk_and_refused_calls_leave_nothing_behind() {
    println!("device: flex");
    let network = network(true);
    let wrong = Condition::Class(Tensor::from_ints([0, 1], &Default::default()));
    let speca = SpeCa::new(&network, 0.1, 2, DecisionScope::Sample, STEPS);
    let first = walk(&speca);
    for (found, noisy) in first.iter().zip(inputs()).take(2) {
        let whole = network.forward(noisy, &[500.0; 2], &Condition::None);
        assert_eq!(values(found.noise.clone()), values(whole.unwrap()));
    }
    speca.begin();
    for noisy in inputs().into_iter().take(5) {
        speca
            .predict(noisy.clone(), 700.0, &Condition::None)
            .unwrap();
        assert!(speca.predict(noisy, 700.0, &wrong).is_err());
    }
    speca.begin();
    for (found, expected) in walk(&speca).into_iter().zip(first) {
        assert_eq!(found.blocks, expected.blocks);
        assert_eq!(values(found.noise), values(expected.noise));
    }
}

/// The error of the second forecast, from the network's own blocks.
#[test]
fn the_error_is_that_of_the_last_block_on_its_forecast_input() {
    println!("device: flex");
    let network = network(true);
    let states = |step: usize| {
        let noisy = inputs().remove(step);
        let embedded = network.embed(noisy, &[500.0; 2], &Condition::None).unwrap();
        let before = network.run_blocks(0..4, embedded.clone());
        let all = network.run_blocks(4..5, before.clone()).hidden();
        let [before, all] = [before.hidden(), all].map(|hidden| hidden - embedded.hidden());
        (embedded, before, all)
    };
    let ((_, before, all), (_, before_now, all_now)) = (states(0), states(1));
    // Two evaluations after the second one, along the line through both.
    let forecast = |old: Tensor<Flex, 3>, now: Tensor<Flex, 3>| now.clone() + (now - old) * 2.0;
    let embedded = states(3).0;
    let before = embedded.hidden() + forecast(before, before_now);
    let all = embedded.hidden() + forecast(all, all_now);
    let real = network.run_blocks(0..1, embedded).with_hidden(before);
    let real = network.run_blocks(4..5, real).hidden();
    let [real, all] = [real, all].map(|hidden| values(hidden.narrow(0, 0, 1)));
    let errors = all.iter().zip(&real).map(|(all, real)| {
        let size = f64::from(all.abs().max(real.abs()));
        f64::from((all - real).abs()) / size
    });
    let error = errors.sum::<f64>() / all.len() as f64;
    println!("error {error}");
    assert!(error > 0.02, "above the floor: {error}");
    // The next evaluation is the fifth of twelve.
    let decay = 0.01_f64.powf(4.0 / 12.0);
    for (share, expected) in [(0.99, 5), (1.01, 2)] {
        let tolerance = share * error / decay;
        let speca = SpeCa::new(&network, tolerance, 1, DecisionScope::Sample, STEPS);
        assert_eq!(walk(&speca)[4].blocks[0], expected, "{share}");
    }
}

#[test]
fn a_verified_forecast_costs_its_two_blocks() {
    let config = UVitConfig::tiny();
    let flops = config.flops();
    let ends = flops.embed + flops.decode;
    assert_eq!(config.forecast_flops(), ends);
    let expected = ends + flops.blocks[0] + flops.blocks[4];
    assert_eq!(config.verified_evaluation(), (2, expected));
}
