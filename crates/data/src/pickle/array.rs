//! What the stack machine knows of numpy: arrays, and integers of their own type.

use super::machine::{Machine, Outcome};
use super::{Array, Content, Element, Id, Name, Value, integer};

/// The most that numpy itself allows.
const MOST_DIMENSIONS: usize = 64;

impl Element {
    /// The type that numpy calls by this name.
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"u1" => Some(Self::U1),
            b"f4" => Some(Self::F4),
            b"i8" => Some(Self::I8),
            b"O8" => Some(Self::Object),
            _ => None,
        }
    }

    /// Bytes of a number; none for objects, which are values of their own.
    fn bytes(self) -> Option<usize> {
        match self {
            Self::U1 => Some(1),
            Self::F4 => Some(4),
            Self::I8 => Some(8),
            Self::Object => None,
        }
    }
}

impl<'a> Machine<'a> {
    pub(super) fn name(&mut self) -> Outcome {
        let (module, name) = (self.line()?, self.line()?);
        self.push_name(module, name)
    }

    pub(super) fn name_from_stack(&mut self) -> Outcome {
        let [module, name] = self.pop_two()?;
        match (&self.values[module], &self.values[name]) {
            (&Value::Bytes(module), &Value::Bytes(name)) => self.push_name(module, name),
            _ => Err(self.damaged("a name that is no text")),
        }
    }

    fn push_name(&mut self, module: &[u8], name: &[u8]) -> Outcome {
        let name = match (module, name) {
            // The module's name since numpy 2.
            (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => {
                Name::Reconstruct
            }
            (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"scalar") => Name::Scalar,
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

    /// `_reconstruct(ndarray, (0,), 'b')`, an empty array; `dtype('u1', 0, 1)`; or
    /// `scalar(dtype('i8', 0, 1), bytes)`.
    pub(super) fn call(&mut self) -> Outcome {
        let [function, arguments] = self.pop_two()?;
        let Value::Tuple(arguments) = &self.values[arguments] else {
            return Err(self.damaged("a call without arguments"));
        };
        let argument = |at: usize| arguments.get(at).map(|&id| &self.values[id]);
        let value = match (&self.values[function], argument(0), argument(1)) {
            (Value::Name(Name::Reconstruct), Some(Value::Name(Name::Array)), _) => {
                Value::Array(None)
            }
            (Value::Name(Name::Type), Some(Value::Bytes(name)), _) => {
                let element = Element::named(name).ok_or_else(|| {
                    let name = String::from_utf8_lossy(name);
                    format!("an array of type {name}, which no data set has")
                })?;
                Value::Type(element)
            }
            (
                Value::Name(Name::Scalar),
                Some(Value::Type(Element::I8)),
                Some(Value::Bytes(bytes)),
            ) => {
                let bytes = <[u8; 8]>::try_from(*bytes);
                let bytes = bytes.map_err(|_| self.damaged("an integer of another size"))?;
                Value::Integer(i64::from_le_bytes(bytes))
            }
            _ => return Err(self.damaged("a call that no data set needs")),
        };
        self.push(value)
    }

    /// Gives an array its content, or a type its order of bytes, `(version, order, ...)`.
    pub(super) fn build(&mut self) -> Outcome {
        let state = self.pop()?;
        let object = self.top()?;
        match &self.values[object] {
            Value::Type(_) => match self.tuple_of(state) {
                Some(&[_, order, ..]) => match self.values[order] {
                    Value::Bytes(b"|" | b"<") => Ok(()),
                    _ => Err("an array whose numbers are not in little-endian order".to_owned()),
                },
                _ => Err(self.damaged("a type without an order of bytes")),
            },
            Value::Array(_) => {
                let array = self.content(state)?;
                self.values[object] = Value::Array(Some(array));
                Ok(())
            }
            _ => Err(self.damaged("content for what is no array")),
        }
    }

    fn tuple_of(&self, id: Id) -> Option<&[Id]> {
        match &self.values[id] {
            Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// `(version, shape, dtype, False, content)`; true if columns came first.
    fn content(&self, state: Id) -> Outcome<Array<'a>> {
        let unknown = || self.damaged("an array of another kind");
        let Some(&[_, shape, element, columns_first, content]) = self.tuple_of(state) else {
            return Err(unknown());
        };
        let (&Value::Type(element), Value::False) =
            (&self.values[element], &self.values[columns_first])
        else {
            return Err(unknown());
        };
        let length = |&id| usize::try_from(integer(&self.values, id)?).ok();
        let lengths = self.tuple_of(shape).ok_or_else(unknown)?;
        if lengths.len() > MOST_DIMENSIONS {
            return Err(unknown());
        }
        let shape: Option<Vec<usize>> = lengths.iter().map(length).collect();
        let shape = shape.ok_or_else(unknown)?;
        let count = shape
            .iter()
            .try_fold(1, |product: usize, &length| product.checked_mul(length));

        let (content, size, found) = match (&self.values[content], element.bytes()) {
            (&Value::Bytes(bytes), Some(size)) => {
                let numbers = Content::Numbers(element, bytes);
                (numbers, size, bytes.len())
            }
            (Value::List(objects), None) => (Content::Objects(content), 1, objects.len()),
            _ => return Err(unknown()),
        };
        if count.and_then(|count| count.checked_mul(size)) != Some(found) {
            let shape: Vec<_> = shape.iter().map(usize::to_string).collect();
            let what = if element == Element::Object {
                "objects"
            } else {
                "bytes"
            };
            return Err(format!(
                "{found} {what} for an array of {}",
                shape.join(" x ")
            ));
        }
        Ok(Array { shape, content })
    }
}
