//! Parameters as the roots of a graph of their own.

use adadiff_model::kernels::Kernels;
use adadiff_uem::AdaDiff;
use burn::module::Module;
use burn::tensor::backend::AutodiffBackend;

/// The same network, whose parameters no backward pass has visited yet.
///
/// A backward pass takes the parameters that it visited out of Burn's table of graphs. What is
/// computed with them afterwards then lies in graphs without a root that anybody holds, and Burn
/// sweeps such graphs away after every backward pass, those of other threads as well: where workers
/// share a process, a gradient would now and then be lost without a word. So every forward pass
/// with a graph starts at roots of its own. No weight is copied.
pub(crate) fn rooted<B: AutodiffBackend + Kernels>(model: &AdaDiff<B>) -> AdaDiff<B> {
    match model.devices().first() {
        Some(device) => model.clone().fork(device),
        None => model.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use burn::module::{ModuleVisitor, Param};
    use burn::optim::GradientsParams;
    use burn::tensor::Tensor;
    use burn_flex::{Flex, FlexDevice};

    use super::*;
    use crate::objective::Input;
    use crate::testing::{Differentiable, JOINT, network};
    use crate::{objective, recompute};

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

    /// Two images of noise that the network is to predict.
    fn input() -> Input<Differentiable> {
        let waves = |speed: f32| {
            let values: Vec<f32> = (0..256).map(|i| (i as f32 * speed).sin()).collect();
            Tensor::<Differentiable, 1>::from_floats(values.as_slice(), &FlexDevice)
                .reshape([2, 2, 8, 8])
        };
        Input {
            noisy: waves(1.3),
            noise: waves(2.1),
            timesteps: vec![20.0, 730.0],
            condition: adadiff_model::Condition::Class(Tensor::from_data([3, 1], &FlexDevice)),
        }
    }

    /// The largest difference of any gradient, as a share of its parameter's largest.
    fn farthest(found: &[Option<Vec<f32>>], expected: &[Option<Vec<f32>>]) -> f32 {
        assert_eq!(found.len(), expected.len());
        let pairs = found.iter().zip(expected);
        pairs.fold(0.0, |most, (found, expected)| {
            let (Some(found), Some(expected)) = (found, expected) else {
                return f32::INFINITY;
            };
            let largest = expected.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
            let pairs = found.iter().zip(expected);
            pairs.fold(most, |most, (a, b)| most.max((a - b).abs() / largest))
        })
    }

    #[test]
    fn backward_passes_of_other_threads_cost_no_gradient() {
        println!("device: flex");
        let model: AdaDiff<Differentiable> = network().init(3, &FlexDevice).unwrap();
        let of = |recomputing: bool| {
            let compute = match recomputing {
                false => objective::gradients,
                true => recompute::gradients,
            };
            let (_, gradients) = compute(&model, JOINT, input(), 1.0).unwrap();
            let mut reader = Reader {
                gradients,
                values: Vec::new(),
            };
            model.visit(&mut reader);
            reader.values
        };
        let expected = [false, true].map(of);
        assert!(expected[0].iter().all(Option::is_some));

        let finished = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !finished.load(Ordering::Relaxed) {
                    let root = Tensor::<Differentiable, 1>::ones([1], &FlexDevice).require_grad();
                    (root * 2.0).backward();
                }
            });
            let differences: Vec<f32> = (0..300)
                .map(|round| farthest(&of(round % 2 == 1), &expected[round % 2]))
                .collect();
            finished.store(true, Ordering::Relaxed);
            let worst = differences.iter().copied().fold(0.0, f32::max);
            let lost = differences.iter().filter(|&&difference| difference > 1e-5);
            let lost = lost.count();
            println!("worst: {worst:.1e}, lost: {lost}");
            assert_eq!(lost, 0, "of 300 gradients");
        });
    }
}
