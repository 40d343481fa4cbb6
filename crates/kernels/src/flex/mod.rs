//! The operations on Burn's CPU backend, vectorised and spread over all cores. Other element types
//! than `f32` take Burn's own operations.

mod adam_w;
mod attention;
mod cast;
mod convolution;
mod cosine;
mod elementwise;
mod group_norm;
mod linear;
mod math;
mod mean_logistic;
mod packed;
mod pool;
mod product;
mod row_norm;

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, FloatDType, Shape, TensorMetadata, bf16};
use burn_backend::ops::{FloatTensorOps, ModuleOps};
use burn_flex::{Flex, FlexTensor, Layout};
use burn_std::Bytes;
use rayon::prelude::*;

use super::{
    AdamWStep, AffineParameters, Epilogue, Grouping, Kernels, NormParameters, Pooling, Windows,
    default,
};
use packed::{Format, Half, RowInput, Single};

impl Kernels for Flex {
    fn on_worker<R: Send>(work: impl FnOnce() -> R + Send) -> R {
        rayon::scope(|_| work())
    }

    fn has_fast_products(dtype: FloatDType) -> bool {
        dtype == FloatDType::BF16 && Half::is_supported()
    }

    fn convert(x: FloatTensor<Self>, dtype: FloatDType) -> FloatTensor<Self> {
        match (x.dtype(), dtype) {
            (DType::F32, FloatDType::BF16) => cast::to_halves(x),
            (DType::BF16, FloatDType::F32) => cast::to_singles(x),
            _ => Self::float_cast(x, dtype),
        }
    }

    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match x.dtype() {
            DType::F32 => elementwise::gelu(x),
            _ => <Self as burn_backend::ops::ActivationOps<Self>>::gelu(x),
        }
    }

    fn exact_gelu_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        match x.dtype() {
            DType::F32 => elementwise::gelu_backward(x, grad),
            _ => default::gelu_backward::<Self>(x, grad),
        }
    }

    fn logistic(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match x.dtype() {
            DType::F32 => elementwise::logistic(x),
            _ => <Self as burn_backend::ops::ActivationOps<Self>>::sigmoid(x),
        }
    }

    fn row_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        match x.dtype() {
            DType::F32 => row_norm::forward(x, scale, shift, epsilon as f32),
            _ => <Self as burn_backend::ops::ModuleOps<Self>>::layer_norm(
                x,
                scale,
                Some(shift),
                epsilon,
            ),
        }
    }

    fn row_norm_backward(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f64,
    ) -> [FloatTensor<Self>; 3] {
        match x.dtype() {
            DType::F32 => row_norm::backward(x, scale, grad, epsilon as f32),
            _ => default::row_norm_backward::<Self>(x, scale, grad, epsilon),
        }
    }

    fn mixes(dtype: FloatDType) -> bool {
        dtype == FloatDType::BF16
    }

    fn affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
    ) -> FloatTensor<Self> {
        if is_mixed(&x, &weight) {
            return packed::forward(x, &RowInput::Plain, weight, bias);
        }
        match (x.dtype(), bias) {
            (DType::F32, Some(bias)) => linear::forward(x, weight, bias),
            (_, bias) => <Self as burn_backend::ops::ModuleOps<Self>>::linear(x, weight, bias),
        }
    }

    fn grouped_affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        biases: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let weight = weight_for(&x, weight);
        match x.dtype() {
            DType::F32 => linear::forward(x, weight, biases),
            _ => default::grouped_affine::<Self>(x, weight, biases),
        }
    }

    fn grouped_affine_mean_logistic(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        biases: FloatTensor<Self>,
        skipped: usize,
    ) -> FloatTensor<Self> {
        let weight = weight_for(&x, weight);
        match x.dtype() {
            DType::F32 => mean_logistic::forward(x, weight, biases, skipped),
            _ => default::grouped_affine_mean_logistic::<Self>(x, weight, biases, skipped),
        }
    }

    fn mean_cosine(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        skipped: usize,
    ) -> FloatTensor<Self> {
        match (a.dtype(), b.dtype()) {
            (DType::F32, DType::F32) => cosine::mean(a, b, skipped),
            _ => default::mean_cosine::<Self>(a, b, skipped),
        }
    }

    fn affine_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        onto: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if is_mixed(&x, &weight) {
            return packed::onto(x, &RowInput::Plain, weight, bias, onto);
        }
        match x.dtype() {
            DType::F32 => linear::onto(x, weight, bias, onto),
            _ => Self::float_add(onto, Self::affine(x, weight, bias)),
        }
    }

    fn gelu_affine_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        onto: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if is_mixed(&x, &weight) {
            return packed::onto(x, &RowInput::Gelu, weight, bias, onto);
        }
        Self::affine_onto(Self::exact_gelu(x), weight, bias, onto)
    }

    fn norm_affine(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        epsilon: f64,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
    ) -> FloatTensor<Self> {
        if is_mixed(&x, &weight) {
            let [_, width] = x.shape().dims();
            let parameters = NormParameters {
                scale,
                shift,
                epsilon,
            };
            let norm = RowInput::norm(parameters, width);
            return packed::forward(x, &norm, weight, bias);
        }
        Self::affine(Self::row_norm(x, scale, shift, epsilon), weight, bias)
    }

    fn mlp_onto(
        x: FloatTensor<Self>,
        norm: NormParameters<FloatTensor<Self>>,
        layers: [AffineParameters<FloatTensor<Self>>; 2],
    ) -> FloatTensor<Self> {
        match packing(&x, &layers) {
            Some(DType::BF16) => packed::mlp_onto::<Half>(x, norm, layers),
            Some(_) => packed::mlp_onto::<Single>(x, norm, layers),
            None => default::mlp_onto::<Self>(x, norm, layers),
        }
    }

    fn attention_onto(
        x: FloatTensor<Self>,
        norm: NormParameters<FloatTensor<Self>>,
        layers: [AffineParameters<FloatTensor<Self>>; 2],
        heads: usize,
    ) -> FloatTensor<Self> {
        match packing(&x, &layers) {
            Some(DType::BF16) => packed::attention_onto::<Half>(x, norm, layers, heads),
            Some(_) => packed::attention_onto::<Single>(x, norm, layers, heads),
            None => default::attention_onto::<Self>(x, norm, layers, heads),
        }
    }

    fn joined_affine(
        x: FloatTensor<Self>,
        skip: FloatTensor<Self>,
        layer: AffineParameters<FloatTensor<Self>>,
    ) -> FloatTensor<Self> {
        match packing(&x, std::slice::from_ref(&layer)) {
            Some(DType::BF16) => packed::joined::<Half>(x, skip, layer),
            Some(_) => packed::joined::<Single>(x, skip, layer),
            None => default::joined_affine::<Self>(x, skip, layer),
        }
    }

    fn affine_x_backward(weight: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        if is_mixed(&grad, &weight) {
            return packed::x_backward(weight, grad);
        }
        match grad.dtype() {
            DType::F32 => linear::x_backward(weight, grad),
            _ => <Self as burn_backend::ops::ModuleOps<Self>>::linear_x_backward(weight, grad),
        }
    }

    fn affine_weight_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        weight: DType,
    ) -> FloatTensor<Self> {
        match (grad.dtype(), weight) {
            (DType::F32, DType::BF16) => packed::weight_backward(x, grad),
            (DType::F32, _) => linear::weight_backward(x, grad),
            _ => <Self as burn_backend::ops::ModuleOps<Self>>::linear_weight_backward(x, grad),
        }
    }

    fn affine_bias_backward(grad: FloatTensor<Self>) -> FloatTensor<Self> {
        match grad.dtype() {
            DType::F32 => linear::bias_backward(grad),
            _ => <Self as burn_backend::ops::ModuleOps<Self>>::linear_bias_backward(grad),
        }
    }

    fn fused_attention(qkv: FloatTensor<Self>, heads: usize, products: DType) -> FloatTensor<Self> {
        match qkv.dtype() {
            DType::F32 => attention::forward(qkv, heads, products == DType::BF16),
            _ => default::attention::<Self>(qkv, heads),
        }
    }

    fn fused_attention_backward(
        qkv: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        heads: usize,
        products: DType,
    ) -> FloatTensor<Self> {
        match qkv.dtype() {
            DType::F32 => attention::backward(qkv, grad, heads, products == DType::BF16),
            _ => default::attention_backward::<Self>(qkv, grad, heads),
        }
    }

    fn convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epilogue: Epilogue<FloatTensor<Self>>,
        windows: Windows,
    ) -> FloatTensor<Self> {
        match (x.dtype(), weight.dtype()) {
            (DType::F32, DType::F32) => convolution::forward(x, weight, epilogue, windows),
            _ => default::convolution::<Self>(x, weight, epilogue, windows),
        }
    }

    fn convolution_x_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        windows: Windows,
    ) -> FloatTensor<Self> {
        match (weight.dtype(), grad.dtype()) {
            (DType::F32, DType::F32) => convolution::x_backward(x, weight, grad, windows),
            _ => Self::conv2d_x_backward(x, weight, grad, default::symmetric(windows)),
        }
    }

    fn convolution_weight_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        windows: Windows,
    ) -> FloatTensor<Self> {
        match (x.dtype(), grad.dtype()) {
            (DType::F32, DType::F32) => convolution::weight_backward(x, weight, grad, windows),
            _ => Self::conv2d_weight_backward(x, weight, grad, default::symmetric(windows)),
        }
    }

    fn pool(
        x: FloatTensor<Self>,
        pooling: Pooling,
        kernel: [usize; 2],
        windows: Windows,
    ) -> FloatTensor<Self> {
        match x.dtype() {
            DType::F32 => pool::forward(x, pooling, kernel, windows),
            _ => default::pool::<Self>(x, pooling, kernel, windows),
        }
    }

    fn group_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        grouping: Grouping,
    ) -> FloatTensor<Self> {
        match x.dtype() {
            DType::F32 => group_norm::forward(x, scale, shift, grouping),
            _ => default::group_norm::<Self>(x, scale, shift, grouping),
        }
    }

    fn adam_w(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moments: [FloatTensor<Self>; 2],
        step: AdamWStep,
    ) -> [FloatTensor<Self>; 3] {
        match parameter.dtype() {
            DType::F32 => adam_w::update(parameter, gradient, moments, step),
            _ => default::adam_w::<Self>(parameter, gradient, moments, step),
        }
    }
}

