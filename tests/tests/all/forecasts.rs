//! Samples leave with what they kept, and what they kept is theirs alone.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser, NoisyBatch, Prediction, UVit};
use adadiff_sampler::{
    Ddim, DpmSolver, DpmSolverPlusPlus, EulerMaruyama, Guided, NoiseSource, ReverseProcess,
    SampleRequest, Sampler, SinglestepOrders, SolverConfig, UniPc, VpLinear,
};
use adadiff_tests::{Network, NetworkKind, assert_close, one, row, test_on_every_device, values};
use adadiff_uem::{
    AdaDiffConfig, AdaptiveUVit, BlockCache, ExitWindow, ExitWindows, FixedDepth, Forecast,
    HeadForm,
};
use anyhow::Result;
use burn::tensor::Tensor;

const BATCH: usize = 16;

/// In-blocks, mid block and out-blocks without the mid block.
const DEPTH: usize = 8;

const BLOCKS: usize = DEPTH + 1;

/// On noise predictions of about one.
const TOLERANCE: f32 = 1e-5;

/// Timesteps of a walk.
const TIMESTEPS: [f64; 5] = [900.0, 700.0, 500.0, 300.0, 100.0];

fn window(timestep: f64, blocks: usize, forecast: Forecast) -> ExitWindow {
    ExitWindow {
        forecast: Some(forecast),
        ..ExitWindow::fixed(timestep, blocks)
    }
}

/// Those whose movement is under this leave after two blocks, the others run to the end.
fn gate(timestep: f64, movement: f32) -> ExitWindow {
    ExitWindow {
        most: BLOCKS,
        movement: Some(movement),
        ..window(timestep, 2, Forecast::default())
    }
}

/// Every part of what forecasts can be: samples run to the end at different times.
fn policy(movement: f32) -> ExitWindows {
    let line = Forecast {
        order: 1,
        coefficient: 0.75,
        ..Forecast::default()
    };
    let windows = vec![
        ExitWindow::fixed(TIMESTEPS[0], BLOCKS),
        gate(TIMESTEPS[1], movement),
        gate(TIMESTEPS[2], movement),
        window(TIMESTEPS[3], 4, line),
        window(TIMESTEPS[4], 2, Forecast::default()),
    ];
    ExitWindows::new(windows, NonZeroUsize::MIN)
}

/// The predictions of a walk whose inputs do not depend on them.
fn walk<B: Kernels>(
    denoiser: &dyn Denoiser<B>,
    noisy: &Tensor<B, 4>,
    condition: &Condition<B>,
) -> Result<Vec<Prediction<B>>> {
    denoiser.begin();
    let inputs = TIMESTEPS.iter().zip([1.0, 0.9, 0.7, 0.6, 0.55]);
    let predict = |(&timestep, scale): (&f64, f64)| {
        Ok(denoiser.predict(noisy.clone() * scale, timestep, condition)?)
    };
    inputs.map(predict).collect()
}

/// The middle of the movements at the first gate.
fn middle_movement<B: Kernels>(
    network: &Network,
    device: &B::Device,
    noisy: &Tensor<B, 4>,
    condition: &Condition<B>,
) -> Result<f32> {
    let model = network.lively::<B>(device);
    let found = walk(
        &AdaptiveUVit::new(&model, policy(f32::MAX)),
        noisy,
        condition,
    )?;
    let mut moved: Vec<f32> = found[1].exit_signal.concat();
    moved.sort_by(f32::total_cmp);
    assert_eq!(moved.len(), BATCH);
    Ok((moved[BATCH / 2 - 1] + moved[BATCH / 2]) / 2.0)
}

