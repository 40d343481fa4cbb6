//! The part of Python's pickle format that CIFAR-10's batches are written in.
//!
//! A pickle is a program for a small stack machine. Real unpickling calls whatever the program
//! names; here the three names that an array of bytes needs are known, as data, and any other is an
//! error. Values refer to each other by index, so that nesting takes no stack and a value that many
//! others share no memory: the crate serde-pickle 1.2 overflows the stack on 500 kB of nested tuples.

mod array;
mod machine;

use machine::Machine;

/// The most values that are read. A batch of 10,000 images builds a few more than 20,000.
const MOST_VALUES: usize = 1 << 16;

/// The index of a value.
pub(super) type Id = usize;

#[derive(Debug)]
enum Value<'a> {
    /// A text too: Python 2 made no difference.
    Bytes(&'a [u8]),
    Integer(i64),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dictionary(Vec<(Id, Id)>),
    Name(Name),
    /// numpy's type of one unsigned byte.
    ByteType,
    /// numpy's array, empty until its content follows.
    Array(Option<Array<'a>>),
    False,
    /// None or true.
    Other,
}

/// The names that a batch refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Reconstruct,
    Array,
    Type,
}

/// An array of bytes in rows.
#[derive(Debug)]
pub(super) struct Array<'a> {
    /// Rows and bytes of a row.
    pub shape: [usize; 2],
    pub bytes: &'a [u8],
}

/// What a pickle builds.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle at the start of `bytes`; an error says what was found instead.
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        Machine::new(bytes).run()
    }

    /// The value of a key of the dictionary that the pickle is of.
    pub fn entry(&self, key: &[u8]) -> Option<Id> {
        let Value::Dictionary(entries) = &self.values[self.root] else {
            return None;
        };
        let is_key = |id: Id| matches!(self.values[id], Value::Bytes(bytes) if bytes == key);
        entries
            .iter()
            .rev()
            .find(|entry| is_key(entry.0))
            .map(|entry| entry.1)
    }

    /// The array that a value is.
    pub fn array(&self, id: Id) -> Option<&Array<'a>> {
        match &self.values[id] {
            Value::Array(array) => array.as_ref(),
            _ => None,
        }
    }

    /// The integers of a list.
    pub fn integers(&self, id: Id) -> Option<Vec<i64>> {
        let Value::List(items) = &self.values[id] else {
            return None;
        };
        let integers = items.iter().map(|&item| integer(&self.values, item));
        integers.collect()
    }
}

fn integer(values: &[Value], id: Id) -> Option<i64> {
    match values[id] {
        Value::Integer(integer) => Some(integer),
        _ => None,
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
        // {'a': [1, 258, -2], 'b': None, 'a': []}
        let bytes = b"\x80\x02}(U\x01aq\x01](K\x01M\x02\x01J\xfe\xff\xff\xffeU\x01bNu.rest";
        let pickle = Pickle::read(bytes).unwrap();
        let list = pickle.entry(b"a").unwrap();
        assert_eq!(pickle.integers(list).unwrap(), [1, 258, -2]);
        assert!(pickle.integers(pickle.entry(b"b").unwrap()).is_none());
        assert!(pickle.entry(b"c").is_none());
    }

    #[test]
    fn code_is_not_called() {
        let found = error(b"\x80\x02cposix\nsystem\nU\x04true\x85R.");
        assert!(found.contains("posix.system"), "{found}");
        let found = error(b"cnumpy\nndarray\nK\x01\x85R.");
        assert!(found.contains("a call that no batch needs"), "{found}");
        let found = error(b"\x80\x04.");
        assert!(found.contains("protocol 4"), "{found}");
        // By the opcodes of later protocols and of classes.
        for bytes in [
            b"\x8c\x05posix\x8c\x06system\x93.".as_slice(),
            b"(iposix\nsystem\n.",
            b"cnumpy\nndarray\n)\x81.",
            b"\x80\x02\x82\x01.",
        ] {
            assert!(error(bytes).contains("instruction"), "{}", error(bytes));
        }
    }

    #[test]
    fn damage_is_noticed() {
        for bytes in [
            b"".as_slice(),
            b"\x80",
            b".",
            b"K",
            b"K\x01",
            b"h\x00.",
            b"t.",
            b"(K\x01\x85",
            b"K\x01(\x85.",
            b"T\xff\xff\xff\xffabc.",
            b"}(K\x01u.",
            b"K\x01K\x02a.",
            b"K\x01K\x02b.",
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n\x85R)b.",
            b"cnumpy\ndtype\nNR.",
        ] {
            let found = Pickle::read(bytes);
            assert!(found.is_err(), "{bytes:?}: {found:?}");
        }
    }

    #[test]
    fn values_are_limited_and_nesting_is_not_deep_on_the_stack() {
        let mut nested = vec![b')'];
        nested.extend(std::iter::repeat_n(0x85, MOST_VALUES - 1));
        nested.push(b'.');
        drop(Pickle::read(&nested).unwrap());
        let many = vec![b'N'; MOST_VALUES + 1];
        assert!(error(&many).contains("more than 65536 values"));
    }
}
