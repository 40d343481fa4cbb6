//! Multiply-adds on registers alone: the machine's peak, which no product can reach.

use std::hint::black_box;

use adadiff_backends::Precision;
use anyhow::{Result, bail};

use crate::work::{Outputs, Work};

/// Multiply-add instructions of each accumulator in a run.
const ROUNDS: usize = 10_000_000;

/// Sums that do not wait for each other: more than any processor's latency times its units.
const ACCUMULATORS: usize = 24;

/// The fastest multiply-adds of a precision that this processor has, on all of Rayon's threads.
pub struct MultiplyAdds {
    run: fn(),
    /// Operations of a run on one thread, two for each multiply-add.
    flops: f64,
}

impl MultiplyAdds {
    pub fn new(precision: Precision) -> Result<Self> {
        let Some((run, lanes)) = fastest(precision) else {
            bail!(
                "this processor has no multiply-adds in {}",
                precision.name()
            );
        };
        Ok(Self {
            run,
            flops: (2 * lanes * ACCUMULATORS * ROUNDS) as f64,
        })
    }
}

impl Work for MultiplyAdds {
    fn run(&mut self) -> Result<()> {
        rayon::broadcast(|_| (self.run)());
        Ok(())
    }

    fn outputs(&mut self) -> Result<Outputs> {
        Ok(Vec::new())
    }

    fn flops(&self) -> Option<f64> {
        Some(self.flops * rayon::current_num_threads() as f64)
    }
}

/// The loop, and the multiply-adds of one of its instructions.
#[cfg(target_arch = "x86_64")]
fn fastest(precision: Precision) -> Option<(fn(), usize)> {
    let wide = is_x86_feature_detected!("avx512f");
    match precision {
        // SAFETY: each loop is chosen where the processor has its instructions.
        Precision::F32 if wide => Some((|| unsafe { x86::single_avx512() }, 16)),
        Precision::F32 if is_x86_feature_detected!("fma") => {
            // SAFETY: as above; processors with FMA have AVX.
            Some((|| unsafe { x86::single_fma() }, 8))
        }
        Precision::Bf16 if wide && is_x86_feature_detected!("avx512bf16") => {
            // SAFETY: as above.
            Some((|| unsafe { x86::bfloat16() }, 32))
        }
        _ => portable(precision),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn fastest(precision: Precision) -> Option<(fn(), usize)> {
    portable(precision)
}

/// What the compiler makes of multiply-adds without instructions that are asked for by name.
fn portable(precision: Precision) -> Option<(fn(), usize)> {
    const LANES: usize = 4;
    fn single() {
        let mut sums = [[0.0f32; LANES]; ACCUMULATORS];
        let [a, b] = black_box([0.5; 2]);
        for _ in 0..ROUNDS {
            for sum in sums.iter_mut().flatten() {
                *sum += a * b;
            }
        }
        black_box(sums);
    }
    matches!(precision, Precision::F32).then_some((single, LANES))
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::{ACCUMULATORS, ROUNDS};

    #[target_feature(enable = "avx512f")]
    pub fn single_avx512() {
        let mut sums = [_mm512_setzero_ps(); ACCUMULATORS];
        let [a, b] = black_box([0.5; 2]).map(|value| _mm512_set1_ps(value));
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(a, b, *sum);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx,fma")]
    pub fn single_fma() {
        // There are sixteen registers.
        let mut sums = [_mm256_setzero_ps(); ACCUMULATORS / 2];
        let [a, b] = black_box([0.5; 2]).map(|value| _mm256_set1_ps(value));
        for _ in 0..2 * ROUNDS {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(a, b, *sum);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub fn bfloat16() {
        let mut sums = [_mm512_setzero_ps(); ACCUMULATORS];
        let half = _mm512_cvtne2ps_pbh(
            _mm512_set1_ps(black_box(0.5)),
            _mm512_set1_ps(black_box(0.5)),
        );
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, half, half);
            }
        }
        black_box(sums);
    }
}
