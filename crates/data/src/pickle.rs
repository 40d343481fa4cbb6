//! The part of Python's pickle format that data sets are written in: CIFAR-10's batches by Python 2,
//! numpy's arrays of objects by Python 3.
//!
//! A pickle is a program for a small stack machine. Real unpickling calls whatever the program
//! names; here the four names that numpy's arrays need are known, as data, and any other is an
//! error. Values refer to each other by index, so that nesting takes no stack and a value that many
//! others share no memory: the crate serde-pickle 1.2 overflows the stack on 500 kB of nested tuples.

mod array;
mod machine;

use machine::Machine;

/// The most values that are read. A batch of 10,000 images builds a few more than 20,000.
const MOST_VALUES: usize = 1 << 16;

/// The index of a value.
pub(crate) type Id = usize;

#[derive(Debug)]
enum Value<'a> {
    /// A text too, in UTF-8: Python 2 made no difference.
    Bytes(&'a [u8]),
    Integer(i64),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dictionary(Vec<(Id, Id)>),
    Name(Name),
    /// numpy's type of an array's elements.
    Type(Element),
    /// numpy's array, empty until its content follows.
    Array(Option<Array<'a>>),
    False,
    /// None or true.
    Other,
}

/// The names that data sets refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
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

/// What a pickle builds.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
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

    /// The value that the pickle is of.
    pub fn root(&self) -> Id {
        self.root
    }

    /// The integer that a value is.
    pub fn integer(&self, id: Id) -> Option<i64> {
        integer(&self.values, id)
    }

    /// The array that a value is.
    pub fn array(&self, id: Id) -> Option<&Array<'a>> {
        match &self.values[id] {
            Value::Array(array) => array.as_ref(),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn list(&self, id: Id) -> Option<&[Id]> {
        match &self.values[id] {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The integers of a list.
    pub fn integers(&self, id: Id) -> Option<Vec<i64>> {
        let integers = self
            .list(id)?
            .iter()
            .map(|&item| integer(&self.values, item));
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
        assert!(found.contains("a call that no data set needs"), "{found}");
        let found = error(b"\x80\x04\x8c\x05posix\x8c\x06system\x93.");
        assert!(found.contains("posix.system"), "{found}");
        let found = error(b"\x80\x05.");
        assert!(found.contains("protocol 5"), "{found}");
        // By the opcodes of classes and of extensions.
        for bytes in [
            b"(iposix\nsystem\n.".as_slice(),
            b"cnumpy\nndarray\n)\x81.",
            b"\x80\x02\x82\x01.",
        ] {
            assert!(error(bytes).contains("instruction"), "{}", error(bytes));
        }
    }

    #[test]
    fn python_3_writes_the_same_values_by_other_opcodes() {
        // {'a': [1, 258, -2], 'b': None} of protocol 4, the list once more by its number in the
        // memo, and the bytes of b'ab' and of a long text.
        let bytes = b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01M\x02\x01J\xfe\xff\xff\xffeX\x01\x00\x00\x00bh\x02C\x02ab\x94B\x01\x00\x00\x00cu.";
        let pickle = Pickle::read(bytes).unwrap();
        for key in [b"a", b"b"] {
            let list = pickle.entry(key).unwrap();
            assert_eq!(pickle.integers(list).unwrap(), [1, 258, -2]);
        }
        let text = pickle.entry(b"ab").unwrap();
        assert!(matches!(pickle.values[text], Value::Bytes(b"c")));
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
            b"\x80\x04\x95\x02.",
            b"K\x01K\x02\x93.",
            b"cnumpy.core.multiarray\nscalar\nK\x01K\x02\x86R.",
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
