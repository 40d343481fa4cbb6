//! A policy that needs no uncertainty runs no estimator.

use std::num::NonZeroUsize;

use adadiff_model::Denoiser;
use adadiff_model::kernels::Kernels;
use adadiff_tests::{Network, TestScale, test_on_every_device, values};
use adadiff_uem::{
    AdaptiveUVit, DepthSchedule, ExitPolicy, FixedDepth, FullDepth, ScheduledDepth, Threshold,
};
use anyhow::Result;
use burn::module::Module;

/// The policies that ask for nothing, and the blocks they run of five at timestep 500.
fn policies() -> [(Box<dyn ExitPolicy>, u32); 3] {
    let scheduled = ScheduledDepth {
        timestep: 500.0,
        blocks: 4,
    };
    [
        (Box::new(FullDepth), 5),
        (Box::new(FixedDepth(NonZeroUsize::MIN)), 1),
        (Box::new(DepthSchedule::new(vec![scheduled])), 4),
    ]
}

fn a_policy_that_needs_no_uncertainty_runs_no_estimator<B: Kernels>(
    device: &B::Device,
) -> Result<()> {
    for network in Network::all(4) {
        let sound = network.lively::<B>(device);
        let mut spoilt = sound.clone();
        let mut spoil = TestScale { factor: -50.0 };
        spoilt.estimators = spoilt
            .estimators
            .into_iter()
            .map(|one| one.map(&mut spoil))
            .collect();
        let (noisy, condition) = network.inputs::<B>(3, device);
        let predict = |model, policy| {
            AdaptiveUVit::new(model, policy).predict(noisy.clone(), 500.0, &condition)
        };
        for ((policy, blocks), (same, _)) in policies().into_iter().zip(policies()) {
            let what = format!("{:?}, {policy:?}", network.kind);
            let (expected, found) = (predict(&sound, policy)?, predict(&spoilt, same)?);
            assert_eq!(found.blocks, [blocks; 3], "{what}");
            assert!(found.exit_signal.iter().all(Vec::is_empty), "{what}");
            assert!(found.uncertainty_map.is_none(), "{what}");
            assert_eq!(values(found.noise), values(expected.noise), "{what}");
        }

        // The same weights show themselves to a policy that does ask.
        let ask = |model| {
            let asking = AdaptiveUVit::new(model, Threshold { uncertainty: 0.0 });
            asking.predict(noisy.clone(), 500.0, &condition)
        };
        let (expected, found) = (ask(&sound)?, ask(&spoilt)?);
        assert_eq!(found.blocks, [5; 3]);
        assert_ne!(found.exit_signal, expected.exit_signal);
    }
    Ok(())
}

test_on_every_device!(a_policy_that_needs_no_uncertainty_runs_no_estimator);
