//! Samples leave where their policy says, and what a sample gets does not depend on its batch.

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser, Prediction, gather};
use adadiff_tests::{Network, NetworkKind, assert_close, one, row, test_on_every_device, values};
use adadiff_uem::{
    AdaDiff, AdaptiveUVit, DepthSchedule, ExitPolicy, FixedDepth, FullDepth, Patience,
    ScheduledDepth, Threshold, replay,
};
use anyhow::{Context, Result};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

const BATCH: usize = 16;

/// In-blocks, mid block and out-blocks without the mid block.
const DEPTH: usize = 8;

/// On noise predictions and uncertainties of about one.
const TOLERANCE: f32 = 1e-5;

/// The threshold at which the recorded samples leave at the most different depths, as far from the
/// recorded values as it can be.
fn spreading_threshold(recorded: &[Vec<f32>]) -> f32 {
    let mut all: Vec<f32> = recorded.iter().flatten().copied().collect();
    all.sort_by(f32::total_cmp);
    let gaps = all
        .windows(2)
        .map(|pair| (pair[1] - pair[0], (pair[0] + pair[1]) / 2.0));
    let scored = gaps.filter(|(gap, _)| *gap > 1e-4).map(|(gap, threshold)| {
        let policy = Threshold {
            uncertainty: threshold,
        };
        let mut exits = simulated_exits(&policy, recorded);
        exits.sort_unstable();
        exits.dedup();
        (exits.len(), gap, threshold)
    });
    let best = scored.max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    best.map_or(0.0, |(_, _, threshold)| threshold)
}

/// Blocks run under a policy by samples whose uncertainty after every block was recorded.
fn simulated_exits(policy: &dyn ExitPolicy, recorded: &[Vec<f32>]) -> Vec<u32> {
    let exit = |sample: &Vec<f32>| replay(policy, 0.0, sample.len(), sample).unwrap().0 as u32;
    recorded.iter().map(exit).collect()
}

/// What every block predicts for a whole batch in which nobody leaves.
struct WholeRun<B: Backend> {
    /// The decoded hidden state after every block.
    noise: Vec<Tensor<B, 4>>,
    /// The uncertainty map after every block.
    maps: Vec<Tensor<B, 4>>,
    /// Mean uncertainty of each sample after every block.
    uncertainty: Vec<Vec<f32>>,
}

impl<B: Kernels> WholeRun<B> {
    fn new(
        model: &AdaDiff<B>,
        noisy: Tensor<B, 4>,
        timestep: f64,
        condition: &Condition<B>,
    ) -> Result<Self> {
        let backbone = &model.backbone;
        let [batch, ..] = noisy.dims();
        let state = backbone.embed(noisy, &vec![timestep as f32; batch], condition)?;
        let mut run = Self {
            noise: vec![],
            maps: vec![],
            uncertainty: vec![Vec::new(); batch],
        };
        backbone.for_each_block(0..backbone.num_blocks(), state, |block, state| {
            run.noise.push(backbone.decode(state.hidden()));
            let tokens = backbone.image_tokens(state.hidden());
            let map = model.estimators[block].forward(tokens, state.time_embedding());
            let means = values(map.clone().flatten::<2>(1, 2).mean_dim(1));
            for (sample, mean) in run.uncertainty.iter_mut().zip(means) {
                sample.push(mean);
            }
            run.maps.push(backbone.unpatchify(map));
        });
        Ok(run)
    }
}

/// Asserts that a prediction is what the recorded run predicts at the exits of a policy. `offset` is
/// the recorded sample that the prediction's first one is.
#[track_caller]
fn assert_predicts<B: Backend>(
    what: &str,
    prediction: &Prediction<B>,
    offset: usize,
    whole: &WholeRun<B>,
    exits: &[u32],
) {
    let maps = prediction
        .uncertainty_map
        .as_ref()
        .expect("maps were asked for");
    for (sample, &blocks) in prediction.blocks.iter().enumerate() {
        let recorded = offset + sample;
        let what = format!("{what}, sample {recorded}");
        assert_eq!(blocks, exits[recorded], "{what}: blocks run");
        let exit = blocks as usize - 1;
        let expected = row(&whole.noise[exit], recorded);
        assert_close(&what, &row(&prediction.noise, sample), &expected, TOLERANCE);
        let expected = row(&whole.maps[exit], recorded);
        assert_close(&what, &row(maps, sample), &expected, TOLERANCE);
        // The last block's exit is no decision, so nothing is estimated there.
        let judged = (exit + 1).min(DEPTH);
        let expected = &whole.uncertainty[recorded][..judged];
        assert_close(&what, &prediction.exit_signal[sample], expected, TOLERANCE);
    }
}

