use super::*;

/// Knows the name `fractions.Fraction`, whose calls give the first argument back.
struct Fractions;

#[derive(Debug, PartialEq)]
enum Own {
    Fraction,
    Built(Id),
}

impl<'a> Dialect<'a> for Fractions {
    type Own = Own;
    const MOST_VALUES: usize = 1 << 16;
    const PROTOCOLS: RangeInclusive<u32> = 2..=4;
    const UTF_8: bool = true;

    fn name(module: &'a [u8], name: &'a [u8]) -> Option<Own> {
        (module == b"fractions" && name == b"Fraction").then_some(Own::Fraction)
    }

    fn call(
        values: &[Value<'a, Own>],
        function: Id,
        arguments: &[Id],
    ) -> Result<Called<'a, Own>, Refusal> {
        match (&values[function], arguments) {
            (Value::Own(Own::Fraction), &[same]) => Ok(Called::Same(same)),
            (Value::Own(Own::Fraction), &[]) => Err(Refusal::Other("a ratio of nothing".into())),
            (Value::Own(Own::Fraction), _) => Ok(Called::New(Value::Float)),
            _ => Err(Refusal::Damaged("what is called is no function")),
        }
    }

    fn build(
        values: &[Value<'a, Own>],
        object: Id,
        state: Id,
    ) -> Result<Option<Value<'a, Own>>, Refusal> {
        match values[object] {
            Value::Float => Ok(Some(Value::Own(Own::Built(state)))),
            _ => Ok(None),
        }
    }
}

/// Knows nothing, and no instructions of version 4.
struct Plain;

impl<'a> Dialect<'a> for Plain {
    type Own = ();
    const MOST_VALUES: usize = 8;
    const PROTOCOLS: RangeInclusive<u32> = 2..=3;
    const UTF_8: bool = false;

    fn name(_module: &'a [u8], _name: &'a [u8]) -> Option<()> {
        None
    }

    fn call(
        _values: &[Value<'a, ()>],
        _function: Id,
        _arguments: &[Id],
    ) -> Result<Called<'a, ()>, Refusal> {
        Err(Refusal::Damaged("nothing is called here"))
    }

    fn build(
        _values: &[Value<'a, ()>],
        _object: Id,
        _state: Id,
    ) -> Result<Option<Value<'a, ()>>, Refusal> {
        Ok(None)
    }

    fn outside(
        _values: &[Value<'a, ()>],
        _reference: Id,
    ) -> Result<Option<Value<'a, ()>>, Refusal> {
        Ok(Some(Value::Float))
    }
}

fn read(bytes: &[u8]) -> Result<Pickle<'_, Own>, PickleError> {
    Pickle::read::<Fractions>(bytes)
}

fn error(bytes: &[u8]) -> PickleError {
    read(bytes).unwrap_err()
}

#[test]
fn a_dictionary_is_read() {
    // {'a': (1, -2, True), 'b': [None, 2.0]}
    let bytes = b"\x80\x02}(X\x01\x00\x00\x00aK\x01J\xfe\xff\xff\xff\x88\x87X\x01\x00\x00\x00b](\
        NG\x40\x00\x00\x00\x00\x00\x00\x00eu.rest";
    let pickle = read(bytes).unwrap();
    assert_eq!(pickle.length(), bytes.len() - 4);
    let Value::Dictionary(entries) = pickle.get(pickle.root()) else {
        panic!("{pickle:?}")
    };
    assert_eq!(pickle.get(entries[0].0).text(), Some("a"));
    let Value::Tuple(items) = pickle.get(entries[0].1) else {
        panic!("{pickle:?}")
    };
    assert!(matches!(pickle.get(items[1]), Value::Integer(-2)));
    assert!(matches!(pickle.get(items[2]), Value::Bool(true)));
    assert!(matches!(pickle.get(entries[1].1), Value::List(items) if items.len() == 2));
}