fn a_sample_is_told_from_what_it_kept_alone_and_in_any_batch<B: Kernels>(
    device: &B::Device,
) -> Result<()> {
    for network in Network::all(DEPTH) {
        let model = network.lively::<B>(device);
        let (noisy, condition) = network.inputs::<B>(BATCH, device);
        let movement = middle_movement(&network, device, &noisy, &condition)?;
        let adaptive = AdaptiveUVit::new(&model, policy(movement));
        let together = walk(&adaptive, &noisy, &condition)?;
        let run: Vec<_> = together.iter().map(|found| found.blocks.clone()).collect();
        println!("{:?}: blocks {run:?} under {movement}", network.kind);
        assert_eq!(run[0], [BLOCKS as u32; BATCH]);
        let left = run[1].iter().filter(|&&blocks| blocks == 2).count();
        assert_eq!(left, BATCH / 2, "half of them moved less");
        assert_eq!((&run[3], &run[4]), (&vec![4; BATCH], &vec![2; BATCH]));

        for sample in 0..BATCH {
            let (noisy, condition) = one(&noisy, &condition, sample);
            let alone = walk(&adaptive, &noisy, &condition)?;
            for (step, (alone, together)) in alone.iter().zip(&together).enumerate() {
                let what = format!("{:?}, sample {sample}, step {step}", network.kind);
                assert_eq!(alone.blocks[0], together.blocks[sample], "{what}");
                let (found, expected) = (row(&alone.noise, 0), row(&together.noise, sample));
                assert_close(&what, &found, &expected, TOLERANCE);
            }
        }

        // After an interrupted walk, and one of other samples, everything is as it was.
        adaptive.begin();
        adaptive.predict(noisy.clone() * 2.0, TIMESTEPS[0], &condition)?;
        adaptive.predict(noisy.clone() * 3.0, TIMESTEPS[1], &condition)?;
        let again = walk(&adaptive, &noisy, &condition)?;
        for (again, first) in again.into_iter().zip(together) {
            assert_eq!(values(again.noise), values(first.noise));
        }
    }
    Ok(())
}

test_on_every_device!(a_sample_is_told_from_what_it_kept_alone_and_in_any_batch);

/// The state after `blocks` blocks, and after all.
fn states<B: Kernels>(
    backbone: &UVit<B>,
    noisy: Tensor<B, 4>,
    timestep: f64,
    blocks: usize,
) -> Result<[Tensor<B, 3>; 2]> {
    let [batch, ..] = noisy.dims();
    let state = backbone.embed(noisy, &vec![timestep as f32; batch], &Condition::None)?;
    let after = backbone.run_blocks(0..blocks, state);
    let hidden = after.hidden();
    let end = backbone.run_blocks(blocks..BLOCKS, after);
    Ok([hidden, end.hidden()])
}

