//! What the stack machine knows of numpy: an array of bytes.

use super::machine::{Machine, Outcome};
use super::{Array, Id, Name, Value, integer};

impl<'a> Machine<'a> {
    pub(super) fn name(&mut self) -> Outcome {
        let (module, name) = (self.line()?, self.line()?);
        let name = match (module, name) {
            (b"numpy.core.multiarray", b"_reconstruct") => Name::Reconstruct,
            (b"numpy", b"ndarray") => Name::Array,
            (b"numpy", b"dtype") => Name::Type,
            _ => {
                let [module, name] = [module, name].map(String::from_utf8_lossy);
                return Err(format!(
                    "a pickle that asks for {module}.{name}, and nothing in a file is run here"
                ));
            }
        };
        self.push(Value::Name(name))
    }

    /// `_reconstruct(ndarray, (0,), 'b')`, an empty array, or `dtype('u1', 0, 1)`.
    pub(super) fn call(&mut self) -> Outcome {
        let [function, arguments] = self.pop_two()?;
        let Value::Tuple(arguments) = &self.values[arguments] else {
            return Err(self.damaged("a call without arguments"));
        };
        let first = arguments.first().map(|&id| &self.values[id]);
        let value = match (&self.values[function], first) {
            (Value::Name(Name::Reconstruct), Some(Value::Name(Name::Array))) => Value::Array(None),
            (Value::Name(Name::Type), Some(Value::Bytes(b"u1"))) => Value::ByteType,
            (Value::Name(Name::Type), Some(Value::Bytes(kind))) => {
                let kind = String::from_utf8_lossy(kind);
                return Err(format!("an array of type {kind} instead of u1"));
            }
            _ => return Err(self.damaged("a call that no batch needs")),
        };
        self.push(value)
    }

    /// Gives an array its content. That of a type is its order of bytes, which one byte has not.
    pub(super) fn build(&mut self) -> Outcome {
        let state = self.pop()?;
        let object = self.top()?;
        match &self.values[object] {
            Value::ByteType => Ok(()),
            Value::Array(_) => {
                let array = self.content(state)?;
                self.values[object] = Value::Array(Some(array));
                Ok(())
            }
            _ => Err(self.damaged("content for what is no array")),
        }
    }

    /// `(version, (rows, bytes of a row), dtype, False, bytes)`; true if columns came first.
    fn content(&self, state: Id) -> Outcome<Array<'a>> {
        let unknown = || self.damaged("an array of another kind");
        let tuple = |id: Id| match &self.values[id] {
            Value::Tuple(items) => Some(items.as_slice()),
            _ => None,
        };
        let Some(&[_, shape, kind, columns_first, bytes]) = tuple(state) else {
            return Err(unknown());
        };
        let content = [kind, columns_first, bytes].map(|id| &self.values[id]);
        let ([Value::ByteType, Value::False, Value::Bytes(bytes)], Some(&[rows, row])) =
            (content, tuple(shape))
        else {
            return Err(unknown());
        };
        let length = |id| {
            let length = integer(&self.values, id)?;
            usize::try_from(length).ok()
        };
        let (rows, row) = length(rows).zip(length(row)).ok_or_else(unknown)?;
        if rows.checked_mul(row) != Some(bytes.len()) {
            return Err(format!(
                "{} bytes for an array of {rows} x {row}",
                bytes.len()
            ));
        }
        Ok(Array {
            shape: [rows, row],
            bytes,
        })
    }
}
