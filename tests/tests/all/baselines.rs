//! Baselines leave, cache and merge as they say, and AdaDiff's variants predict as their parts do.

use std::num::NonZeroUsize;

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser, FeatureCache, Prediction, Switched, TokenMerging};
use adadiff_tests::{
    Network, NetworkKind, TestScale, assert_close, one, row, test_on_every_device, values,
};
use adadiff_uem::{
    AdaDiff, AdaptiveUVit, BatchExit, BlockErrorRecorder, ExitPolicy, ExitSignal, ExitWindow,
    ExitWindows, FullDepth, HeadForm, Patience, Saturation, Threshold, UncertaintyForm, replay,
};
use anyhow::Result;
use burn::module::Module;
use burn::tensor::Tensor;

const BATCH: usize = 8;

/// In-blocks, mid block and out-blocks without the mid block.
const DEPTH: usize = 6;

const TIMESTEP: f64 = 300.0;

/// On noise predictions and uncertainties of about one.
const TOLERANCE: f32 = 1e-5;

/// Asserts that each sample gets alone what it gets in the batch.
fn assert_independent<B: Kernels>(
    what: &str,
    denoiser: &dyn Denoiser<B>,
    noisy: &Tensor<B, 4>,
    condition: &Condition<B>,
    together: &Prediction<B>,
) -> Result<()> {
    for sample in 0..together.blocks.len() {
        let (noisy, condition) = one(noisy, condition, sample);
        denoiser.begin();
        let alone = denoiser.predict(noisy, TIMESTEP, &condition)?;
        let what = format!("{what}, sample {sample}");
        assert_eq!(alone.blocks[0], together.blocks[sample], "{what}");
        let expected = row(&together.noise, sample);
        assert_close(&what, &values(alone.noise), &expected, TOLERANCE);
    }
    Ok(())
}

/// Half way between the two middle values of what was recorded.
fn median(recorded: &[Vec<f32>]) -> f32 {
    let mut all: Vec<f32> = recorded.iter().flatten().copied().collect();
    all.sort_by(f32::total_cmp);
    (all[all.len() / 2 - 1] + all[all.len() / 2]) / 2.0
}

/// Blocks that a sample runs whose signal after every block was recorded.
fn exit(policy: &dyn ExitPolicy, signals: &[f32]) -> u32 {
    let replayed = replay(policy, TIMESTEP, signals.len(), signals);
    replayed.unwrap().0 as u32
}

fn settled_hidden_states_leave<B: Kernels>(device: &B::Device) -> Result<()> {
    for network in Network::all(DEPTH) {
        let model = network.lively::<B>(device);
        let (noisy, condition) = network.inputs::<B>(BATCH, device);
        let backbone = &model.backbone;

        // The change of every block, from the hidden states themselves.
        let timesteps = [TIMESTEP as f32; BATCH];
        let mut state = backbone.embed(noisy.clone(), &timesteps, &condition)?;
        let mut expected = vec![Vec::new(); BATCH];
        for block in 0..=DEPTH {
            let before = values(backbone.image_tokens(state.hidden()));
            state = backbone.run_blocks(block..block + 1, state);
            let after = values(backbone.image_tokens(state.hidden()));
            let [_, _, width] = state.hidden().dims();
            let cosines: Vec<f64> = before
                .chunks(width)
                .zip(after.chunks(width))
                .map(|(a, b)| {
                    let dot = |a: &[f32], b: &[f32]| -> f64 {
                        a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum()
                    };
                    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
                })
                .collect();
            let tokens = cosines.len() / BATCH;
            for (sample, cosines) in cosines.chunks(tokens).enumerate() {
                let mean = cosines.iter().sum::<f64>() / tokens as f64;
                expected[sample].push((1.0 - mean) as f32);
            }
        }
        let recording = AdaptiveUVit::new(&model, FullDepth).recording(ExitSignal::Change);
        let recorded = recording.predict(noisy.clone(), TIMESTEP, &condition)?;
        for (found, expected) in recorded.exit_signal.iter().zip(&expected) {
            assert_close("change", found, expected, TOLERANCE);
        }

        let policy = Saturation {
            change: median(&expected),
        };
        let settled = AdaptiveUVit::new(&model, policy);
        let left = settled.predict(noisy.clone(), TIMESTEP, &condition)?;
        let exits: Vec<u32> = expected
            .iter()
            .map(|change| exit(&policy, change))
            .collect();
        println!("{:?}: exits {exits:?}", network.kind);
        assert_eq!(left.blocks, exits);
        assert!(exits.iter().any(|&blocks| blocks <= DEPTH as u32));
        assert_independent("saturation", &settled, &noisy, &condition, &left)?;
    }
    Ok(())
}

