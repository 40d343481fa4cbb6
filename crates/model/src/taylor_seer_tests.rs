use burn::tensor::Tensor;
use burn_flex::Flex;

use super::*;
use crate::Condition;
use crate::testing::{uniform, values};

const STEPS: usize = 8;

/// The inputs of a walk.
fn inputs() -> Vec<Tensor<Flex, 4>> {
    let noisy = uniform::<Flex, 4>([2, 2, 8, 8]);
    (0..STEPS)
        .map(|step| noisy.clone() * (1.0 - 0.1 * step as f64))
        .collect()
}

fn timestep(step: usize) -> f64 {
    800.0 - 100.0 * step as f64
}

fn walk(denoiser: &TaylorSeer<'_, Flex>) -> Vec<Prediction<Flex>> {
    let steps = inputs().into_iter().enumerate();
    let predict = |(step, noisy)| denoiser.predict(noisy, timestep(step), &Condition::None);
    steps.map(predict).collect::<Result<_, _>>().unwrap()
}

fn interval(evaluations: usize) -> NonZeroUsize {
    NonZeroUsize::new(evaluations).unwrap()
}

#[test]
fn the_first_two_evaluations_and_every_interval_run_the_blocks() {
    println!("device: flex");
    let network: UVit<Flex> = UVitConfig::tiny().init(3, &Default::default()).unwrap();
    let wrong = Condition::Class(Tensor::from_ints([0, 1], &Default::default()));
    for (every, expected) in [
        (1, [5, 5, 5, 5, 5, 5, 5, 5]),
        (2, [5, 5, 0, 5, 0, 5, 0, 5]),
        (3, [5, 5, 0, 0, 5, 0, 0, 5]),
        (9, [5, 5, 0, 0, 0, 0, 0, 0]),
    ] {
        let seer = TaylorSeer::new(&network, interval(every), 3);
        let first = walk(&seer);
        let blocks: Vec<u32> = first.iter().map(|found| found.blocks[1]).collect();
        assert_eq!(blocks, expected, "every {every}");
        for (step, found) in first.iter().enumerate() {
            if found.blocks[0] > 0 {
                let noisy = inputs().remove(step);
                let timesteps = [timestep(step) as f32; 2];
                let whole = network.forward(noisy, &timesteps, &Condition::None);
                assert_eq!(values(found.noise.clone()), values(whole.unwrap()));
            }
        }
        // A walk that was interrupted and a call that was refused leave nothing behind.
        seer.begin();
        for noisy in inputs().into_iter().take(3) {
            seer.predict(noisy.clone(), 500.0, &Condition::None)
                .unwrap();
            assert!(seer.predict(noisy, 500.0, &wrong).is_err());
        }
        seer.begin();
        for (found, expected) in walk(&seer).into_iter().zip(first) {
            assert_eq!(values(found.noise), values(expected.noise));
        }
        // Four factors of 17 tokens.
        assert_eq!(seer.memory_per_sample(), 4 * 17 * 32 * 4);
    }
}

#[test]
fn what_the_blocks_add_is_extrapolated() {
    println!("device: flex");
    let network: UVit<Flex> = UVitConfig::tiny().init(3, &Default::default()).unwrap();
    let embedded = |step: usize| {
        let noisy = inputs().remove(step);
        let timesteps = [timestep(step) as f32; 2];
        network.embed(noisy, &timesteps, &Condition::None).unwrap()
    };
    let added = |step: usize| {
        let state = embedded(step);
        network.run_blocks(0..5, state.clone()).hidden() - state.hidden()
    };
    // Evaluations 0, 1 and 4 run the blocks; the sixth is two after the last of them.
    let (first, second, third) = (added(0), added(1), added(4));
    let slope = |new: &Tensor<Flex, 3>, old: &Tensor<Flex, 3>, apart: f64| {
        (new.clone() - old.clone()) / apart
    };
    let (before, now) = (slope(&second, &first, 1.0), slope(&third, &second, 3.0));
    let curve = slope(&now, &before, 3.0);
    for (order, forecast) in [
        (0, third.clone()),
        (1, third.clone() + now.clone() * 2.0),
        (2, third + now * 2.0 + curve * 2.0),
    ] {
        let found = walk(&TaylorSeer::new(&network, interval(3), order)).remove(6);
        let expected = network.decode(embedded(6).hidden() + forecast);
        let difference = values((found.noise - expected).abs().max())[0];
        assert!(difference < 1e-5, "order {order}: {difference}");
    }
}
