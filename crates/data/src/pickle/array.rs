//! What data sets need of numpy: arrays, and integers of their own type.

use super::error::Refusal;
use super::{Id, Value};

/// The most that numpy itself allows.
const MOST_DIMENSIONS: usize = 64;

/// What they have beside Python's own values.
#[derive(Debug)]
pub(crate) enum Object<'a> {
    Name(Name),
    /// numpy's type of an array's elements.
    Type(Element),
    /// numpy's array, empty until its content follows.
    Array(Option<Array<'a>>),
}

/// The names that data sets refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Reconstruct,
    Array,
    Type,
    Scalar,
}

/// What numpy's arrays consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// An unsigned byte.
    U1,
    /// A float of 32 bits.
    F4,
    /// An integer of 64 bits.
    I8,
    /// Any value.
    Object,
}

/// numpy's array, whose last index runs fastest.
#[derive(Debug)]
pub(crate) struct Array<'a> {
    pub shape: Vec<usize>,
    pub content: Content<'a>,
}

/// The elements of an array, as many as its shape says.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    /// Numbers, least significant byte first.
    Numbers(Element, &'a [u8]),
    /// The items of a list, which is not copied: a small file could ask for very many copies.
    Objects(Id),
}

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

/// What a name stands for; nothing where data sets do not need it.
pub(super) fn named<'a>(module: &'a [u8], name: &'a [u8]) -> Option<Object<'a>> {
    Some(Object::Name(match (module, name) {
        // The module's name since numpy 2.
        (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => {
            Name::Reconstruct
        }
        (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"scalar") => Name::Scalar,
        (b"numpy", b"ndarray") => Name::Array,
        (b"numpy", b"dtype") => Name::Type,
        _ => return None,
    }))
}

/// `_reconstruct(ndarray, (0,), 'b')`, an empty array; `dtype('u1', 0, 1)`; or
/// `scalar(dtype('i8', 0, 1), bytes)`.
pub(super) fn call<'a>(
    values: &[Value<'a>],
    function: Id,
    arguments: &[Id],
) -> Result<Value<'a>, Refusal> {
    let unknown = || Refusal::Damaged("a call that no data set needs");
    let Value::Own(Object::Name(name)) = values[function] else {
        return Err(unknown());
    };
    let argument = |at: usize| arguments.get(at).map(|&id| &values[id]);
    Ok(match (name, argument(0), argument(1)) {
        (Name::Reconstruct, Some(Value::Own(Object::Name(Name::Array))), _) => {
            Value::Own(Object::Array(None))
        }
        (Name::Type, Some(Value::Bytes(name)), _) => {
            let element = Element::named(name).ok_or_else(|| {
                let name = String::from_utf8_lossy(name);
                Refusal::Other(format!("an array of type {name}, which no data set has"))
            })?;
            Value::Own(Object::Type(element))
        }
        (Name::Scalar, Some(Value::Own(Object::Type(Element::I8))), Some(Value::Bytes(bytes))) => {
            let bytes = <[u8; 8]>::try_from(*bytes);
            let bytes = bytes.map_err(|_| Refusal::Damaged("an integer of another size"))?;
            Value::Integer(i64::from_le_bytes(bytes))
        }
        _ => return Err(unknown()),
    })
}

/// Gives an array its content, or a type its order of bytes, `(version, order, ...)`.
pub(super) fn build<'a>(
    values: &[Value<'a>],
    object: Id,
    state: Id,
) -> Result<Option<Value<'a>>, Refusal> {
    match &values[object] {
        Value::Own(Object::Type(_)) => match tuple(values, state) {
            Some(&[_, order, ..]) => match values[order] {
                Value::Bytes(b"|" | b"<") => Ok(None),
                _ => Err(Refusal::Other(
                    "an array whose numbers are not in little-endian order".to_owned(),
                )),
            },
            _ => Err(Refusal::Damaged("a type without an order of bytes")),
        },
        Value::Own(Object::Array(_)) => {
            let array = content(values, state)?;
            Ok(Some(Value::Own(Object::Array(Some(array)))))
        }
        _ => Err(Refusal::Damaged("content for what is no array")),
    }
}

pub(super) fn integer(values: &[Value<'_>], id: Id) -> Option<i64> {
    match values[id] {
        Value::Integer(integer) => Some(integer),
        _ => None,
    }
}

fn tuple<'v>(values: &'v [Value<'_>], id: Id) -> Option<&'v [Id]> {
    match &values[id] {
        Value::Tuple(items) => Some(items),
        _ => None,
    }
}

/// `(version, shape, dtype, False, content)`; true if columns came first.
fn content<'a>(values: &[Value<'a>], state: Id) -> Result<Array<'a>, Refusal> {
    let unknown = || Refusal::Damaged("an array of another kind");
    let Some(&[_, shape, element, columns_first, content]) = tuple(values, state) else {
        return Err(unknown());
    };
    let (&Value::Own(Object::Type(element)), Value::Bool(false)) =
        (&values[element], &values[columns_first])
    else {
        return Err(unknown());
    };
    let length = |&id| usize::try_from(integer(values, id)?).ok();
    let lengths = tuple(values, shape).ok_or_else(unknown)?;
    if lengths.len() > MOST_DIMENSIONS {
        return Err(unknown());
    }
    let shape: Option<Vec<usize>> = lengths.iter().map(length).collect();
    let shape = shape.ok_or_else(unknown)?;
    let count = shape
        .iter()
        .try_fold(1, |product: usize, &length| product.checked_mul(length));

    let (content, size, found) = match (&values[content], element.bytes()) {
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
        return Err(Refusal::Other(format!(
            "{found} {what} for an array of {}",
            shape.join(" x ")
        )));
    }
    Ok(Array { shape, content })
}
