//! Graphs of automatic differentiation, which the threads of a process build side by side.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

/// Held for reading while a graph is built, for writing during a backward pass.
static GRAPHS: RwLock<()> = RwLock::new(());

/// A graph that is being built.
///
/// Burn keeps the graphs of all threads in one table. At the end of every backward pass it sweeps out
/// nodes that nobody seems to need, and an operation that another thread is in the midst of has let
/// go of its inputs but not entered its output yet. Parameters that an earlier backward pass visited
/// no longer hold such nodes in place, and so a gradient would now and then be lost without a word:
/// in accumulation, where blocks are computed again, or where blocks share parameters. So no backward
/// pass runs while a graph is built. Waiting costs little: on a CPU all workers share the cores
/// anyway, elsewhere a backward pass only queues what the device is to do.
pub(crate) struct Graph {
    _building: RwLockReadGuard<'static, ()>,
}

impl Graph {
    /// Waits until no backward pass runs. A thread must not start a second graph before it has
    /// dropped the first.
    pub fn start() -> Self {
        Self {
            _building: GRAPHS.read().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// The gradients of `loss`, the end of this graph, once no thread builds one.
    pub fn backward<B: AutodiffBackend>(self, loss: &Tensor<B, 1>) -> B::Gradients {
        drop(self);
        let _alone = GRAPHS.write().unwrap_or_else(PoisonError::into_inner);
        loss.backward()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use adadiff_model::Condition;
    use adadiff_uem::AdaDiff;
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::optim::GradientsParams;
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
            condition: Condition::Class(Tensor::from_data([3, 1], &FlexDevice)),
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
                    let graph = Graph::start();
                    let root = Tensor::<Differentiable, 1>::ones([1], &FlexDevice).require_grad();
                    graph.backward(&(root * 2.0));
                    thread::yield_now();
                }
            });
            let differences: Vec<f32> = (0..200)
                .map(|round| farthest(&of(round % 2 == 1), &expected[round % 2]))
                .collect();
            finished.store(true, Ordering::Relaxed);
            let worst = differences.iter().copied().fold(0.0, f32::max);
            let lost = differences.iter().filter(|&&difference| difference > 1e-5);
            let lost = lost.count();
            println!("worst: {worst:.1e}, lost: {lost}");
            assert_eq!(lost, 0, "of 200 gradients");
        });
    }
}