fn an_exit_adds_the_forecast_and_nothing_else<B: Kernels>(device: &B::Device) -> Result<()> {
    let network = Network::new(NetworkKind::Unconditional, DEPTH);
    let own_heads = AdaDiffConfig {
        heads: HeadForm::Own,
        ..network.config.clone()
    };
    let mut other = own_heads.init::<B>(5, device)?;
    other.backbone = network.lively::<B>(device).backbone;
    let (noisy, _) = network.inputs::<B>(3, device);
    let moved = noisy.clone() * 0.9;
    for model in [network.lively::<B>(device), other] {
        let backbone = &model.backbone;
        let [first, first_end] = states(backbone, noisy.clone(), 900.0, 3)?;
        let [second, second_end] = states(backbone, moved.clone(), 700.0, 3)?;
        let [third, _] = states(backbone, moved.clone(), 500.0, 3)?;
        let differences = [first_end - first, second_end - second];
        let told = |order, coefficient| {
            let forecast = Forecast {
                order,
                coefficient,
                ..Forecast::default()
            };
            // A signal-to-noise ratio that does not go with the timestep.
            let windows = [(900.0, -2.0), (700.0, -1.0), (500.0, 2.0)];
            let windows = windows.map(|(timestep, log_snr)| ExitWindow {
                log_snr: Some(log_snr),
                ..match timestep {
                    500.0 => window(timestep, 3, forecast),
                    _ => ExitWindow::fixed(timestep, BLOCKS),
                }
            });
            let windows = ExitWindows::new(windows.to_vec(), NonZeroUsize::MIN);
            let adaptive = AdaptiveUVit::new(&model, windows);
            adaptive.predict(noisy.clone(), 900.0, &Condition::None)?;
            adaptive.predict(moved.clone(), 700.0, &Condition::None)?;
            let left = adaptive.predict(moved.clone(), 500.0, &Condition::None)?;
            assert_eq!(left.blocks, [3; 3]);
            let [_, tokens, width] = third.dims();
            let kept = if coefficient == 0.0 { 0 } else { order + 1 };
            let bytes = kept * tokens * width * 4;
            assert_eq!(adaptive.most_memory(&TIMESTEPS), bytes);
            assert_eq!(adaptive.memory_per_sample(), bytes);
            anyhow::Ok(values(left.noise))
        };
        let last = |hidden: Tensor<B, 3>| values(model.decode(BLOCKS - 1, hidden));
        let [older, newer] = differences.clone();
        let half = third.clone() + newer.clone() * 0.5;
        assert_close("half", &told(0, 0.5)?, &last(half), TOLERANCE);
        // Over the logarithm of the ratio it is three times as far again.
        let line = newer.clone() + (newer - older) * 3.0;
        let expected = last(third.clone() + line);
        assert_close("line", &told(1, 1.0)?, &expected, 4.0 * TOLERANCE);

        // Whoever has kept nothing runs to the end.
        let windows = [900.0, 700.0].map(|at| window(at, 3, Forecast::default()));
        let windows = ExitWindows::new(windows.to_vec(), NonZeroUsize::MIN);
        let adaptive = AdaptiveUVit::new(&model, windows);
        for (timestep, expected) in [(900.0, BLOCKS), (700.0, 3)] {
            let found = adaptive.predict(noisy.clone(), timestep, &Condition::None)?;
            assert_eq!(found.blocks, [expected as u32; 3]);
        }

        let depth = FixedDepth(NonZeroUsize::MIN.saturating_add(2));
        let plain = AdaptiveUVit::new(&model, depth);
        let plain = plain.predict(moved.clone(), 500.0, &Condition::None)?;
        assert_eq!(told(0, 0.0)?, values(plain.noise), "today's exit");
    }
    Ok(())
}

test_on_every_device!(an_exit_adds_the_forecast_and_nothing_else);

fn a_block_cache_skips_what_does_not_move<B: Kernels>(device: &B::Device) -> Result<()> {
    for network in Network::all(DEPTH) {
        let model = network.lively::<B>(device);
        let (noisy, condition) = network.inputs::<B>(4, device);
        let whole = |noisy: Tensor<B, 4>| {
            model
                .backbone
                .forward(noisy, &[100.0; 4], &condition)
                .map(values)
        };
        for (first, last, run) in [(1, 0, 1), (1, 1, 2), (3, 2, 5)] {
            let cache = AdaptiveUVit::new(
                &model,
                BlockCache {
                    first: first.try_into()?,
                    last,
                    movement: 0.05,
                    from: 500.0,
                    longest: NonZeroUsize::new(2),
                },
            );
            let predict =
                |noisy: Tensor<B, 4>, timestep| cache.predict(noisy, timestep, &condition);
            let warm = [900.0, 600.0].map(|timestep| predict(noisy.clone(), timestep));
            for prediction in warm {
                assert_eq!(prediction?.blocks, [BLOCKS as u32; 4]);
            }
            predict(noisy.clone() * 1.01, 100.0)?;
            // Twice at most: what was added is added again, equal but for rounding.
            cache.begin();
            let runs = [0; 5].map(|_| predict(noisy.clone(), 100.0));
            let expected = [BLOCKS, run, run, BLOCKS, run];
            for (prediction, expected) in runs.into_iter().zip(expected) {
                let prediction = prediction?;
                assert_eq!(prediction.blocks, [expected as u32; 4]);
                let what = format!("{:?}, {first} and {last}", network.kind);
                let expected = whole(noisy.clone())?;
                assert_close(&what, &values(prediction.noise), &expected, 4.0 * TOLERANCE);
            }
            // One that moves goes on; in pairs both of its predictions do.
            cache.begin();
            predict(noisy.clone(), 100.0)?;
            let moved = Tensor::cat(
                vec![
                    noisy.clone().narrow(0, 0, 1) * 3.0,
                    noisy.clone().narrow(0, 1, 3),
                ],
                0,
            );
            let alone = predict(moved.clone(), 100.0)?;
            let (all, run) = (BLOCKS as u32, run as u32);
            assert_eq!(alone.blocks, [all, run, run, run]);
            cache.begin();
            predict(noisy.clone(), 100.0)?;
            let pairs = cache.predict_batch(NoisyBatch {
                noisy: moved,
                timestep: 100.0,
                condition: condition.clone(),
                pairs: true,
            })?;
            assert_eq!(pairs.blocks, [all, run, all, run]);
        }
    }
    Ok(())
}

