//! The tensors of a file in their places.

use std::collections::HashSet;
use std::rc::Rc;

use burn::module::{Module, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, TensorData};
use burn_store::{ModuleSnapshot, PyTorchToBurnAdapter, TensorSnapshot, TensorSnapshotError};

use crate::{Misfit, Placement, Placements, StoredTensor, WeightError, WeightFile};

/// A file that was found to hold exactly the tensors of a network.
#[derive(Debug)]
pub struct Placed<'a> {
    file: &'a WeightFile,
    tensors: Vec<(Placement, &'a StoredTensor)>,
    left_out: Vec<&'a str>,
}

impl WeightFile {
    /// Compares the file with what a network needs.
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
                        found: found.dtype,
                    });
                }
                Some(found) => tensors.push((placement.clone(), found)),
            }
        }
        let others = self
            .tensors()
            .iter()
            .filter(|(name, _)| !known.contains(*name));
        let (left_out, unexpected): (Vec<_>, Vec<_>) =
            others.partition(|(name, _)| placements.leaves_out(name));
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

impl Placed<'_> {
    /// The tensors of the file that belong to parts which the network leaves out, by name.
    pub fn left_out(&self) -> &[&str] {
        &self.left_out
    }

    /// Loads all tensors into `module` as 32-bit floats.
    ///
    /// # Errors
    /// Where the file cannot be read any more, or the placements are not those of `module`.
    pub fn load_into<B: Backend, M: Module<B>>(&self, mut module: M) -> Result<M, WeightError> {
        let snapshots = self
            .tensors
            .iter()
            .filter_map(|(placement, stored)| self.snapshot(placement, stored))
            .collect();
        let result = module.apply(snapshots, None, Some(Box::new(PyTorchToBurnAdapter)), false);
        let mut faults: Vec<_> = result.errors.iter().map(ToString::to_string).collect();
        let missing = result.missing.iter();
        faults.extend(missing.map(|(path, _)| format!("no tensor was placed at {path}")));
        let unused = result.unused.iter();
        faults.extend(unused.map(|path| format!("the network has no parameter {path}")));
        match faults.is_empty() {
            true => Ok(module),
            false => Err(WeightError::Unusable {
                path: self.file.path().to_owned(),
                reason: faults.join("; "),
            }),
        }
    }

    /// The tensor as `burn-store` takes it, to be read when it is loaded; `None` if it is not used.
    fn snapshot(&self, placement: &Placement, stored: &StoredTensor) -> Option<TensorSnapshot> {
        let path = placement.path.as_ref()?;
        let (file, tensor) = (self.file.handle(), stored.clone());
        let negated = placement.negated;
        let read = move || {
            let data = tensor.read(&file);
            let data = data.map_err(|error| TensorSnapshotError::IoError(error.to_string()))?;
            let data = data.convert_dtype(DType::F32);
            Ok(if negated { negate(data)? } else { data })
        };
        Some(TensorSnapshot::from_closure(
            Rc::new(read),
            DType::F32,
            stored.shape.clone().into(),
            path.split('.').map(str::to_owned).collect(),
            Vec::new(),
            ParamId::new(),
        ))
    }
}

fn negate(data: TensorData) -> Result<TensorData, TensorSnapshotError> {
    let shape = data.shape.clone();
    let mut values = data
        .into_vec::<f32>()
        .map_err(|error| TensorSnapshotError::DataError(format!("{error:?}")))?;
    values.iter_mut().for_each(|value| *value = -*value);
    Ok(TensorData::new(values, shape))
}
