//! What the pickles of PyTorch know: names, storages, tensors.

use std::ops::RangeInclusive;

use adadiff_pickle::{Called, Dialect, Id, Refusal};
use burn::tensor::DType;

use super::Value;

/// The most axes of a tensor. Networks have convolutions in space and time with five.
const MOST_AXES: usize = 8;

/// The pickles of state dictionaries.
#[derive(Debug)]
pub(super) struct Torch;

/// What they have beside Python's own values.
#[derive(Debug)]
pub(crate) enum Object<'a> {
    Name(Name),
    Storage(Storage<'a>),
    Tensor(Tensor<'a>),
}

/// A name that a pickle may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(DType),
}

impl Name {
    fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "DoubleStorage") => Self::Storage(DType::F64),
            ("torch", "FloatStorage") => Self::Storage(DType::F32),
            ("torch", "HalfStorage") => Self::Storage(DType::F16),
            ("torch", "BFloat16Storage") => Self::Storage(DType::BF16),
            ("torch", "LongStorage") => Self::Storage(DType::I64),
            ("torch", "IntStorage") => Self::Storage(DType::I32),
            ("torch", "ShortStorage") => Self::Storage(DType::I16),
            ("torch", "CharStorage") => Self::Storage(DType::I8),
            ("torch", "ByteStorage") => Self::Storage(DType::U8),
            _ => return None,
        })
    }
}

/// A run of values that tensors are cut out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Storage<'a> {
    pub(crate) key: &'a str,
    pub(crate) dtype: DType,
    pub(crate) values: u64,
}

impl Storage<'_> {
    /// Its size; `None` where it is beyond all files.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.values.checked_mul(self.dtype.size() as u64)
    }
}

/// A part of a storage, in a shape. Offset and strides count values.
#[derive(Debug)]
pub(crate) struct Tensor<'a> {
    pub(crate) storage: Storage<'a>,
    pub(crate) offset: u64,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

impl<'a> Dialect<'a> for Torch {
    type Own = Object<'a>;

    /// The state dictionary of a thousand tensors builds 20,000.
    const MOST_VALUES: usize = 1 << 20;

    const PROTOCOLS: RangeInclusive<u32> = 2..=3;

    const UTF_8: bool = true;

    fn name(module: &'a [u8], name: &'a [u8]) -> Option<Object<'a>> {
        let (module, name) = (str::from_utf8(module).ok()?, str::from_utf8(name).ok()?);
        Name::find(module, name).map(Object::Name)
    }

    fn call(
        values: &[Value<'a>],
        function: Id,
        arguments: &[Id],
    ) -> Result<Called<'a, Object<'a>>, Refusal> {
        let unknown = Refusal::Damaged("something that no state dictionary needs is called");
        let wrong = Refusal::Damaged("a tensor is described wrongly");
        let Value::Own(Object::Name(name)) = &values[function] else {
            return Err(unknown);
        };
        match (name, arguments) {
            (Name::OrderedDict, []) => Ok(Called::New(Value::Dictionary(Vec::new()))),
            (
                Name::RebuildTensor,
                &[storage, offset, shape, strides, _gradient, ref _hooks @ ..],
            ) => {
                let tensor = tensor_of(values, storage, offset, shape, strides);
                let tensor = tensor.ok_or(wrong)?;
                Ok(Called::New(Value::Own(Object::Tensor(tensor))))
            }
            (Name::RebuildParameter, &[tensor, ..])
                if matches!(values[tensor], Value::Own(Object::Tensor(_))) =>
            {
                Ok(Called::Same(tensor))
            }
            (Name::RebuildTensor | Name::RebuildParameter, _) => Err(wrong),
            _ => Err(unknown),
        }
    }

    /// What Python sets on an object after building it; PyTorch sets a state dictionary's version.
    fn build(values: &[Value<'a>], object: Id, _state: Id) -> Result<Option<Value<'a>>, Refusal> {
        match values[object] {
            Value::Dictionary(_) => Ok(None),
            _ => Err(Refusal::Damaged(
                "attributes are set on what is no state dictionary",
            )),
        }
    }

    /// `('storage', type, key, location, number of values[, view])`.
    fn outside(values: &[Value<'a>], reference: Id) -> Result<Option<Value<'a>>, Refusal> {
        let storage = storage_of(values, reference);
        let storage = storage.ok_or(Refusal::Damaged("a storage is described wrongly"))?;
        Ok(Some(Value::Own(Object::Storage(storage))))
    }
}

fn storage_of<'a>(values: &[Value<'a>], reference: Id) -> Option<Storage<'a>> {
    let Value::Tuple(items) = &values[reference] else {
        return None;
    };
    let &[kind, dtype, key, location, count, ref view @ ..] = items.as_slice() else {
        return None;
    };
    let no_view = view.iter().all(|&view| matches!(values[view], Value::None));
    values[location].text()?;
    match (&values[kind], &values[dtype], &values[count]) {
        (
            Value::Bytes(b"storage"),
            Value::Own(Object::Name(Name::Storage(dtype))),
            &Value::Integer(count),
        ) if no_view => Some(Storage {
            key: values[key].text()?,
            dtype: *dtype,
            values: u64::try_from(count).ok()?,
        }),
        _ => None,
    }
}

fn tensor_of<'a>(
    values: &[Value<'a>],
    storage: Id,
    offset: Id,
    shape: Id,
    strides: Id,
) -> Option<Tensor<'a>> {
    let (Value::Own(Object::Storage(storage)), &Value::Integer(offset)) =
        (&values[storage], &values[offset])
    else {
        return None;
    };
    Some(Tensor {
        storage: *storage,
        offset: u64::try_from(offset).ok()?,
        shape: sizes(values, shape)?,
        strides: sizes(values, strides)?,
    })
}

fn sizes(values: &[Value<'_>], tuple: Id) -> Option<Vec<usize>> {
    let Value::Tuple(items) = &values[tuple] else {
        return None;
    };
    // A tuple can be used any number of times, so that copies of a long one would fill the memory.
    if items.len() > MOST_AXES {
        return None;
    }
    let size = |&item: &Id| match values[item] {
        Value::Integer(size) => usize::try_from(size).ok(),
        _ => None,
    };
    items.iter().map(size).collect()
}