#[test]
fn both_notations_of_names_texts_and_memos_give_the_same() {
    for bytes in [
        b"\x80\x02cfractions\nFraction\nq\x00X\x01\x00\x00\x00aq\x01\x85R.".as_slice(),
        b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00\x8c\x09fractions\x8c\x08Fraction\x93\x94\
            \x8c\x01a\x94\x85R.",
        b"cfractions\nFraction\nU\x01a\x85R.",
    ] {
        let pickle = read(bytes).unwrap();
        assert_eq!(pickle.get(pickle.root()).text(), Some("a"), "{bytes:?}");
    }
    // A new value, whose state is set.
    let pickle = read(b"cfractions\nFraction\nK\x01K\x02\x86RK\x03b.").unwrap();
    assert!(
        matches!(pickle.get(pickle.root()), Value::Own(Own::Built(id)) if *id == 4 || *id == 5)
    );
}

#[test]
fn only_names_that_are_known_are_taken_and_nothing_is_called() {
    for bytes in [
        b"\x80\x02cposix\nsystem\nU\x04true\x85R.".as_slice(),
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93.",
    ] {
        let expected = PickleError::Name {
            module: "posix".into(),
            name: "system".into(),
        };
        assert_eq!(error(bytes), expected);
    }
    assert_eq!(error(b"\x80\x05."), PickleError::Protocol(5));
    assert_eq!(
        error(b"cfractions\nFraction\n)R."),
        PickleError::Other("a ratio of nothing".into())
    );
    // By the instructions of classes, of extensions and of references.
    for (bytes, opcode) in [
        (b"(iposix\nsystem\n.".as_slice(), b'i'),
        (b"cfractions\nFraction\n)\x81.", 0x81),
        (b"\x80\x02\x82\x01.", 0x82),
        (b"K\x01Q.", b'Q'),
    ] {
        let found = error(bytes);
        assert!(
            matches!(found, PickleError::Instruction { opcode: found, .. } if found == opcode),
            "{found}"
        );
    }
}

#[test]
fn a_dialect_chooses_versions_texts_and_references() {
    let plain = |bytes: &'static [u8]| Pickle::read::<Plain>(bytes);
    assert_eq!(plain(b"\x80\x04.").unwrap_err(), PickleError::Protocol(4));
    for opcode in [0x8c, 0x93, 0x94, 0x95] {
        let bytes = [opcode, b'.'];
        let found = Pickle::read::<Plain>(&bytes).unwrap_err();
        assert_eq!(found, PickleError::Instruction { opcode, at: 0 });
    }
    let text = b"X\x02\x00\x00\x00\xff\xfe.";
    assert!(matches!(error(text), PickleError::Damaged { at: 7, .. }));
    let pickle = plain(text).unwrap();
    assert!(matches!(
        pickle.get(pickle.root()),
        Value::Bytes(b"\xff\xfe")
    ));
    let pickle = plain(b"K\x01Q.").unwrap();
    assert!(matches!(pickle.get(pickle.root()), Value::Float));
    let many = plain(b"NNNNNNNNN.").unwrap_err();
    assert_eq!(many, PickleError::TooManyValues(8));
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
        b"K\x01K\x02R.",
        b"K\x01)R.",
        b"\x80\x04\x95\x02.",
        b"K\x01K\x02\x93.",
        b"\x8a\x09123456789.",
        b"cfractions\nFraction",
    ] {
        let found = read(bytes);
        assert!(found.is_err(), "{bytes:?}: {found:?}");
    }
}

#[test]
fn values_are_limited_and_nesting_is_not_deep_on_the_stack() {
    let mut nested = vec![b')'];
    nested.extend(std::iter::repeat_n(0x85, Fractions::MOST_VALUES - 1));
    nested.push(b'.');
    drop(read(&nested).unwrap());
    let many = vec![b'N'; Fractions::MOST_VALUES + 1];
    assert_eq!(error(&many), PickleError::TooManyValues(1 << 16));
}