fn a_sample_gets_the_same_alone_and_in_any_batch<B: Kernels>(device: &B::Device) -> Result<()> {
    for network in Network::all(DEPTH) {
        let model = network.lively::<B>(device);
        let (noisy, condition) = network.inputs::<B>(BATCH, device);
        let timestep = 400.0;
        let whole = WholeRun::new(&model, noisy.clone(), timestep, &condition)?;
        let threshold = Threshold {
            uncertainty: spreading_threshold(&whole.uncertainty),
        };
        let exits = simulated_exits(&threshold, &whole.uncertainty);
        let mut depths = exits.clone();
        depths.sort_unstable();
        depths.dedup();
        println!(
            "{:?}: exits {exits:?} under {}",
            network.kind, threshold.uncertainty
        );
        assert!(
            depths.len() >= 4,
            "{:?}: exits only at {depths:?}",
            network.kind
        );

        let adaptive = AdaptiveUVit::new(&model, threshold).with_maps();
        let together = adaptive.predict(noisy.clone(), timestep, &condition)?;
        let what = format!("{:?} together", network.kind);
        assert_predicts(&what, &together, 0, &whole, &exits);
        for sample in 0..BATCH {
            let (noisy, condition) = one(&noisy, &condition, sample);
            let alone = adaptive.predict(noisy, timestep, &condition)?;
            let what = format!("{:?} alone", network.kind);
            assert_predicts(&what, &alone, sample, &whole, &exits);
            let expected = row(&together.noise, sample);
            assert_close(&what, &values(alone.noise), &expected, TOLERANCE);
        }

        // Another order of the samples: the same results in that order.
        let order: Vec<usize> = (0..BATCH).map(|sample| sample * 7 % BATCH).collect();
        let indices: Vec<i64> = order.iter().map(|&sample| sample as i64).collect();
        let indices = Tensor::<B, 1, Int>::from_data(indices.as_slice(), device);
        let shuffled = gather(noisy, &order);
        let shuffled = adaptive.predict(shuffled, timestep, &condition.select(indices))?;
        for (place, &sample) in order.iter().enumerate() {
            let what = format!("{:?} shuffled, sample {sample}", network.kind);
            assert_eq!(shuffled.blocks[place], exits[sample], "{what}");
            let expected = row(&together.noise, sample);
            assert_close(&what, &row(&shuffled.noise, place), &expected, TOLERANCE);
        }
    }
    Ok(())
}

test_on_every_device!(a_sample_gets_the_same_alone_and_in_any_batch);

fn static_depths_are_the_decoded_hidden_states<B: Kernels>(device: &B::Device) -> Result<()> {
    for network in Network::all(DEPTH) {
        let model = network.lively::<B>(device);
        let (noisy, condition) = network.inputs::<B>(3, device);
        let whole = model
            .backbone
            .forward(noisy.clone(), &[250.0; 3], &condition)?;
        let never = AdaptiveUVit::new(&model, FullDepth);
        let never = never.predict(noisy.clone(), 250.0, &condition)?;
        assert_eq!(values(never.noise), values(whole), "{:?}", network.kind);
        assert_eq!(never.blocks, [DEPTH as u32 + 1; 3]);

        let mut state = model
            .backbone
            .embed(noisy.clone(), &[250.0; 3], &condition)?;
        for block in 0..=DEPTH {
            state = model.backbone.run_blocks(block..block + 1, state);
            let expected = values(model.backbone.decode(state.hidden()));
            let depth = FixedDepth((block + 1).try_into()?);
            let adaptive = AdaptiveUVit::new(&model, depth);
            let left = adaptive.predict(noisy.clone(), 250.0, &condition)?;
            assert_eq!(
                values(left.noise),
                expected,
                "{:?}, block {block}",
                network.kind
            );
            assert_eq!(left.blocks, [block as u32 + 1; 3]);
        }
    }
    Ok(())
}

