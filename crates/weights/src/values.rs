//! Whether the values of a tensor can be weights.

use burn::tensor::{DType, TensorData};
use thiserror::Error;

/// How the names of variances end, which are never below zero.
const VARIANCE: &str = "running_var";

/// A tensor with values that no network can compute with.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{name} has {count} of {values} values that {flaw}")]
pub struct BadTensor {
    /// The tensor's name in its file.
    pub name: String,
    /// What is wrong with them.
    pub flaw: Flaw,
    /// How many values are.
    pub count: usize,
    /// How many there are.
    pub values: usize,
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// It is not a number.
    #[error("are not numbers (NaN)")]
    NotANumber,
    /// It is infinite.
    #[error("are infinite")]
    Infinite,
    /// It is finite, and infinite in the precision that weights have here.
    #[error("are beyond single precision")]
    TooLarge,
    /// It is a variance below zero.
    #[error("are variances below zero")]
    NegativeVariance,
}

/// The values of a tensor as 32-bit floats.
///
/// # Errors
/// Where one of them is not finite, or no variance where the tensor holds those: the first flaw of
/// [`Flaw`] that there is.
pub fn checked(name: &str, data: TensorData) -> Result<TensorData, BadTensor> {
    let single = data.clone().convert_dtype(DType::F32);
    let is_variance = name.ends_with(VARIANCE);
    let is_sound = |value: &f32| value.is_finite() && !(is_variance && *value < 0.0);
    let values = single.as_slice::<f32>().unwrap_or_default();
    if values.iter().all(is_sound) {
        return Ok(single);
    }
    let flaw = |(single, stored): (&f32, f64)| {
        if stored.is_nan() {
            Some(Flaw::NotANumber)
        } else if stored.is_infinite() {
            Some(Flaw::Infinite)
        } else if single.is_infinite() {
            Some(Flaw::TooLarge)
        } else {
            (!is_sound(single)).then_some(Flaw::NegativeVariance)
        }
    };
    let flaws: Vec<_> = values
        .iter()
        .zip(data.iter::<f64>())
        .filter_map(flaw)
        .collect();
    let first = flaws.iter().copied().min().unwrap_or(Flaw::NotANumber);
    Err(BadTensor {
        name: name.to_owned(),
        flaw: first,
        count: flaws.iter().filter(|flaw| **flaw == first).count(),
        values: values.len(),
    })
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
