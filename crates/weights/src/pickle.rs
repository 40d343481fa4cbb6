//! The part of Python's pickle format that PyTorch's state dictionaries are written in.
//!
//! A pickle is a program for a small stack machine. Real unpickling calls whatever the program
//! names; here only the few names that a state dictionary needs are known, as data, and any other
//! is an error.

mod machine;
mod objects;

use burn::tensor::DType;

/// The most values that are read. The state dictionary of a thousand tensors builds 20,000.
const MOST_VALUES: usize = 1 << 20;

/// The most axes of a tensor. Networks have convolutions in space and time with five.
const MOST_AXES: usize = 8;

/// The index of a value. Values refer to each other by index, so that one that many others share, or
/// a chain of any length, costs no more than it takes in the file.
pub(crate) type Id = usize;

/// A value that a pickle builds.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Text(&'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
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

/// What a pickle builds.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
    length: usize,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle at the start of `bytes`.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        machine::Machine::new(bytes).run()
    }

    /// The value that the pickle is of.
    pub(crate) fn root(&self) -> &Value<'a> {
        &self.values[self.root]
    }

    /// The value of an index found in another value.
    pub(crate) fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id]
    }

    /// All values, also those that the root does not hold.
    pub(crate) fn values(&self) -> &[Value<'a>] {
        &self.values
    }

    /// The pickle's length in bytes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(bytes: &[u8]) -> String {
        Pickle::read(bytes).unwrap_err()
    }

    #[test]
    fn a_dictionary_is_read() {
        // {'a': (1, -2, True), 'b': [None, 2.0]}
        let bytes =
            b"\x80\x02}(X\x01\x00\x00\x00aK\x01J\xfe\xff\xff\xff\x88\x87X\x01\x00\x00\x00b](\
            NG\x40\x00\x00\x00\x00\x00\x00\x00eu.rest";
        let pickle = Pickle::read(bytes).unwrap();
        assert_eq!(pickle.length(), bytes.len() - 4);
        let Value::Dict(entries) = pickle.root() else {
            panic!("{:?}", pickle.root())
        };
        assert!(matches!(pickle.get(entries[0].0), Value::Text("a")));
        let Value::Tuple(items) = pickle.get(entries[0].1) else {
            panic!()
        };
        assert!(matches!(pickle.get(items[1]), Value::Int(-2)));
        assert!(matches!(pickle.get(entries[1].1), Value::List(items) if items.len() == 2));
    }

    #[test]
    fn code_is_not_called() {
        let found = error(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.");
        assert!(found.contains("posix.system"), "{found}");
        let found = error(b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.");
        assert!(found.contains("builtins.eval"), "{found}");
        let found = error(b"\x80\x04.");
        assert!(found.contains("protocol 4"), "{found}");
        // By the opcodes of later protocols and of classes.
        for bytes in [
            b"\x8c\x05posix\x8c\x06system\x93.".as_slice(),
            b"(iposix\nsystem\n.",
            b"ccollections\nOrderedDict\n)\x81.",
            b"\x80\x02\x82\x01.",
        ] {
            assert!(error(bytes).contains("instruction"), "{}", error(bytes));
        }
    }

    #[test]
    fn what_a_known_name_is_called_with_is_checked() {
        let name = b"ccollections\nOrderedDict\n".as_slice();
        for arguments in [b"]\x85R.".as_slice(), b"K\x01R.", b"NR."] {
            let found = error(&[name, arguments].concat());
            assert!(found.contains("state dictionary"), "{found}");
        }
        let found = error(b"ctorch._utils\n_rebuild_tensor_v2\n)R.");
        assert!(found.contains("tensor"), "{found}");
    }

    #[test]
    fn damage_is_noticed() {
        for bytes in [
            b"".as_slice(),
            b"\x80",
            b"\x80\x05.",
            b".",
            b"K",
            b"K\x01",
            b"h\x00.",
            b"t.",
            b"(K\x01\x85",
            b"K\x01(\x85.",
            b"X\xff\xff\xff\xffabc.",
            b"X\x02\x00\x00\x00\xff\xfe.",
            b"}(K\x01u.",
            b"K\x01K\x02a.",
            b"\x8a\x09123456789.",
        ] {
            let found = Pickle::read(bytes);
            assert!(found.is_err(), "{bytes:?}: {found:?}");
        }
    }

    #[test]
    fn values_are_limited_and_nesting_is_not_deep_on_the_stack() {
        let mut nested = vec![b')'];
        nested.extend(std::iter::repeat_n(0x85, 500_000));
        nested.push(b'.');
        drop(Pickle::read(&nested).unwrap());
        let many = vec![b'N'; MOST_VALUES + 1];
        assert!(error(&many).contains("more values"), "{}", error(&many));
    }
}
