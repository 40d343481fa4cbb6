//! What leaving early saves, and what judging costs.

use std::hint::black_box;
use std::num::NonZeroUsize;

use adadiff_backends::{DeviceName, DeviceTask};
use adadiff_model::Denoiser;
use adadiff_model::kernels::Kernels;
use adadiff_uem::{AdaptiveUVit, ExitPolicy, FixedDepth, FullDepth, Threshold};
use anyhow::Result;
use criterion::{Criterion, Throughput};

use crate::setting::{BATCH, Setting, wait};

/// A threshold under which nobody leaves, though everybody is judged at every block.
const UNREACHED: Threshold = Threshold { uncertainty: 0.0 };

pub struct Adaptive<'a> {
    pub device: DeviceName,
    pub criterion: &'a mut Criterion,
}

fn policies() -> Vec<(String, Box<dyn ExitPolicy>)> {
    let exits = [1, 4, 7, 10].into_iter().filter_map(NonZeroUsize::new);
    let mut policies: Vec<(String, Box<dyn ExitPolicy>)> = exits
        .map(|exit| {
            (
                format!("after {exit} blocks"),
                Box::new(FixedDepth(exit)) as Box<_>,
            )
        })
        .collect();
    policies.push(("full".to_owned(), Box::new(FullDepth)));
    policies.push((
        "full, judged after every block".to_owned(),
        Box::new(UNREACHED),
    ));
    policies
}

impl DeviceTask for Adaptive<'_> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let mut group = self
            .criterion
            .benchmark_group(format!("exits/{}", self.device));
        group.sample_size(10);
        group.throughput(Throughput::Elements(BATCH as u64));
        let Setting {
            model,
            noisy,
            condition,
        } = Setting::<B>::new(BATCH, &device)?;
        for (name, policy) in policies() {
            let adaptive = AdaptiveUVit::new(&model, policy);
            // What the loop measures is known to work.
            adaptive.predict(noisy.clone(), 500.0, &condition)?;
            group.bench_function(format!("{name}, batch {BATCH}"), |bencher| {
                bencher.iter(|| {
                    let _ = black_box(adaptive.predict(noisy.clone(), 500.0, &condition));
                    wait::<B>(&device);
                });
            });
        }
        group.finish();
        Ok(())
    }
}
