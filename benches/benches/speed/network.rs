//! Blocks and the whole network.

use std::hint::black_box;

use adadiff_backends::{DeviceName, DeviceTask};
use adadiff_model::kernels::Kernels;
use anyhow::Result;
use criterion::{Criterion, Throughput};

use crate::setting::{BATCH, Setting, wait};

pub struct BenchNetwork<'a> {
    pub device: DeviceName,
    pub criterion: &'a mut Criterion,
}

impl DeviceTask for BenchNetwork<'_> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let mut group = self
            .criterion
            .benchmark_group(format!("network/{}", self.device));
        group.sample_size(10);

        let Setting {
            model,
            noisy,
            condition,
        } = Setting::<B>::new(BATCH, &device)?;
        let state = model.backbone.embed(noisy, &[500.0; BATCH], &condition)?;
        let hidden = state.hidden();
        let [first, .., last] = model.backbone.blocks.as_slice() else {
            return Ok(());
        };
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function(format!("in-block, batch {BATCH}"), |bencher| {
            bencher.iter(|| {
                black_box(first.forward(hidden.clone(), None));
                wait::<B>(&device);
            });
        });
        group.bench_function(format!("out-block, batch {BATCH}"), |bencher| {
            bencher.iter(|| {
                black_box(last.forward(hidden.clone(), Some(hidden.clone())));
                wait::<B>(&device);
            });
        });

        for batch in [1, BATCH] {
            let Setting {
                model,
                noisy,
                condition,
            } = Setting::<B>::new(batch, &device)?;
            let timesteps = vec![500.0; batch];
            // What the loop measures is known to work.
            model
                .backbone
                .forward(noisy.clone(), &timesteps, &condition)?;
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(format!("whole, batch {batch}"), |bencher| {
                bencher.iter(|| {
                    let forward = model
                        .backbone
                        .forward(noisy.clone(), &timesteps, &condition);
                    let _ = black_box(forward);
                    wait::<B>(&device);
                });
            });
        }
        group.finish();
        Ok(())
    }
}