test_on_every_device!(settled_hidden_states_leave);

fn the_published_exit_is_that_of_the_batch<B: Kernels>(device: &B::Device) -> Result<()> {
    let network = Network::new(NetworkKind::Class, DEPTH);
    let model = network.lively::<B>(device);
    let (noisy, condition) = network.inputs::<B>(BATCH, device);
    let recording = AdaptiveUVit::new(&model, FullDepth).recording_all();
    let recorded = recording.predict(noisy.clone(), TIMESTEP, &condition)?;
    let means: Vec<f32> = (0..=DEPTH)
        .map(|block| {
            let of_block = recorded.exit_signal.iter().map(|values| values[block]);
            of_block.sum::<f32>() / BATCH as f32
        })
        .collect();
    let whole = model.layer_predictions(noisy.clone(), &[TIMESTEP as f32; BATCH], &condition)?;
    let mut thresholds = means.clone();
    thresholds.sort_by(f32::total_cmp);
    for pair in thresholds.windows(2) {
        let policy = Patience {
            uncertainty: (pair[0] + pair[1]) / 2.0,
        };
        let together = BatchExit::new(&model, policy);
        let together = together.predict(noisy.clone(), TIMESTEP, &condition)?;
        let blocks = exit(&policy, &means);
        assert_eq!(together.blocks, [blocks; BATCH], "all leave together");
        let expected = values(whole.noise[blocks as usize - 1].clone());
        assert_close("batch", &values(together.noise), &expected, TOLERANCE);

        // Of a batch of one it is the rule of each sample.
        let (one, label) = one(&noisy, &condition, 3);
        let alone = BatchExit::new(&model, policy).predict(one.clone(), TIMESTEP, &label)?;
        let adaptive = AdaptiveUVit::new(&model, policy).predict(one, TIMESTEP, &label)?;
        assert_eq!(alone.blocks, adaptive.blocks);
        assert_close(
            "one",
            &values(alone.noise),
            &values(adaptive.noise),
            TOLERANCE,
        );
    }
    Ok(())
}

test_on_every_device!(the_published_exit_is_that_of_the_batch);

/// A network with heads of its own that differ, or with other estimators.
fn variants(network: &Network) -> Vec<Network> {
    let with = |heads, uncertainty, shared_estimator| {
        let mut variant = network.clone();
        variant.config.heads = heads;
        variant.config.uncertainty = uncertainty;
        variant.config.shared_estimator = shared_estimator;
        variant
    };
    vec![
        with(HeadForm::Own, UncertaintyForm::Map, false),
        with(HeadForm::Shared, UncertaintyForm::Token, false),
        with(HeadForm::Shared, UncertaintyForm::Sample, false),
        with(HeadForm::Own, UncertaintyForm::Sample, true),
    ]
}

/// The network of a variant, whose heads are no longer copies of the decoder.
fn lively<B: Kernels>(variant: &Network, device: &B::Device) -> AdaDiff<B> {
    let model = variant.lively::<B>(device);
    let backbone = model.backbone.clone();
    let mut model = model.with_backbone(backbone);
    let mut factor = 1.0;
    model.heads = model
        .heads
        .into_iter()
        .map(|head| {
            factor += 0.25;
            head.map(&mut TestScale { factor })
        })
        .collect();
    model
}