test_on_every_device!(a_block_cache_skips_what_does_not_move);

fn images<B: Kernels>(
    solver: SolverConfig,
    denoiser: &dyn Denoiser<B>,
    batch: usize,
    device: &B::Device,
) -> Result<Tensor<B, 4>> {
    let request = SampleRequest {
        shape: [2, 8, 8],
        noise: NoiseSource::seeded(3),
        first_sample: 0,
        count: 5,
        batch,
        condition: Condition::Class(Tensor::from_ints([0, 1, 2, 3, 0], device)),
        device: device.clone(),
    };
    let sampler = Sampler {
        schedule: Box::new(VpLinear::default()),
        solver: solver.build(),
        steps: 12,
    };
    let samples = sampler.sample(denoiser, &request, &mut |_| ControlFlow::Continue(()))?;
    Ok(samples.images)
}

fn every_solver_draws_the_same_samples_in_any_batches<B: Kernels>(
    device: &B::Device,
) -> Result<()> {
    let network = Network::new(NetworkKind::Class, DEPTH);
    let model = network.config.init::<B>(7, device)?;
    let cache = BlockCache {
        first: NonZeroUsize::MIN,
        last: 1,
        movement: 0.1,
        from: 900.0,
        longest: NonZeroUsize::new(3),
    };
    for solver in [
        SolverConfig::EulerMaruyama(EulerMaruyama::new(ReverseProcess::Sde)),
        SolverConfig::Ddim(Ddim::default()),
        SolverConfig::DpmSolver(DpmSolver {
            orders: SinglestepOrders::Fixed(3),
            ..DpmSolver::default()
        }),
        SolverConfig::DpmSolverPlusPlus(DpmSolverPlusPlus::default()),
        SolverConfig::UniPc(UniPc {
            grid: Ddim::default().grid,
            ..UniPc::default()
        }),
    ] {
        let denoiser = AdaptiveUVit::new(&model, cache);
        let none = Condition::Class(Tensor::from_ints([4], device));
        let guided = Guided::new(&denoiser, none, 0.5)?;
        for denoiser in [&denoiser as &dyn Denoiser<B>, &guided] {
            let together = images(solver, denoiser, 5, device)?;
            let parts = images(solver, denoiser, 2, device)?;
            let again = images(solver, denoiser, 5, device)?;
            let what = format!("{solver:?}");
            let together = values(together);
            assert_eq!(together, values(again), "{what}");
            assert_close(&what, &values(parts), &together, 1e-4);
            assert!(
                denoiser.memory_per_sample() > 0,
                "{what} left something out"
            );
        }
    }
    Ok(())
}

test_on_every_device!(every_solver_draws_the_same_samples_in_any_batches);
