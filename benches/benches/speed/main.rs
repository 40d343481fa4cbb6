//! How fast the parts are, on every device that was compiled in.
//!
//! `cargo bench -p adadiff-benches` measures everything, `-- --quick` gives a first impression, and
//! `-- flex` or `-- exits` measures what has that word in its name. Network and batch sizes are
//! those of the Fashion-MNIST preset.

mod adaptive;
mod distance;
mod network;
mod sampling;
mod setting;
mod training;

use adadiff_backends::{compiled_devices, run_on};
use criterion::Criterion;
use mimalloc::MiMalloc;

/// The allocator of the binaries.
#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

fn main() {
    adadiff_backends::keep_freed_memory();
    let mut criterion = Criterion::default().configure_from_args();
    for device in compiled_devices() {
        let criterion = &mut criterion;
        let outcome = run_on(device, network::BenchNetwork { device, criterion })
            .and_then(|()| run_on(device, adaptive::Adaptive { device, criterion }))
            .and_then(|()| run_on(device, sampling::SamplingBench { device, criterion }))
            .and_then(|()| run_on(device, training::Training { device, criterion }));
        if let Err(error) = outcome {
            eprintln!("{device} is left out: {error:#}");
        }
    }
    if let Err(error) = distance::frechet(&mut criterion) {
        eprintln!("the Fréchet distance is left out: {error}");
    }
    criterion.final_summary();
}
