//! The pickles that data sets are written in: CIFAR-10's batches by Python 2, numpy's arrays of
//! objects by Python 3. The four names that numpy's arrays need are known, as data.

mod array;

use adadiff_pickle::{Id, PickleError, Value};

pub(crate) use array::{Array, Content, Element};
use array::{Numpy, Object};

/// What a pickle builds.
#[derive(Debug)]
pub(crate) struct Pickle<'a>(adadiff_pickle::Pickle<'a, Object<'a>>);

impl<'a> Pickle<'a> {
    /// Reads the pickle at the start of `bytes`; an error says what was found instead.
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let pickle = adadiff_pickle::Pickle::read::<Numpy>(bytes);
        Ok(Self(pickle.map_err(|error| found(&error))?))
    }

    /// The value of a key of the dictionary that the pickle is of.
    pub fn entry(&self, key: &[u8]) -> Option<Id> {
        let Value::Dictionary(entries) = self.0.get(self.0.root()) else {
            return None;
        };
        let is_key = |id: Id| matches!(self.0.get(id), Value::Bytes(bytes) if *bytes == key);
        entries
            .iter()
            .rev()
            .find(|entry| is_key(entry.0))
            .map(|entry| entry.1)
    }

    /// The value that the pickle is of.
    pub fn root(&self) -> Id {
        self.0.root()
    }

    /// The integer that a value is.
    pub fn integer(&self, id: Id) -> Option<i64> {
        array::integer(self.0.values(), id)
    }

    /// The array that a value is.
    pub fn array(&self, id: Id) -> Option<&Array<'a>> {
        match self.0.get(id) {
            Value::Own(Object::Array(array)) => array.as_ref(),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn list(&self, id: Id) -> Option<&[Id]> {
        match self.0.get(id) {
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
    use adadiff_pickle::Dialect;

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
        assert!(matches!(pickle.0.get(text), Value::Bytes(b"c")));
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
        nested.extend(std::iter::repeat_n(0x85, Numpy::MOST_VALUES - 1));
        nested.push(b'.');
        drop(Pickle::read(&nested).unwrap());
        let many = vec![b'N'; Numpy::MOST_VALUES + 1];
        assert!(error(&many).contains("more than 65536 values"));
    }
}
