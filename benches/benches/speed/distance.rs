//! The Fréchet distance, which needs no device.

use std::hint::black_box;

use adadiff_metrics::{Gaussian, MetricsError, frechet_distance};
use criterion::{BenchmarkId, Criterion};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Columns of the factor of a covariance, so that making it does not take longer than measuring.
const COLUMNS: usize = 256;

/// A normal distribution whose covariance `A A^T / columns + I` has full rank.
fn gaussian(dims: usize, seed: u64) -> Result<Gaussian, MetricsError> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = |count| (0..count).map(|_| random.sample(StandardNormal)).collect();
    let mean: Vec<f64> = normal(dims);
    let factor: Vec<f64> = normal(dims * COLUMNS);
    let rows: Vec<&[f64]> = factor.chunks_exact(COLUMNS).collect();
    let product = |row: usize, column: usize| -> f64 {
        rows[row]
            .iter()
            .zip(rows[column])
            .map(|(a, b)| a * b)
            .sum::<f64>()
            / COLUMNS as f64
    };
    let covariance = (0..dims * dims).map(|place| {
        let (row, column) = (place / dims, place % dims);
        product(row, column) + if row == column { 1.0 } else { 0.0 }
    });
    Gaussian::new(mean, covariance.collect())
}

/// Measures the widths of a small and of a large extractor's features, and of Inception's.
pub fn frechet(criterion: &mut Criterion) -> Result<(), MetricsError> {
    let mut group = criterion.benchmark_group("frechet distance");
    group.sample_size(10);
    for dims in [64, 512, 2048] {
        let (a, b) = (gaussian(dims, 1)?, gaussian(dims, 2)?);
        frechet_distance(&a, &b)?;
        group.bench_function(BenchmarkId::from_parameter(dims), |bencher| {
            bencher.iter(|| black_box(frechet_distance(black_box(&a), black_box(&b))));
        });
    }
    group.finish();
    Ok(())
}