/// Fewer elements than this are not worth waking another thread.
const PARALLEL_ELEMENTS: usize = 1 << 14;

/// The elements of a tensor in row-major order, copied only where they are not stored so.
struct Elements {
    tensor: FlexTensor,
    range: Range<usize>,
}

impl Elements {
    fn new(tensor: FlexTensor) -> Self {
        match tensor.layout().contiguous_offsets() {
            Some((start, end)) => Self {
                tensor,
                range: start..end,
            },
            None => Self {
                range: 0..tensor.layout().num_elements(),
                tensor: tensor.to_contiguous(),
            },
        }
    }

    fn slice(&self) -> &[f32] {
        &self.tensor.storage::<f32>()[self.range.clone()]
    }

    /// The same of a tensor in bfloat16.
    fn halves(&self) -> &[bf16] {
        &self.tensor.storage::<bf16>()[self.range.clone()]
    }
}

/// An output array that many tasks write at once.
#[derive(Clone, Copy)]
struct Output(*mut f32);

// SAFETY: tasks write disjoint elements, which is for those to see to that make them.
unsafe impl Send for Output {}
// SAFETY: as above.
unsafe impl Sync for Output {}

impl Output {
    fn at(self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

/// Whether a product of `x` is one of single-precision rows with a bfloat16 weight.
fn is_mixed(x: &FlexTensor, weight: &FlexTensor) -> bool {
    (x.dtype(), weight.dtype()) == (DType::F32, DType::BF16)
}

/// What the layers' weights, all of them, are stored in, where single-precision rows have a packed product with it on
/// this processor.
fn packing(x: &FlexTensor, layers: &[AffineParameters<FlexTensor>]) -> Option<DType> {
    let dtype = layers[0].weight.dtype();
    let is_supported = match dtype {
        DType::F32 => Single::is_supported(),
        DType::BF16 => Half::is_supported(),
        _ => false,
    };
    let all = layers.iter().all(|layer| layer.weight.dtype() == dtype);
    (x.dtype() == DType::F32 && all && is_supported).then_some(dtype)
}

/// A weight of few outputs in the precision of the rows that it meets.
fn weight_for(x: &FlexTensor, weight: FlexTensor) -> FlexTensor {
    if is_mixed(x, &weight) {
        cast::to_singles(weight)
    } else {
        weight
    }
}

/// Lets `change` work on all elements, `chunk` at a time and on all cores: in place where nobody
/// else holds the tensor, which saves fresh memory, on a copy otherwise.
fn changed(x: FlexTensor, chunk: usize, change: impl Fn(&mut [f32]) + Sync) -> FlexTensor {
    changed_chunks(x, chunk, |_, values| change(values))
}

/// [`changed`] with the elements of another tensor of the same shape at hand.
fn changed_beside(
    x: FlexTensor,
    beside: &Elements,
    chunk: usize,
    change: impl Fn(&mut [f32], &[f32]) + Sync,
) -> FlexTensor {
    let beside = beside.slice();
    assert_eq!(beside.len(), x.layout().num_elements(), "two shapes");
    changed_chunks(x, chunk, |index, values| {
        change(values, &beside[index * chunk..][..values.len()]);
    })
}

/// The elements of a tensor that nobody else holds, where they are stored in row-major order.
fn in_place(x: &mut FlexTensor) -> Option<&mut [f32]> {
    let stored = x.bytes().len() / size_of::<f32>();
    if x.layout().contiguous_offsets() == Some((0, stored)) {
        x.try_storage_mut::<f32>()
    } else {
        None
    }
}

/// What `add` makes of a tensor's elements: it is given where they lie and where to write all that they become, which
/// is the same place where nobody else holds the tensor.
///
/// # Safety
/// `add` must write every element, and read none that it has written.
unsafe fn added_to(mut x: FlexTensor, add: impl FnOnce(Output, Output)) -> FlexTensor {
    if let Some(values) = in_place(&mut x) {
        let values = Output(values.as_mut_ptr());
        add(values, values);
        return x;
    }
    let shape = x.shape();
    let x = Elements::new(x);
    let from = Output(x.slice().as_ptr().cast_mut());
    // SAFETY: the caller's promise.
    let values = unsafe {
        written(x.slice().len(), |out| {
            add(from, Output(out.as_mut_ptr().cast()));
        })
    };
    tensor_from(values, shape)
}

/// [`changed`] with the number of each chunk.
fn changed_chunks(
    mut x: FlexTensor,
    chunk: usize,
    change: impl Fn(usize, &mut [f32]) + Sync,
) -> FlexTensor {
    let change = |(index, values): (usize, &mut [f32])| change(index, values);
    if let Some(values) = in_place(&mut x) {
        values.par_chunks_mut(chunk).enumerate().for_each(change);
        return x;
    }
    let shape = x.shape();
    let x = Elements::new(x);
    let x = x.slice();
    // SAFETY: every chunk is copied whole before it is changed.
    let values = unsafe {
        written(x.len(), |out| {
            out.par_chunks_mut(chunk)
                .enumerate()
                .zip(x.par_chunks(chunk))
                .for_each(|((index, out), x)| change((index, copied(out, x))));
        })
    };
    tensor_from(values, shape)
}

fn tensor_from(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}

/// A vector whose elements `write` sets, all of them, without the pass over memory that zeroing it
/// first would cost.
///
/// # Safety
/// `write` must set every element of the slice.
unsafe fn written<T>(length: usize, write: impl FnOnce(&mut [MaybeUninit<T>])) -> Vec<T> {
    let mut values = Vec::with_capacity(length);
    write(&mut values.spare_capacity_mut()[..length]);
    // SAFETY: the caller promises that every element is set.
    unsafe { values.set_len(length) };
    values
}

/// Sets all of `out` to the elements of a slice of its length.
fn copied<'a>(out: &'a mut [MaybeUninit<f32>], values: &[f32]) -> &'a mut [f32] {
    assert_eq!(out.len(), values.len(), "a copy of another length");
    for (out, &value) in out.iter_mut().zip(values) {
        out.write(value);
    }
    // SAFETY: every element was just set.
    unsafe { all_set(out) }
}

/// The slice as values.
///
/// # Safety
/// Every element must be set, or be written before it is read.
unsafe fn all_set<T>(values: &mut [MaybeUninit<T>]) -> &mut [T] {
    // SAFETY: the two types have one layout, and the caller promises that there are values.
    unsafe { &mut *(std::ptr::from_mut(values) as *mut [T]) }
}

#[cfg(test)]
mod tests {
    use burn_autodiff::Autodiff;

    use super::*;

    #[test]
    fn only_what_tracks_no_gradient_runs_on_a_worker() {
        println!("device: flex");
        let worker = rayon::current_thread_index;
        assert!(Flex::on_worker(worker).is_some());
        assert_eq!(Autodiff::<Flex>::on_worker(worker), None);
    }
}
