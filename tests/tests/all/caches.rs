//! Denoisers that remember earlier evaluations, in whole walks: a sample does not depend on its batch, and
//! nothing that is remembered outlives its walk.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use adadiff_model::kernels::Kernels;
use adadiff_model::{
    Condition, DecisionScope, Denoiser, EasyCache, FeatureCache, SpeCa, TaylorSeer, UVit,
};
use adadiff_sampler::{
    Ddim, DpmSolver, Guided, NoiseSource, Progress, SampleRequest, Sampler, SamplerOutput,
    ScheduleConfig, SinglestepOrders, SolverConfig,
};
use adadiff_tests::{Network, NetworkKind, assert_close, test_on_every_device, values};
use adadiff_uem::ExitTrace;
use anyhow::Result;
use burn::tensor::{Tensor, TensorData};

const SAMPLES: usize = 16;

const STEPS: usize = 12;

const DEPTH: usize = 4;

/// On images of about one, after 12 steps.
const TOLERANCE: f32 = 1e-3;

/// A guided network with a solver of two evaluations an update, and one without long skips with a solver
/// of one.
fn walks() -> [(NetworkKind, SolverConfig); 2] {
    let two = DpmSolver {
        orders: SinglestepOrders::Fixed(2),
        end: 1e-2,
        ..DpmSolver::default()
    };
    [
        (NetworkKind::Class, SolverConfig::DpmSolver(two)),
        (
            NetworkKind::WithoutSkips,
            SolverConfig::Ddim(Ddim::default()),
        ),
    ]
}

/// Every denoiser with a memory, with settings under which it skips something.
fn denoisers<'n, B: Kernels>(
    network: &'n UVit<B>,
) -> Vec<(&'static str, Box<dyn Denoiser<B> + 'n>)> {
    let three = NonZeroUsize::MIN.saturating_add(2);
    let sample = DecisionScope::Sample;
    vec![
        ("feature cache", Box::new(FeatureCache::new(network, three))),
        (
            "EasyCache",
            Box::new(EasyCache::new(network, 0.3, sample, STEPS)),
        ),
        ("TaylorSeer", Box::new(TaylorSeer::new(network, three, 2))),
        (
            "SpeCa",
            Box::new(SpeCa::new(network, 0.5, 1, sample, STEPS)),
        ),
    ]
}

struct Walk<'w, B: Kernels> {
    sampler: Sampler<B>,
    network: &'w Network,
    device: &'w B::Device,
}

impl<B: Kernels> Walk<'_, B> {
    /// Draws all samples in batches of this size; where it breaks after so many updates, nothing.
    fn draw(
        &self,
        denoiser: &dyn Denoiser<B>,
        batch: usize,
        stop: Option<usize>,
    ) -> Option<SamplerOutput<B>> {
        let backbone = &self.network.config.backbone;
        let labels: Vec<i64> = (0..SAMPLES as i64).map(|sample| sample % 4).collect();
        let labels = TensorData::new(labels, [SAMPLES]);
        let request = SampleRequest {
            shape: backbone.image_shape(),
            noise: NoiseSource::seeded(3),
            first_sample: 0,
            count: SAMPLES,
            batch,
            condition: match backbone.classes {
                Some(_) => Condition::Class(Tensor::from_data(labels, self.device)),
                None => Condition::None,
            },
            device: self.device.clone(),
        };
        let mut observer = |progress: &Progress<'_, B>| match stop {
            Some(stop) if progress.step.index + 1 == stop => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        self.sampler.sample(denoiser, &request, &mut observer).ok()
    }

    fn check(&self, name: &str, denoiser: &dyn Denoiser<B>) -> ExitTrace {
        let whole = self.draw(denoiser, SAMPLES, None).unwrap();
        let full = denoiser.blocks_per_prediction();
        let blocks = || whole.trace.steps.iter().map(|step| &step.blocks);
        assert_eq!(whole.evaluations, STEPS, "{name}");
        assert!(blocks().flatten().any(|&blocks| blocks == full), "{name}");
        let skipped = blocks().flatten().filter(|&&blocks| blocks < full).count();
        assert!(skipped >= SAMPLES, "{name}: {skipped}");
        let differing = blocks().filter(|blocks| blocks.iter().any(|own| *own != blocks[0]));
        println!("{name}: {skipped} skipped, {} differ", differing.count());

        assert!(self.draw(denoiser, SAMPLES, Some(3)).is_none());
        let again = self.draw(denoiser, SAMPLES, None).unwrap();
        assert_eq!(again.trace, whole.trace, "{name}");
        assert_eq!(values(again.images), values(whole.images.clone()), "{name}");

        // One by one takes minutes where a processor stands in for a graphics card.
        let few = if B::name(self.device).contains("flex") {
            1
        } else {
            8
        };
        let alone = self.draw(denoiser, few, None).unwrap();
        assert_eq!(alone.trace, whole.trace, "{name}");
        let (found, expected) = (values(alone.images), values(whole.images));
        assert_close(name, &found, &expected, TOLERANCE);
        assert!(denoiser.memory_per_sample() > 0, "{name}");
        whole.trace
    }
}

fn memories_are_of_one_walk_and_one_sample<B: Kernels>(device: &B::Device) -> Result<()> {
    for (kind, solver) in walks() {
        let network = Network::new(kind, DEPTH);
        let model = network.lively::<B>(device);
        let walk = Walk {
            sampler: Sampler {
                schedule: ScheduleConfig::default().build()?,
                solver: solver.build(),
                steps: STEPS,
            },
            network: &network,
            device,
        };
        for (name, denoiser) in denoisers(&model.backbone) {
            if kind == NetworkKind::Class {
                let none = TensorData::from([Network::CLASSES as i64 - 1]);
                let none = Condition::Class(Tensor::from_data(none, device));
                let guided = Guided::new(denoiser.as_ref(), none, 0.7)?;
                let trace = walk.check(&format!("guided {name}"), &guided);
                let mut blocks = trace.steps.iter().flat_map(|step| &step.blocks);
                // Both predictions of a sample run as many.
                assert!(blocks.all(|blocks| blocks % 2 == 0), "{name}");
            } else {
                walk.check(name, denoiser.as_ref());
            }
        }
    }
    Ok(())
}

test_on_every_device!(memories_are_of_one_walk_and_one_sample);