test_on_every_device!(static_depths_are_the_decoded_hidden_states);

fn patience_schedules_and_recording_choose_the_exits_they_should<B: Kernels>(
    device: &B::Device,
) -> Result<()> {
    let network = Network::new(NetworkKind::Class, DEPTH);
    let model = network.lively::<B>(device);
    let (noisy, condition) = network.inputs::<B>(BATCH, device);
    let whole = WholeRun::new(&model, noisy.clone(), 100.0, &condition)?;
    let patience = Patience {
        uncertainty: spreading_threshold(&whole.uncertainty),
    };
    let exits = simulated_exits(&patience, &whole.uncertainty);
    println!("patience: exits {exits:?}");
    assert!(
        exits.iter().all(|&blocks| blocks >= 2),
        "one crossing only arms the flag"
    );
    assert!(
        exits.iter().any(|&blocks| blocks <= DEPTH as u32),
        "somebody leaves early"
    );
    let adaptive = AdaptiveUVit::new(&model, patience).with_maps();
    let prediction = adaptive.predict(noisy.clone(), 100.0, &condition)?;
    assert_predicts("patience", &prediction, 0, &whole, &exits);

    // While everything is recorded, predictions are still those of the exits.
    let threshold = Threshold {
        uncertainty: patience.uncertainty,
    };
    let exits = simulated_exits(&threshold, &whole.uncertainty);
    let recording = AdaptiveUVit::new(&model, threshold)
        .with_maps()
        .recording_all();
    let recorded = recording.predict(noisy.clone(), 100.0, &condition)?;
    for (sample, uncertainty) in recorded.exit_signal.iter().enumerate() {
        assert_close(
            "recorded",
            uncertainty,
            &whole.uncertainty[sample],
            TOLERANCE,
        );
        assert_eq!(recorded.blocks[sample], exits[sample]);
        let expected = row(&whole.noise[exits[sample] as usize - 1], sample);
        assert_close(
            "recorded",
            &row(&recorded.noise, sample),
            &expected,
            TOLERANCE,
        );
    }

    let early = ScheduledDepth {
        timestep: 900.0,
        blocks: 2,
    };
    let late = ScheduledDepth {
        timestep: 100.0,
        blocks: 6,
    };
    let schedule = DepthSchedule::new(vec![early, late]);
    let adaptive = AdaptiveUVit::new(&model, schedule);
    for (timestep, blocks) in [(999.0, 2), (501.0, 2), (499.0, 6), (0.0, 6)] {
        let prediction = adaptive.predict(noisy.clone(), timestep, &condition)?;
        assert_eq!(prediction.blocks, [blocks; BATCH], "timestep {timestep}");
    }
    let unlabelled = adaptive.predict(noisy, 0.0, &Condition::None).err();
    let message = unlabelled
        .context("a class-conditional network needs labels")?
        .to_string();
    assert_eq!(
        message,
        "the network expects a class condition, but was given none"
    );
    Ok(())
}

test_on_every_device!(patience_schedules_and_recording_choose_the_exits_they_should);

fn estimators_see_the_timestep_of_every_evaluation<B: Kernels>(device: &B::Device) -> Result<()> {
    let network = Network::new(NetworkKind::Class, DEPTH);
    let model = network.lively::<B>(device);
    let (noisy, condition) = network.inputs::<B>(3, device);
    let recording = AdaptiveUVit::new(&model, FullDepth).recording_all();
    let mut means = Vec::new();
    // The third evaluation finds what the first one kept.
    for timestep in [400.0, 10.0, 400.0] {
        let whole = WholeRun::new(&model, noisy.clone(), timestep, &condition)?;
        let recorded = recording.predict(noisy.clone(), timestep, &condition)?;
        let [found, expected] = [&recorded.exit_signal, &whole.uncertainty].map(|of| of.concat());
        assert_close(
            &format!("timestep {timestep}"),
            &found,
            &expected,
            TOLERANCE,
        );
        means.push(found);
    }
    let farthest = means[0]
        .iter()
        .zip(&means[1])
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(farthest > 1e-3, "the estimators see the time: {farthest}");
    Ok(())
}

test_on_every_device!(estimators_see_the_timestep_of_every_evaluation);
