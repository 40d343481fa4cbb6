//! Between single precision and bfloat16: Burn's own cast goes through double precision, on one core.

use burn::tensor::{DType, TensorMetadata, bf16};
use burn_flex::{FlexTensor, Layout};
use burn_std::Bytes;
use multiversion::multiversion;
use rayon::prelude::*;

use super::packed::Source;
use super::{Elements, PARALLEL_ELEMENTS, tensor_from};

/// Rounded as the factors of products are: what is too small for a normal number may become zero.
pub(super) fn to_halves(x: FlexTensor) -> FlexTensor {
    let shape = x.shape();
    let x = Elements::new(x);
    let mut bits = vec![0; x.slice().len()];
    bits.par_chunks_mut(PARALLEL_ELEMENTS)
        .zip(x.slice().par_chunks(PARALLEL_ELEMENTS))
        .for_each(|(out, x)| Source::round(x, out));
    FlexTensor::new(
        Bytes::from_elems::<u16>(bits),
        Layout::contiguous(shape),
        DType::BF16,
    )
}

pub(super) fn to_singles(x: FlexTensor) -> FlexTensor {
    let shape = x.shape();
    let x = Elements::new(x);
    let mut values = vec![0.0; x.halves().len()];
    values
        .par_chunks_mut(PARALLEL_ELEMENTS)
        .zip(x.halves().par_chunks(PARALLEL_ELEMENTS))
        .for_each(|(out, x)| singles(x, out));
    tensor_from(values, shape)
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn singles(x: &[bf16], out: &mut [f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = f32::from_bits(u32::from(x.to_bits()) << 16);
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, FloatDType, Tensor, bf16};
    use burn_flex::Flex;

    use crate::cast;
    use crate::testing::{uniform, values};

    #[test]
    fn values_are_rounded_once() {
        println!("device: flex");
        let x = uniform::<Flex, 2>([131, 257]) * 3.0;
        let halves = cast(x.clone(), FloatDType::BF16);
        assert_eq!(halves.dtype(), DType::BF16);
        let expected = values(x.clone()).into_iter();
        let expected: Vec<_> = expected.map(|x| bf16::from_f32(x).to_f32()).collect();
        assert_eq!(values(cast(halves, FloatDType::F32)), expected);
        // A part whose rows lie apart.
        let part = cast(x.slice([1..131, 5..40]), FloatDType::BF16);
        let part = values(cast(part, FloatDType::F32));
        assert_eq!(part[..35], expected[257 + 5..257 + 40]);
        let odd =
            Tensor::<Flex, 1>::from_floats([f32::NAN, f32::INFINITY, -0.0], &Default::default());
        let odd = values(cast(cast(odd, FloatDType::BF16), FloatDType::F32));
        assert!(odd[0].is_nan() && odd[1] == f32::INFINITY && odd[2].is_sign_negative());
    }
}
