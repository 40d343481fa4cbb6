//! Scalar functions without branches or calls, which the compiler turns into vector code.

/// `exp(x)`, relative error under 2e-7; arguments are limited to where `f32` is normal.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // exp(x) = 2^n exp(r), |r| <= ln(2) / 2, ln(2) split in two so that r is exact (Cephes expf).
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4;
    let r = r - n * -2.121_944_4e-4;
    let p = 1.987_569_2e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_6e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    // The low bits of `shifted` hold n; moved into the exponent they are 2^n.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    p * power
}

/// `erf(x)`, absolute error under 4e-7: the rational approximation of Eigen and XLA.
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    erf_by(x, |a, b, c| a * b + c)
}

/// [`erf`] where `multiply_add(a, b, c)` is `a b + c`: in one instruction where the caller knows that there is one.
#[inline(always)]
pub(super) fn erf_by(x: f32, multiply_add: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let x2 = x * x;
    let p = -2.726_142_3e-10;
    let p = multiply_add(p, x2, 2.770_681_4e-8);
    let p = multiply_add(p, x2, -2.101_024e-6);
    let p = multiply_add(p, x2, -5.692_506_5e-5);
    let p = multiply_add(p, x2, -7.349_906_4e-4);
    let p = multiply_add(p, x2, -2.954_6e-3);
    let p = multiply_add(p, x2, -1.609_603_3e-2);
    let q = -1.456_607_2e-5;
    let q = multiply_add(q, x2, -2.133_740_5e-4);
    let q = multiply_add(q, x2, -1.682_827e-3);
    let q = multiply_add(q, x2, -7.373_329_2e-3);
    let q = multiply_add(q, x2, -1.426_473_9e-2);
    // The fraction ends just below one, where large arguments would multiply what is missing.
    if x.abs() < 4.0 {
        x * p / q
    } else {
        1f32.copysign(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_follows_the_standard_library() {
        let worst = (-8700..8800)
            .map(|i| i as f32 / 100.0)
            .map(|x| (f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs())
            .fold(0.0, f64::max);
        assert!(worst < 2e-7, "relative error {worst}");
    }

    #[test]
    fn erf_meets_known_values() {
        for (x, expected) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (2.0, 0.995_322_265_018_952_7),
            (-3.0, -0.999_977_909_503_001_4),
            (9.0, 1.0),
        ] {
            let error = (f64::from(erf(x)) - expected).abs();
            assert!(error < 4e-7, "erf({x}) is off by {error}");
        }
    }
}
