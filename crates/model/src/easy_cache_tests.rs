use burn::tensor::TensorData;
use burn_flex::Flex;

use super::*;
use crate::testing::{uniform, values};
use crate::{Condition, UVit, UVitConfig};

/// Multiplies its input by the timestep.
#[derive(Debug)]
struct Scaling;

impl Denoiser<Flex> for Scaling {
    fn predict_batch(&self, batch: NoisyBatch<Flex>) -> Result<Prediction<Flex>, ModelError> {
        Ok(Prediction::new(batch.noisy * batch.timestep, 3))
    }

    fn blocks_per_prediction(&self) -> u32 {
        3
    }
}

fn input<const ROWS: usize>(rows: [f32; ROWS]) -> Tensor<Flex, 4> {
    // Mean sizes are those of the rows, though values have both signs.
    let pixels = rows.iter().flat_map(|value| [*value, -value]).collect();
    let pixels = TensorData::new::<f32, _>(pixels, [ROWS, 1, 1, 2]);
    Tensor::from_data(pixels, &Default::default())
}

fn firsts(prediction: &Prediction<Flex>) -> Vec<f32> {
    values(prediction.noise.clone())
        .chunks(2)
        .map(|pixels| pixels[0])
        .collect()
}

#[test]
fn evaluations_are_skipped_while_the_estimate_is_below_the_tolerance() {
    println!("device: flex");
    let cache = EasyCache::new(Scaling, 0.1, DecisionScope::Sample, 10);
    // The second sample moves as far as it is large, so that it is evaluated every time.
    let walk = [
        // Full at first: a fifth of ten evaluations. The rate is then 1, the output's size 2.
        ([1.0, 1.0], 1.0, [1.0, 1.0], [3, 3]),
        ([2.0, 2.0], 1.0, [2.0, 2.0], [3, 3]),
        // 0.1 / 2 and 0.05 / 2 make 0.075; 0.1 / 2 more is too much.
        ([2.1, 4.0], 1.0, [2.1, 4.0], [0, 3]),
        ([2.15, 8.0], 1.0, [2.15, 8.0], [0, 3]),
        ([2.25, 16.0], 2.0, [4.5, 32.0], [3, 3]),
        // The rate is (4.5 - 2) / (2.25 - 2) = 10, so that 10 * 0.01 / 4.5 is added; and the input was
        // changed by 4.5 - 2.25 in the last full evaluation.
        ([2.26, 32.0], 2.0, [4.51, 64.0], [0, 3]),
        // 10 * 0.05 / 4.5 is more than the tolerance.
        ([2.31, 64.0], 2.0, [4.62, 128.0], [3, 3]),
        // Nothing moves.
        ([2.31, 64.0], 3.0, [4.62, 128.0], [0, 0]),
        ([2.31, 64.0], 3.0, [4.62, 128.0], [0, 0]),
        // The last one is full.
        ([2.31, 64.0], 3.0, [6.93, 192.0], [3, 3]),
    ];
    for repeated in 0..2 {
        cache.begin();
        for (step, &(rows, timestep, expected, blocks)) in walk.iter().enumerate() {
            let found = cache.predict(input(rows), timestep, &Condition::None);
            let found = found.unwrap();
            assert_eq!(found.blocks, blocks, "walk {repeated}, step {step}");
            for (found, expected) in firsts(&found).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "step {step}: {found}");
            }
        }
    }
    // Three images of two numbers.
    assert_eq!(cache.memory_per_sample(), 3 * 2 * 4);
}

#[test]
fn a_batch_decides_by_its_means_and_a_pair_by_its_own() {
    println!("device: flex");
    let blocks = |scope, pairs: bool| {
        let cache = EasyCache::new(Scaling, 0.1, scope, 10);
        // Both move by 0.1 in the end, of outputs of 2 and 0.5: 0.05 and 0.2.
        let walk = [[1.0, 0.25], [2.0, 0.5], [2.1, 0.6]].map(|rows| {
            let batch = NoisyBatch {
                noisy: input(rows),
                timestep: 1.0,
                condition: Condition::None,
                pairs,
            };
            cache.predict_batch(batch).unwrap().blocks
        });
        walk[2].clone()
    };
    assert_eq!(blocks(DecisionScope::Sample, false), [0, 3]);
    // The mean move is 0.1 and the mean output 1.25.
    assert_eq!(blocks(DecisionScope::Batch, false), [0, 0]);
    assert_eq!(blocks(DecisionScope::Sample, true), [0, 0]);
}

#[test]
fn a_tolerance_of_zero_is_the_network_and_what_is_refused_counts_for_nothing() {
    println!("device: flex");
    let network: UVit<Flex> = UVitConfig::tiny().init(3, &Default::default()).unwrap();
    let none = EasyCache::new(&network, 0.0, DecisionScope::Sample, 8);
    let most = EasyCache::new(&network, f64::INFINITY, DecisionScope::Sample, 8);
    let noisy = uniform::<Flex, 4>([2, 2, 8, 8]);
    let wrong = Condition::Class(Tensor::from_ints([0, 1], &Default::default()));
    let mut skipped = Vec::new();
    for step in 0..8 {
        let noisy = noisy.clone() * (1.0 - 0.1 * f64::from(step));
        let whole = network.forward(noisy.clone(), &[500.0; 2], &Condition::None);
        let found = none
            .predict(noisy.clone(), 500.0, &Condition::None)
            .unwrap();
        assert_eq!(values(found.noise), values(whole.unwrap()));
        assert!(none.predict(noisy.clone(), 500.0, &wrong).is_err());
        skipped.push(most.predict(noisy, 500.0, &Condition::None).unwrap().blocks[1]);
    }
    assert_eq!(skipped, [5, 5, 0, 0, 0, 0, 0, 5]);
    let one = noisy.narrow(0, 0, 1);
    let other = most.predict(one, 500.0, &Condition::None).unwrap();
    assert_eq!(other.blocks, [5], "nothing is known of another batch");
}