fn variants_leave_with_their_own_heads_and_estimators<B: Kernels>(
    device: &B::Device,
) -> Result<()> {
    for kind in [NetworkKind::Unconditional, NetworkKind::Class] {
        for variant in variants(&Network::new(kind, DEPTH)) {
            let model = lively::<B>(&variant, device);
            let (noisy, condition) = variant.inputs::<B>(BATCH, device);
            let timesteps = [TIMESTEP as f32; BATCH];
            let whole = model.layer_predictions(noisy.clone(), &timesteps, &condition)?;
            let recording = AdaptiveUVit::new(&model, FullDepth).recording_all();
            let recorded = recording.predict(noisy.clone(), TIMESTEP, &condition)?;
            for (block, map) in whole.uncertainty.iter().enumerate() {
                let means = values(map.clone().flatten::<2>(1, 3).mean_dim(1));
                let found = recorded.exit_signal.iter().map(|values| values[block]);
                assert_close("mean", &found.collect::<Vec<_>>(), &means, TOLERANCE);
            }
            let policy = Threshold {
                uncertainty: median(&recorded.exit_signal),
            };
            let adaptive = AdaptiveUVit::new(&model, policy).with_maps();
            let left = adaptive.predict(noisy.clone(), TIMESTEP, &condition)?;
            let exits = recorded.exit_signal.iter().map(|u| exit(&policy, u));
            assert_eq!(
                left.blocks,
                exits.collect::<Vec<_>>(),
                "{:?}",
                variant.config
            );
            let maps = left.uncertainty_map.clone();
            for (sample, &blocks) in left.blocks.iter().enumerate() {
                let block = blocks as usize - 1;
                let expected = row(&whole.noise[block], sample);
                assert_close("noise", &row(&left.noise, sample), &expected, TOLERANCE);
                let expected = row(&whole.uncertainty[block], sample);
                let map = maps.as_ref().map(|maps| row(maps, sample));
                assert_close("map", &map.unwrap_or_default(), &expected, TOLERANCE);
            }
            assert_independent("variant", &adaptive, &noisy, &condition, &left)?;
        }
    }
    Ok(())
}

test_on_every_device!(variants_leave_with_their_own_heads_and_estimators);

fn errors_are_those_of_the_predictions_along_the_policys_paths<B: Kernels>(
    device: &B::Device,
) -> Result<()> {
    let network = Network::new(NetworkKind::Unconditional, DEPTH);
    let model = network.lively::<B>(device);
    let (noisy, condition) = network.inputs::<B>(BATCH, device);
    let timesteps = [TIMESTEP as f32; BATCH];
    let whole = model.layer_predictions(noisy.clone(), &timesteps, &condition)?;
    let recording = AdaptiveUVit::new(&model, FullDepth).recording_all();
    let recorded = recording.predict(noisy.clone(), TIMESTEP, &condition)?;
    let windows = ExitWindows::new(
        vec![ExitWindow {
            least: 2,
            uncertainty: median(&recorded.exit_signal),
            ..ExitWindow::fixed(TIMESTEP, 5)
        }],
        NonZeroUsize::MIN,
    );
    let recorder = BlockErrorRecorder::new(&model, &windows);
    recorder.begin();
    let found = recorder.predict(noisy.clone(), TIMESTEP, &condition)?;
    let left = AdaptiveUVit::new(&model, &windows);
    let left = left.predict(noisy.clone(), TIMESTEP, &condition)?;
    assert_eq!(found.blocks, left.blocks, "the paths are the policy's");
    assert_close(
        "noise",
        &values(found.noise),
        &values(left.noise),
        TOLERANCE,
    );

    // Another batch of the same evaluation, and a second evaluation of its own.
    recorder.begin();
    recorder.predict(noisy.clone().narrow(0, 0, 3), TIMESTEP, &condition)?;
    recorder.predict(noisy.clone().narrow(0, 0, 3), 20.0, &condition)?;
    let trace = recorder.into_trace();
    let timesteps: Vec<f64> = trace.steps.iter().map(|step| step.timestep).collect();
    assert_eq!(timesteps, [TIMESTEP, 20.0]);
    let counts: Vec<usize> = trace.steps.iter().map(|step| step.errors.len()).collect();
    assert_eq!(counts, [BATCH + 3, 3]);
    let step = &trace.steps[0];
    for sample in 0..BATCH {
        let last = row(&whole.noise[DEPTH], sample);
        for block in 0..=DEPTH {
            let noise = row(&whole.noise[block], sample);
            let squares = noise.iter().zip(&last).map(|(a, b)| (a - b).powi(2));
            let expected = squares.sum::<f32>() / last.len() as f32;
            let found = step.errors[sample][block];
            assert_close("error", &[found], &[expected], 1e-4 * expected.max(0.1));
        }
        assert_eq!(step.errors[sample][DEPTH], 0.0);
        let expected = &recorded.exit_signal[sample];
        assert_close("mean", &step.uncertainty[sample], expected, TOLERANCE);
    }
    assert_close("again", &step.errors[BATCH], &step.errors[0], TOLERANCE);

    // An oracle lets go at the first block whose error is below the threshold.
    let mut first = step.errors[0].clone();
    first.sort_by(f32::total_cmp);
    // Beyond rounding from both, as the errors of a network that is not trained are far apart.
    let threshold = (first[2] + first[3]) / 2.0;
    let window = ExitWindow {
        least: 1,
        uncertainty: threshold,
        ..ExitWindow::fixed(TIMESTEP, DEPTH + 1)
    };
    let windows = ExitWindows::new(vec![window], NonZeroUsize::MIN);
    let oracle = BlockErrorRecorder::new(&model, &windows).by_errors();
    oracle.begin();
    let found = oracle.predict(noisy, TIMESTEP, &condition)?;
    for (sample, &blocks) in found.blocks.iter().enumerate() {
        let errors = &step.errors[sample];
        let below = |&block: &usize| errors[block] < threshold;
        let expected = (0..DEPTH).find(below).unwrap_or(DEPTH) + 1;
        assert_eq!(blocks as usize, expected, "{errors:?}");
    }
    assert_eq!(
        oracle.into_trace().steps[0].uncertainty,
        step.errors[..BATCH]
    );
    Ok(())
}

