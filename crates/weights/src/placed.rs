//! The tensors of a file in their places.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use burn::module::{Module, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, TensorData};
use burn_store::{ModuleSnapshot, PyTorchToBurnAdapter, TensorSnapshot, TensorSnapshotError};

use crate::{
    BadTensor, Misfit, Placement, Placements, StoredTensor, WeightError, WeightFile, checked,
};

/// A file that was found to hold exactly the tensors of a network.
#[derive(Debug)]
pub struct Placed<'a> {
    file: &'a WeightFile,
    tensors: Vec<(Placement, &'a StoredTensor)>,
    left_out: Vec<&'a str>,
}

impl WeightFile {
    /// Compares the file with what a network needs. [`no_weights`](Self::no_weights) are left out
    /// where it does not need them.
    ///
    /// # Errors
    /// Where a tensor is missing, left over, of another shape or no floating-point tensor: all of
    /// them are named.
    pub fn place(&self, placements: Placements) -> Result<Placed<'_>, WeightError> {
        let mut misfits = Vec::new();
        let mut tensors = Vec::new();
        let mut known = HashSet::new();
        for placement in placements.iter() {
            let name = placement.published.clone();
            known.insert(placement.published.clone());
            match self.tensors().get(&name) {
                None if placement.path.is_none() => {}
                None => misfits.push(Misfit::Missing {
                    name,
                    expected: placement.shape.clone(),
                }),
                Some(found) if found.shape != placement.shape => misfits.push(Misfit::Shape {
                    name,
                    expected: placement.shape.clone(),
                    found: found.shape.clone(),
                }),
                Some(found) if placement.path.is_some() && !found.dtype.is_float() => {
                    misfits.push(Misfit::Type {
                        name,
                        found: found.dtype.clone(),
                    });
                }
                Some(found) => tensors.push((placement.clone(), found)),
            }
        }
        let others = self
            .tensors()
            .iter()
            .filter(|(name, _)| !known.contains(*name));
        let (left_out, unexpected): (Vec<_>, Vec<_>) = others
            .partition(|(name, tensor)| placements.leaves_out(name) || is_no_weight(name, tensor));
        let unexpected = unexpected.into_iter();
        misfits.extend(unexpected.map(|(name, tensor)| Misfit::Unexpected {
            name: name.clone(),
            found: tensor.shape.clone(),
        }));
        if !misfits.is_empty() {
            return Err(WeightError::Misfits {
                path: self.path().to_owned(),
                misfits,
            });
        }
        Ok(Placed {
            file: self,
            tensors,
            left_out: left_out
                .into_iter()
                .map(|(name, _)| name.as_str())
                .collect(),
        })
    }
}

impl WeightFile {
    /// The tensors that cannot be weights, such as a number of steps, a mask or the state of random
    /// numbers, by name.
    pub fn no_weights(&self) -> Vec<&str> {
        let tensors = self.tensors().iter();
        tensors
            .filter(|(name, tensor)| is_no_weight(name, tensor))
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

/// Whether a tensor holds other values than real numbers, or is a single number of no layer.
fn is_no_weight(name: &str, tensor: &StoredTensor) -> bool {
    !tensor.dtype.is_float() || (tensor.shape.is_empty() && !name.contains('.'))
}

impl Placed<'_> {
    /// The tensors of the file that the network leaves out, by name.
    pub fn left_out(&self) -> &[&str] {
        &self.left_out
    }

    /// Loads all tensors into `module` as 32-bit floats.
    ///
    /// # Errors
    /// Where values are not those of weights (see [`checked`]), the file cannot be read any more, or
    /// the placements are not those of `module`.
    pub fn load_into<B: Backend, M: Module<B>>(&self, mut module: M) -> Result<M, WeightError> {
        let bad = Rc::default();
        let snapshots = self
            .tensors
            .iter()
            .filter_map(|(placement, stored)| snapshot(placement, stored, &bad))
            .collect();
        let result = module.apply(snapshots, None, Some(Box::new(PyTorchToBurnAdapter)), false);
        let tensors = bad.take();
        if !tensors.is_empty() {
            return Err(WeightError::Values {
                path: self.file.path().to_owned(),
                tensors,
            });
        }
        let mut faults: Vec<_> = result.errors.iter().map(ToString::to_string).collect();
        let missing = result.missing.iter();
        faults.extend(missing.map(|(path, _)| format!("no tensor was placed at {path}")));
        let unused = result.unused.iter();
        faults.extend(unused.map(|path| format!("the network has no parameter {path}")));
        if faults.is_empty() {
            Ok(module)
        } else {
            Err(WeightError::Unusable {
                path: self.file.path().to_owned(),
                reason: faults.join("; "),
            })
        }
    }
}

/// The tensor as `burn-store` takes it, to be read when it is loaded; `None` if it is not used. What
/// cannot be used of it is added to `bad`.
fn snapshot(
    placement: &Placement,
    stored: &StoredTensor,
    bad: &Rc<RefCell<Vec<BadTensor>>>,
) -> Option<TensorSnapshot> {
    let path = placement.path.as_ref()?;
    let (tensor, name, negated) = (
        stored.clone(),
        placement.published.clone(),
        placement.negated,
    );
    let (shape, bad) = (placement.read_as.clone(), Rc::clone(bad));
    let read = move || {
        let data = tensor.read();
        let data = data.map_err(|error| TensorSnapshotError::IoError(error.to_string()))?;
        let mut data = checked(&name, data).map_err(|tensor| {
            bad.borrow_mut().push(tensor.clone());
            TensorSnapshotError::DataError(tensor.to_string())
        })?;
        data.shape = shape.clone().into();
        Ok(if negated { negate(data)? } else { data })
    };
    Some(TensorSnapshot::from_closure(
        Rc::new(read),
        DType::F32,
        placement.read_as.clone().into(),
        path.split('.').map(str::to_owned).collect(),
        Vec::new(),
        ParamId::new(),
    ))
}

fn negate(data: TensorData) -> Result<TensorData, TensorSnapshotError> {
    let shape = data.shape.clone();
    let mut values = data
        .into_vec::<f32>()
        .map_err(|error| TensorSnapshotError::DataError(format!("{error:?}")))?;
    values.iter_mut().for_each(|value| *value = -*value);
    Ok(TensorData::new(values, shape))
}
