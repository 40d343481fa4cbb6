//! What the tests of several metrics share.

/// Values without a simple pattern.
pub(crate) fn wave(samples: usize, dims: usize, phase: f64) -> Vec<f32> {
    (0..samples * dims)
        .map(|index| {
            let index = index as f64;
            ((index * 0.731 + phase).sin() + (index * index * 0.0137 + phase).cos()) as f32
        })
        .collect()
}

/// What `work` gives on a number of threads.
pub(crate) fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(work)
}
