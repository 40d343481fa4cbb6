//! The pickles that PyTorch's state dictionaries are written in. The few names that they need are
//! known, as data.

mod objects;

use adadiff_pickle::{PickleError, Value as PickleValue};

use objects::Torch;
pub(crate) use objects::{Object, Storage, Tensor};

/// What a pickle builds.
pub(crate) type Pickle<'a> = adadiff_pickle::Pickle<'a, Object<'a>>;

/// A value that a pickle builds.
pub(crate) type Value<'a> = PickleValue<'a, Object<'a>>;

/// Reads the pickle at the start of `bytes`; an error says what is wrong with it.
pub(crate) fn read(bytes: &[u8]) -> Result<Pickle<'_>, String> {
    Pickle::read::<Torch>(bytes).map_err(complaint)
}

fn complaint(error: PickleError) -> String {
    match error {
        PickleError::CutOff => "its pickle is cut off".to_owned(),
        PickleError::Instruction { opcode, at } => format!(
            "its pickle has the instruction {opcode:#04x} at byte {at}, which no state dictionary \
             needs"
        ),
        PickleError::Protocol(version) => format!(
            "its pickle has protocol {version}; save it with `pickle_protocol=2`, PyTorch's default"
        ),
        PickleError::TooManyValues(most) => {
            format!("its pickle builds more values than any state dictionary ({most})")
        }
        PickleError::Name { module, name } => format!(
            "it asks for {module}.{name}, and nothing in a weight file is run here; save the \
             network's `state_dict()`, which holds tensors alone"
        ),
        PickleError::Damaged { at, what } => {
            format!("its pickle is damaged before byte {at}: {what}")
        }
        PickleError::Other(what) => what,
    }
}

#[cfg(test)]
mod tests {
    use adadiff_pickle::Dialect;

    use super::*;

    fn error(bytes: &[u8]) -> String {
        read(bytes).unwrap_err()
    }

    #[test]
    fn a_dictionary_is_read() {
        // {'a': (1, -2, True), 'b': [None, 2.0]}
        let bytes =
            b"\x80\x02}(X\x01\x00\x00\x00aK\x01J\xfe\xff\xff\xff\x88\x87X\x01\x00\x00\x00b](\
            NG\x40\x00\x00\x00\x00\x00\x00\x00eu.rest";
        let pickle = read(bytes).unwrap();
        assert_eq!(pickle.length(), bytes.len() - 4);
        let Value::Dictionary(entries) = pickle.get(pickle.root()) else {
            panic!("{pickle:?}")
        };
        assert_eq!(pickle.get(entries[0].0).text(), Some("a"));
        let Value::Tuple(items) = pickle.get(entries[0].1) else {
            panic!()
        };
        assert!(matches!(pickle.get(items[1]), Value::Integer(-2)));
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
        let found = error(&[name, b"]\x85R."].concat());
        assert!(found.contains("state dictionary"), "{found}");
        for arguments in [b"K\x01R.".as_slice(), b"NR."] {
            let found = error(&[name, arguments].concat());
            assert!(found.contains("a call without arguments"), "{found}");
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
            let found = read(bytes);
            assert!(found.is_err(), "{bytes:?}: {found:?}");
        }
    }

    #[test]
    fn values_are_limited_and_nesting_is_not_deep_on_the_stack() {
        let mut nested = vec![b')'];
        nested.extend(std::iter::repeat_n(0x85, 500_000));
        nested.push(b'.');
        drop(read(&nested).unwrap());
        let many = vec![b'N'; Torch::MOST_VALUES + 1];
        assert!(error(&many).contains("more values"), "{}", error(&many));
    }
}
