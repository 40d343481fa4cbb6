//! GELU and the logistic function.

use burn_flex::FlexTensor;
use multiversion::multiversion;

#[cfg(target_arch = "x86_64")]
use super::math::erf_by;
use super::math::{erf, exp};
use super::{Elements, PARALLEL_ELEMENTS, changed, changed_beside};

pub(super) fn gelu(x: FlexTensor) -> FlexTensor {
    changed(x, PARALLEL_ELEMENTS, gelu_chunk)
}

pub(super) fn logistic(x: FlexTensor) -> FlexTensor {
    changed(x, PARALLEL_ELEMENTS, logistic_chunk)
}

pub(super) fn gelu_backward(x: FlexTensor, grad: FlexTensor) -> FlexTensor {
    let x = Elements::new(x);
    changed_beside(grad, &x, PARALLEL_ELEMENTS, gelu_backward_chunk)
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
pub(super) fn gelu_chunk(values: &mut [f32]) {
    for value in values {
        let x = *value;
        *value = 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
    }
}

/// [`gelu_chunk`] for callers that know of fused multiply-adds.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn gelu_fused(values: &mut [f32]) {
    for value in values {
        let x = *value;
        let erf = erf_by(x * std::f32::consts::FRAC_1_SQRT_2, f32::mul_add);
        *value = 0.5 * x * (1.0 + erf);
    }
}

/// Multiplies gradients by the derivative of GELU at `x`.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn gelu_backward_chunk(grad: &mut [f32], x: &[f32]) {
    const INVERSE_SQRT_2PI: f32 = 0.398_942_3;
    for (grad, &x) in grad.iter_mut().zip(x) {
        let cumulative = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
        let density = INVERSE_SQRT_2PI * exp(-0.5 * x * x);
        *grad *= cumulative + x * density;
    }
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn logistic_chunk(values: &mut [f32]) {
    for value in values {
        *value = 1.0 / (1.0 + exp(-*value));
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Tensor, TensorData, Tolerance};
    use burn_autodiff::Autodiff;
    use burn_flex::Flex;

    use crate::{gelu, sigmoid};

    fn points() -> Vec<f32> {
        let near = (-1200..=1200).map(|i| i as f32 / 100.0);
        near.chain([-1e4, -100.0, -20.0, 20.0, 100.0]).collect()
    }

    fn error_function(x: f64) -> f64 {
        // The series for small arguments and the continued fraction for large ones, in f64.
        if x.abs() < 3.0 {
            let (mut term, mut sum) = (x, x);
            for n in 1..200 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            2.0 / std::f64::consts::PI.sqrt() * sum
        } else {
            let mut fraction = 0.0;
            for n in (1..200).rev() {
                fraction = f64::from(n) / 2.0 / (x.abs() + fraction);
            }
            let tail = (-x * x).exp() / std::f64::consts::PI.sqrt() / (x.abs() + fraction);
            x.signum() * (1.0 - tail)
        }
    }

    #[test]
    fn gelu_and_its_gradient_are_exact_to_a_millionth() {
        println!("device: flex");
        let device = Default::default();
        let x =
            Tensor::<Autodiff<Flex>, 1>::from_floats(points().as_slice(), &device).require_grad();
        let y = gelu(x.clone());
        let gradient = x
            .grad(&y.clone().sum().backward())
            .map(|grad| grad.into_data());
        let gradient = gradient
            .and_then(|data| data.to_vec::<f32>().ok())
            .unwrap_or_default();
        let values = y.into_data().to_vec::<f32>().unwrap_or_default();
        assert_eq!(values.len(), points().len());
        assert_eq!(gradient.len(), points().len());
        for ((x, y), dy) in points()
            .into_iter()
            .map(f64::from)
            .zip(values)
            .zip(gradient)
        {
            let cumulative = 0.5 * (1.0 + error_function(x / 2f64.sqrt()));
            let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
            assert!(
                (f64::from(y) - x * cumulative).abs() < 1e-6,
                "gelu({x}) = {y}"
            );
            let slope = cumulative + x * density;
            assert!((f64::from(dy) - slope).abs() < 1e-6, "gelu'({x}) = {dy}");
        }
    }

    #[test]
    fn the_logistic_function_and_its_gradient_follow_burns() {
        println!("device: flex");
        let device = Default::default();
        let x =
            Tensor::<Autodiff<Flex>, 1>::from_floats(points().as_slice(), &device).require_grad();
        let run = |y: Tensor<Autodiff<Flex>, 1>| -> [TensorData; 2] {
            let grads = y.clone().sum().backward();
            let gradient = x.grad(&grads).map(|grad| grad.into_data());
            [
                y.into_data(),
                gradient.unwrap_or_else(|| TensorData::from([0f32; 0])),
            ]
        };
        let ours = run(sigmoid(x.clone()));
        let burns = run(burn::tensor::activation::sigmoid(x.clone()));
        for (ours, burns) in ours.iter().zip(&burns) {
            ours.assert_approx_eq::<f32>(burns, Tolerance::absolute(3e-7));
        }
    }
}
