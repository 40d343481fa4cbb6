//! Measures what the exchange of gradients between processes costs: U-ViT-S/2 with text, 44 million
//! parameters, some steps of two images a process, on the CPU. The process of rank 0 prints a JSON line.
//!
//! ```sh
//! cargo build --release -p adadiff-train --features mpi --example exchange
//! mpirun -n 2 target/release/examples/exchange
//! ```

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use adadiff_data::{Conditioning, ImageError, Label, TrainingSet, Visit};
use adadiff_model::{TextConfig, UVitConfig};
use adadiff_sampler::ScheduleConfig;
use adadiff_train::{
    Communicator, ComputeType, ExchangeLimits, LogLine, MpiCommunicator, Objective, TrainConfig,
    TrainError, TrainObserver, Trained, Trainer,
};
use adadiff_uem::{AdaDiff, AdaDiffConfig};
use burn::module::Module;
use burn::tensor::backend::AutodiffBackend;
use burn_autodiff::Autodiff;
use burn_flex::{Flex, FlexDevice};

/// Steps that are measured, after one that is not.
const STEPS: u64 = 3;

/// Images of a process in a step.
const IMAGES: usize = 2;

/// Latents and contexts that are waves.
struct Waves;

impl TrainingSet for Waves {
    fn len(&self) -> usize {
        64
    }

    fn shape(&self) -> [usize; 3] {
        [4, 32, 32]
    }

    fn name(&self, index: usize) -> String {
        format!("wave {index}")
    }

    fn conditioning(&self) -> Conditioning {
        Conditioning::Text {
            tokens: 77,
            width: 768,
        }
    }

    fn read(&self, index: usize, _visit: Visit, values: &mut [f32]) -> Result<Label, ImageError> {
        let wave = |place: usize| ((place * (index + 1)) as f32 * 0.01).sin();
        for (place, value) in values.iter_mut().enumerate() {
            *value = wave(place);
        }
        Ok(Label::Context((0..77 * 768).map(wave).collect()))
    }
}

/// Counts what goes through another communicator, and the time that it takes.
#[derive(Debug)]
struct Counting<'a> {
    inner: &'a MpiCommunicator<'a>,
    bytes: Cell<u64>,
    time: Cell<Duration>,
}

impl Communicator for Counting<'_> {
    fn rank(&self) -> usize {
        self.inner.rank()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn sum(&self, values: Vec<f32>) -> Result<Vec<f32>, TrainError> {
        // Who is late must not count as time of the exchange.
        self.inner.sum(vec![0.0])?;
        let (start, bytes) = (Instant::now(), 4 * values.len() as u64);
        let sum = self.inner.sum(values)?;
        self.time.set(self.time.get() + start.elapsed());
        self.bytes.set(self.bytes.get() + bytes);
        Ok(sum)
    }
}

/// The time from the end of the first step to that of the last.
struct Clock<'a, 'b> {
    counting: &'a Counting<'b>,
    start: Instant,
    end: Instant,
}

impl<B: AutodiffBackend> TrainObserver<B> for Clock<'_, '_> {
    fn step(&mut self, step: u64, _steps: u64) -> ControlFlow<()> {
        self.end = Instant::now();
        if step == 1 {
            self.start = self.end;
            self.counting.bytes.set(0);
            self.counting.time.set(Duration::ZERO);
        }
        ControlFlow::Continue(())
    }

    fn line(&mut self, _line: &LogLine) {}

    fn sample(&mut self, _step: u64, _average: &AdaDiff<B::InnerBackend>) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stop = AtomicBool::new(false);
    let processes = MpiCommunicator::join(ExchangeLimits {
        stop: &stop,
        limit: Duration::from_secs(600),
        waiting: &|time| eprintln!("waiting since {time:?}"),
    })?;
    let network = AdaDiffConfig::new(UVitConfig {
        image_size: 32,
        patch_size: 2,
        channels: 4,
        width: 512,
        depth: 12,
        heads: 8,
        mlp_ratio: 4.0,
        qkv_bias: false,
        time_mlp: false,
        classes: None,
        text: Some(TextConfig {
            tokens: 77,
            width: 768,
        }),
        long_skips: true,
        final_convolution: true,
    });
    let config = TrainConfig {
        objective: Objective::Simple,
        trained: Trained::All,
        steps: 1 + STEPS,
        batch_size: IMAGES * processes.size(),
        accumulation: NonZeroUsize::MIN,
        recompute_blocks: false,
        compute: ComputeType::F32,
        learning_rate: 2e-4,
        betas: [0.9, 0.9],
        epsilon: 1e-8,
        weight_decay: 0.03,
        warmup_steps: 0,
        cooldown_steps: 0,
        clip_norm: None,
        ema_decay: 0.9999,
        label_dropout: 0.0,
        flip: false,
        most_bad_images: 0,
        seed: 0,
        log_every: 100,
        sample_every: 0,
        checkpoint_every: 1_000_000,
        judge: None,
    };
    let model: AdaDiff<Autodiff<Flex>> = network.init(0, &FlexDevice)?;
    let parameters = model.num_params();
    let schedule = ScheduleConfig::default();
    let set = Arc::new(Waves);
    let mut trainer = Trainer::new(config, network, schedule, model, set, &FlexDevice)?;
    let counting = Counting {
        inner: &processes,
        bytes: Cell::new(0),
        time: Cell::new(Duration::ZERO),
    };
    let mut clock = Clock {
        counting: &counting,
        start: Instant::now(),
        end: Instant::now(),
    };
    let folder = tempfile::tempdir()?;
    trainer.run_as(&counting, folder.path(), &mut clock)?;
    let exchange = counting.time.get().as_secs_f64();
    let steps = (clock.end - clock.start).as_secs_f64();
    if processes.rank() == 0 {
        let line = serde_json::json!({
            "processes": processes.size(),
            "parameters": parameters,
            "images_per_process": IMAGES,
            "bytes_per_step": counting.bytes.get() / STEPS,
            "megabytes_per_second": counting.bytes.get() as f64 / 1e6 / exchange,
            "exchange_seconds_per_step": exchange / STEPS as f64,
            "seconds_per_step": steps / STEPS as f64,
            "share_of_step": exchange / steps,
        });
        println!("{line}");
    }
    processes.leave();
    Ok(())
}
