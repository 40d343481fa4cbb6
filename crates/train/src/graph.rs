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
/// go of its inputs but not entered its output yet. A parameter holds such nodes in place only until
/// a backward pass has visited it or its graph has been joined to others twice. So a gradient would
/// now and then be lost without a word: in accumulation, where blocks are computed again, or where
/// blocks share parameters. Hence no training's backward pass runs while another builds a graph. On a
/// GPU, where both only queue work, neither waits for long; on a CPU workers share the cores anyway.
#[must_use]
pub(crate) struct Graph {
    _building: RwLockReadGuard<'static, ()>,
}

impl Graph {
    /// Waits until no backward pass runs. A thread must not start a second graph before it has
    /// dropped the first: a backward pass that waits in between would block both for ever.
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

    use adadiff_uem::AdaDiff;
    use burn_flex::FlexDevice;

    use super::*;
    use crate::testing::{
        Differentiable, JOINT, farthest_gradients, gradient_values, input, network,
    };
    use crate::{objective, recompute};

    /// Ends the other thread, also where this one panics.
    struct Finished<'a>(&'a AtomicBool);

    impl Drop for Finished<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn backward_passes_of_other_threads_cost_no_gradient() {
        println!("device: flex");
        let model: AdaDiff<Differentiable> = network().init(3, &FlexDevice).unwrap();
        let of = |recomputing: bool| {
            let compute = if recomputing {
                recompute::gradients
            } else {
                objective::gradients
            };
            let (_, gradients) = compute(&model, JOINT, input(&network()), 1.0).unwrap();
            gradient_values(&model, gradients)
        };
        let expected = [false, true].map(of);
        assert!(expected[0].iter().all(Option::is_some));

        let finished = AtomicBool::new(false);
        thread::scope(|scope| {
            let _finished = Finished(&finished);
            scope.spawn(|| {
                while !finished.load(Ordering::Relaxed) {
                    let graph = Graph::start();
                    let root = Tensor::<Differentiable, 1>::ones([1], &FlexDevice).require_grad();
                    graph.backward(&(root * 2.0));
                    thread::yield_now();
                }
            });
            let differences =
                (0..200).map(|round| farthest_gradients(&of(round % 2 == 1), &expected[round % 2]));
            let lost = differences.filter(|&difference| difference > 1e-5).count();
            assert_eq!(lost, 0, "of 200 gradients; without the lock about five");
        });
    }
}
