//! The pickles that data sets are written in: CIFAR-10's batches by Python 2, numpy's arrays of
//! objects by Python 3. The four names that numpy's arrays need are known, as data.

//!
//! A pickle is a program for a small stack machine. Real unpickling calls whatever the program
//! names. Here any other name is an error, and so is any instruction that makes classes or
//! extensions. Values refer to each other by index, so that nesting takes no stack and a value that
//! many others share no memory.

mod array;
mod error;
mod machine;

use std::ops::RangeInclusive;

use array::Object;
pub(crate) use array::{Array, Content, Element};
use error::PickleError;
use machine::Machine;

/// The index of a value.
pub(crate) type Id = usize;

/// The most values that are read. A batch of 10,000 images builds a few more than 20,000.
const MOST_VALUES: usize = 1 << 16;

/// The versions of the format that data sets have.
const PROTOCOLS: RangeInclusive<u32> = 2..=4;

/// A value that a pickle builds.
#[derive(Debug)]
enum Value<'a> {
    None,
    Bool(bool),
    Integer(i64),
    /// A floating-point number, which nobody asks for.
    Float,
    /// Bytes, or a text.
    Bytes(&'a [u8]),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// The entries in the order in which they were set.
    Dictionary(Vec<(Id, Id)>),
    /// What is numpy's.
    Own(Object<'a>),
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
        Machine::new(bytes).run().map_err(|error| found(&error))
    }

    /// The value of a key of the dictionary that the pickle is of.
    pub fn entry(&self, key: &[u8]) -> Option<Id> {
        let Value::Dictionary(entries) = &self.values[self.root] else {
            return None;
        };
        let is_key = |id: Id| matches!(&self.values[id], Value::Bytes(bytes) if *bytes == key);
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
        array::integer(&self.values, id)
    }

    /// The array that a value is.
    pub fn array(&self, id: Id) -> Option<&Array<'a>> {
        match &self.values[id] {
            Value::Own(Object::Array(array)) => array.as_ref(),
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
        let items = self.list(id)?.iter();
        items.map(|&item| self.integer(item)).collect()
    }
}

/// What was found in place of a data set's pickle.
fn found(error: &PickleError) -> String {
    match error {
        PickleError::Instruction { .. } => format!("{error}, which no data set needs"),
        PickleError::Protocol(_) => format!("{error} where data sets have 2 to 4"),
        PickleError::Name { .. } => format!("{error}, and nothing in a file is run here"),
        _ => error.to_string(),
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
    fn every_kind_of_value_is_read() {
        // ('a', -2, True, 2.0, [None, 2])
        let bytes =
            b"\x80\x02(X\x01\x00\x00\x00aJ\xfe\xff\xff\xff\x88G\x40\x00\x00\x00\x00\x00\x00\x00\
            ](NK\x02et.";
        let pickle = Pickle::read(bytes).unwrap();
        let Value::Tuple(items) = &pickle.values[pickle.root()] else {
            panic!("{pickle:?}")
        };
        let value = |item: usize| &pickle.values[items[item]];
        assert!(matches!(value(0), Value::Bytes(b"a")));
        assert!(matches!(value(1), Value::Integer(-2)));
        assert!(matches!(value(2), Value::Bool(true)));
        assert!(matches!(value(3), Value::Float));
        assert!(matches!(value(4), Value::List(list) if list.len() == 2));
    }

    #[test]
    fn both_notations_of_names_and_memos_give_the_same() {
        for bytes in [
            b"\x80\x02cnumpy\ndtype\nq\x00U\x02f4q\x01\x85R.".as_slice(),
            b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00\x8c\x05numpy\x8c\x05dtype\x93\x94\x8c\x02f4\
                \x94\x85R.",
        ] {
            let pickle = Pickle::read(bytes).unwrap();
            let found = &pickle.values[pickle.root()];
            assert!(
                matches!(found, Value::Own(Object::Type(Element::F4))),
                "{found:?}"
            );
        }
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
            b"K\x01Q.",
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
            b"K\x01)R.",
            b"\x8a\x09123456789.",
            b"cnumpy\nndarray",
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