test_on_every_device!(errors_are_those_of_the_predictions_along_the_policys_paths);

fn caches_and_merges_of_nothing_are_the_network<B: Kernels>(device: &B::Device) -> Result<()> {
    for network in Network::all(DEPTH) {
        let model = network.lively::<B>(device);
        let (noisy, condition) = network.inputs::<B>(BATCH, device);
        let backbone = &model.backbone;
        let whole = backbone.predict(noisy.clone(), TIMESTEP, &condition)?;
        let expected = values(whole.noise);

        let every = |evaluations: usize| NonZeroUsize::MIN.saturating_add(evaluations - 1);
        let (one, two) = (
            FeatureCache::new(backbone, every(1)),
            FeatureCache::new(backbone, every(2)),
        );
        for _ in 0..2 {
            let found = one.predict(noisy.clone(), TIMESTEP, &condition)?;
            assert_eq!(values(found.noise), expected, "nothing is cached");
        }
        let first = two.predict(noisy.clone(), TIMESTEP, &condition)?;
        assert_eq!(first.blocks, [DEPTH as u32 + 1; BATCH]);
        let again = two.predict(noisy.clone(), TIMESTEP, &condition)?;
        assert_eq!(again.blocks, [2; BATCH]);
        assert_close("cached", &values(again.noise), &expected, 1e-4);
        assert_independent("cache", &two, &noisy, &condition, &first)?;

        let none = TokenMerging::new(backbone, 0.0);
        let none = none.predict(noisy.clone(), TIMESTEP, &condition)?;
        assert_eq!(values(none.noise), expected, "nothing is merged");
        let half = TokenMerging::new(backbone, 0.5);
        let merged = half.predict(noisy.clone(), TIMESTEP, &condition)?;
        assert_independent("merging", &half, &noisy, &condition, &merged)?;

        let shallow = Network::new(network.kind, 2).lively::<B>(device).backbone;
        let duo = Switched {
            early: &shallow,
            late: backbone,
            switch: TIMESTEP,
        };
        let late = duo.predict(noisy.clone(), TIMESTEP, &condition)?;
        assert_eq!(values(late.noise), expected);
        let early = duo.predict(noisy.clone(), TIMESTEP + 1.0, &condition)?;
        assert_eq!(early.blocks, [3; BATCH]);
    }
    Ok(())
}

test_on_every_device!(caches_and_merges_of_nothing_are_the_network);
