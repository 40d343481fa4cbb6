//! What the stack machine knows of PyTorch: names, storages, tensors.

use super::machine::{Machine, Outcome};
use super::{Id, MOST_AXES, Name, Storage, Tensor, Value};

impl<'a> Machine<'a> {
    pub(super) fn name(&mut self) -> Outcome {
        let (module, name) = (self.line()?, self.line()?);
        match Name::find(module, name) {
            Some(name) => self.push(Value::Name(name)),
            None => Err(format!(
                "it asks for {module}.{name}, and nothing in a weight file is run here; save the \
                 network's `state_dict()`, which holds tensors alone"
            )),
        }
    }

    /// `('storage', type, key, location, number of values[, view])`.
    pub(super) fn storage(&mut self) -> Outcome {
        let reference = self.pop()?;
        let storage = self.storage_of(reference);
        let storage = storage.ok_or_else(|| self.damaged("a storage is described wrongly"))?;
        self.push(Value::Storage(storage))
    }

    fn storage_of(&self, reference: Id) -> Option<Storage<'a>> {
        let Value::Tuple(items) = &self.values[reference] else {
            return None;
        };
        let &[kind, dtype, key, location, values, ref view @ ..] = items.as_slice() else {
            return None;
        };
        let no_view = view
            .iter()
            .all(|&view| matches!(self.values[view], Value::None));
        match (
            &self.values[kind],
            &self.values[dtype],
            &self.values[key],
            &self.values[location],
            &self.values[values],
        ) {
            (
                Value::Text("storage"),
                Value::Name(Name::Storage(dtype)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(values),
            ) if no_view => Some(Storage {
                key,
                dtype: *dtype,
                values: u64::try_from(*values).ok()?,
            }),
            _ => None,
        }
    }

    pub(super) fn call(&mut self) -> Outcome {
        let arguments = self.pop()?;
        let callee = self.pop()?;
        let (Value::Name(name), Value::Tuple(arguments)) =
            (&self.values[callee], &self.values[arguments])
        else {
            return Err(self.damaged("something that no state dictionary needs is called"));
        };
        let built = match (name, arguments.as_slice()) {
            (Name::OrderedDict, []) => Value::Dict(Vec::new()),
            (
                Name::RebuildTensor,
                &[storage, offset, shape, strides, _gradient, ref _hooks @ ..],
            ) => {
                let tensor = self.tensor_of(storage, offset, shape, strides);
                Value::Tensor(tensor.ok_or_else(|| self.damaged("a tensor is described wrongly"))?)
            }
            (Name::RebuildParameter, &[tensor, ..])
                if matches!(self.values[tensor], Value::Tensor(_)) =>
            {
                self.stack.push(tensor);
                return Ok(());
            }
            (Name::RebuildTensor | Name::RebuildParameter, _) => {
                return Err(self.damaged("a tensor is described wrongly"));
            }
            _ => {
                return Err(self.damaged("something that no state dictionary needs is called"));
            }
        };
        self.push(built)
    }

    fn tensor_of(&self, storage: Id, offset: Id, shape: Id, strides: Id) -> Option<Tensor<'a>> {
        let (Value::Storage(storage), Value::Int(offset)) =
            (&self.values[storage], &self.values[offset])
        else {
            return None;
        };
        Some(Tensor {
            storage: *storage,
            offset: u64::try_from(*offset).ok()?,
            shape: self.sizes(shape)?,
            strides: self.sizes(strides)?,
        })
    }

    fn sizes(&self, tuple: Id) -> Option<Vec<usize>> {
        let Value::Tuple(items) = &self.values[tuple] else {
            return None;
        };
        // A tuple can be used any number of times, so that copies of a long one would fill the memory.
        if items.len() > MOST_AXES {
            return None;
        }
        let size = |&item| match &self.values[item] {
            Value::Int(size) => usize::try_from(*size).ok(),
            _ => None,
        };
        items.iter().map(size).collect()
    }

    /// What Python sets on an object after building it; PyTorch sets a state dictionary's version.
    pub(super) fn attributes(&mut self) -> Outcome {
        self.pop()?;
        let object = self.top()?;
        match self.values[object] {
            Value::Dict(_) => Ok(()),
            _ => Err(self.damaged("attributes are set on what is no state dictionary")),
        }
    }
}
