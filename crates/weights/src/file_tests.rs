use super::*;
use crate::StoredType;
use crate::testing::{Entry, TestFile, archive, dictionary, floats, refusal, row, state_dict};

fn values(file: &WeightFile, name: &str) -> Vec<f32> {
    file.read(name).unwrap().into_vec().unwrap()
}

/// Two tensors in one storage and one in another.
fn sound() -> Vec<u8> {
    let pickle = state_dict(&[
        row("a", "0", 2),
        Entry {
            shape: vec![1, 2],
            strides: vec![2, 1],
            offset: 1,
            ..row("b.c", "1", 4)
        },
        Entry {
            shape: vec![],
            strides: vec![],
            offset: 3,
            ..row("d", "1", 4)
        },
    ]);
    let entries: [(&str, &[u8]); 4] = [
        ("net/data.pkl", &pickle),
        ("net/byteorder", b"little"),
        ("net/data/0", &floats(&[1.0, 2.0])),
        ("net/data/1", &floats(&[3.0, 4.0, 5.0, 6.0])),
    ];
    archive(&entries, 0)
}

#[test]
fn an_archive_holds_its_tensors() {
    let file = TestFile::new(&sound());
    let file = file.open().unwrap();
    assert_eq!(file.format(), WeightFormat::PyTorchZip);
    assert_eq!(file.tensors().len(), 3);
    assert_eq!(file.shape("b.c"), Some([1, 2].as_slice()));
    assert_eq!(values(&file, "a"), [1.0, 2.0]);
    assert_eq!(values(&file, "b.c"), [4.0, 5.0]);
    assert_eq!(values(&file, "d"), [6.0]);
    assert!(
        file.read("e")
            .unwrap_err()
            .to_string()
            .contains("no tensor e")
    );
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let bytes = sound();
    for length in 0..bytes.len() {
        refusal(&bytes[..length]);
    }
}

#[test]
fn a_file_with_any_byte_changed_is_read_or_refused() {
    let bytes = sound();
    for at in 0..bytes.len() {
        for change in [0x01, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            let file = TestFile::new(&changed);
            if let Ok(file) = file.open() {
                for name in file.tensors().keys() {
                    assert!(file.read(name).is_ok(), "byte {at}: {name}");
                }
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_a_storage_is_refused() {
    let bytes = sound();
    let position = |values: &[f32]| {
        let values = floats(values);
        let mut windows = bytes.windows(values.len());
        windows.position(|window| window == values).unwrap()
    };
    // One tensor is all of its storage, so that it can be named; two share the other storage.
    for (values, words) in [
        (&[1.0, 2.0][..], "tensor 'a'"),
        (&[3.0, 4.0, 5.0, 6.0], "entry net/data/1 is damaged"),
    ] {
        let start = position(values);
        for at in start..start + 4 * values.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                let found = refusal(&changed);
                assert!(found.contains(words), "byte {at}: {found}");
                assert!(found.contains("checksum"), "byte {at}: {found}");
            }
        }
    }
}

#[test]
fn bytes_behind_an_archive_do_not_matter() {
    for behind in [&b"\n"[..], &[0; 700]] {
        let bytes = [&sound()[..], behind].concat();
        let file = TestFile::new(&bytes);
        assert_eq!(values(&file.open().unwrap(), "b.c"), [4.0, 5.0]);
    }
}

#[test]
fn tensors_that_are_not_stored_row_by_row_are_read() {
    let storage = floats(&[1.0, 2.0, 3.0, 4.0]);
    let read = |shape: &[i32], strides: &[i32]| {
        let entry = Entry {
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            ..row("a", "0", 4)
        };
        let file = TestFile::new(&one(entry, &storage));
        values(&file.open().unwrap(), "a")
    };
    assert_eq!(read(&[2, 2], &[1, 2]), [1.0, 3.0, 2.0, 4.0]);
    assert_eq!(read(&[3], &[0]), [1.0; 3]);
}

#[test]
fn nothing_in_a_file_is_run() {
    let stored = |pickle: &[u8]| {
        let storage = floats(&[1.0]);
        archive(&[("data.pkl", pickle), ("data/0", &storage)], 0)
    };
    // In place of the state dictionary, by the opcodes of several protocols.
    for (pickle, called) in [
        (
            &b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R."[..],
            "posix.system",
        ),
        (
            b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
            "builtins.eval",
        ),
        (
            b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
            "posix.system",
        ),
    ] {
        let found = refusal(&stored(pickle));
        assert!(found.contains(called), "{found}");
    }
    for pickle in [&b"(iposix\nsystem\n."[..], b"\x80\x02\x82\x01."] {
        let found = refusal(&stored(pickle));
        assert!(found.contains("opcode"), "{found}");
    }
    // Beside it: the call is passed over like a number of steps.
    let network = state_dict(&[row("a", "0", 1)]);
    let called = b"cposix\nsystem\nX\x04\x00\x00\x00true\x85R.";
    let pickle = dictionary(&[("arguments", called), ("model", &network)]);
    let file = TestFile::new(&stored(&pickle));
    let file = file.open().unwrap();
    assert_eq!(Vec::from_iter(file.tensors().keys()), ["model.a"]);
    // With tensors in it, it would be something that cannot be read.
    let mut pickle = b"\x80\x02cposix\nsystem\n".to_vec();
    pickle.extend(&network[2..network.len() - 1]);
    pickle.extend(b"\x85R.");
    assert!(refusal(&stored(&pickle)).contains("posix.system"));
}

#[test]
fn a_small_file_cannot_ask_for_much_memory() {
    let storage = floats(&[0.0; 4]);
    for shape in [&[50_000, 50_000][..], &[4, 1 << 30], &[i32::MAX; 3]] {
        let entry = Entry {
            shape: shape.to_vec(),
            strides: vec![0; shape.len()],
            ..row("a", "0", 4)
        };
        let found = refusal(&one(entry, &storage));
        assert!(
            found.contains("bytes of memory")
                || found.contains("byte limit")
                || found.contains("overflows"),
            "{found}"
        );
    }
    let many = Entry {
        shape: vec![1 << 20],
        strides: vec![0],
        ..row("a", "0", 4)
    };
    let names = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q",
    ];
    let many = names.map(|name| Entry {
        name,
        ..many.clone()
    });
    let bytes = archive(&[("data.pkl", &state_dict(&many)), ("data/0", &storage)], 0);
    assert!(refusal(&bytes).contains("bytes of memory"));
    // An entry of a tar archive that is mostly a hole.
    let mut header = tar::Header::new_gnu();
    header.set_path("storages").unwrap();
    header.set_size(0);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::GNUSparse);
    let sparse = header.as_gnu_mut().unwrap();
    sparse.set_real_size(1 << 40);
    sparse.sparse[0].set_offset(1 << 40);
    sparse.sparse[0].set_length(0);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.resize(2048, 0);
    let found = refusal(&bytes);
    assert!(found.contains("longer than the file"), "{found}");
}

/// An archive with one tensor and the bytes of its storage.
fn one(entry: Entry, storage: &[u8]) -> Vec<u8> {
    let key = format!("data/{}", entry.key);
    archive(&[("data.pkl", &state_dict(&[entry])), (&key, storage)], 0)
}

#[test]
fn a_tensor_that_its_storage_does_not_hold_is_refused() {
    let storage = floats(&[0.0; 4]);
    let shaped = |shape: &[i32], strides: &[i32]| Entry {
        shape: shape.to_vec(),
        strides: strides.to_vec(),
        ..row("a", "0", 4)
    };
    for (entry, words) in [
        (row("a", "0", 5), "5 elements from storage '0'"),
        (row("a", "0", i32::MAX), "bytes of memory"),
        (row("a", "0", -1), "must be non-negative"),
        (
            Entry {
                offset: 1,
                ..row("a", "0", 4)
            },
            "needs 5 elements",
        ),
        (
            Entry {
                offset: -1,
                ..row("a", "0", 4)
            },
            "must be non-negative",
        ),
        (shaped(&[50_000, 50_000], &[50_000, 1]), "declares 4"),
        (
            shaped(&[i32::MAX, i32::MAX, i32::MAX], &[1, 1, 1]),
            "overflows",
        ),
        (shaped(&[2, 3], &[1, 2]), "needs 6 elements"),
        (shaped(&[1; 9], &[1; 9]), "a has 9 axes"),
    ] {
        let found = refusal(&one(entry, &storage));
        assert!(found.contains(words), "{found}");
    }
    let lost = archive(&[("data.pkl", &state_dict(&[row("a", "7", 1)]))], 0);
    assert!(refusal(&lost).contains("data/7"));
}

#[test]
fn what_no_archive_of_pytorch_has_is_refused() {
    let pickle = state_dict(&[row("a", "0", 1)]);
    let storage = floats(&[1.0]);
    let entries: [(&str, &[u8]); 2] = [("data.pkl", &pickle), ("data/0", &storage)];
    assert!(refusal(&archive(&entries, 8)).contains("compressed"));
    let twice = [entries[0], entries[1], entries[1]];
    assert!(refusal(&archive(&twice, 0)).contains("two entries of one name"));
    let ambiguous = [entries[0], ("other/data.pkl", &pickle), entries[1]];
    assert!(refusal(&archive(&ambiguous, 0)).contains("this one has 2"));
    assert!(refusal(&archive(&entries[1..], 0)).contains("this one has 0"));
    let big_endian = [entries[0], entries[1], ("byteorder", b"big")];
    assert!(refusal(&archive(&big_endian, 0)).contains("Big-endian"));
}

#[test]
fn what_is_no_weight_file_is_refused() {
    for bytes in [
        b"".as_slice(),
        b"\x80\x02}.",
        b"hello, weights!",
        &[0; 4000],
    ] {
        assert!(refusal(bytes).contains("starts neither"));
    }
    let folder = tempfile::tempdir().unwrap();
    let error = WeightFile::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("it is a folder"), "{error}");
    let error = WeightFile::open(&folder.path().join("missing")).unwrap_err();
    assert!(matches!(error, WeightError::File { .. }), "{error}");
}

fn safetensors(header: &str, values: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + values, 0x3f);
    bytes
}

#[test]
fn safetensors_are_read_whole_or_not_at_all() {
    let header = r#"{"__metadata__":{"by":"hand"},
        "a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},
        "b":{"dtype":"I64","shape":[1,1],"data_offsets":[4,12]}}"#;
    let bytes = safetensors(header, 12);
    let file = TestFile::new(&bytes);
    let file = file.open().unwrap();
    assert_eq!(file.format(), WeightFormat::Safetensors);
    assert_eq!(file.shape("b"), Some([1, 1].as_slice()));
    let data = file.read("a").unwrap().convert::<f32>();
    assert_eq!(data.into_vec::<f32>().unwrap(), [0.746_093_75; 2]);
    for length in 0..bytes.len() {
        refusal(&bytes[..length]);
    }
    assert!(refusal(&safetensors(header, 13)).contains("more follow"));
    let huge = header.replace("[2]", "[9000000000000000000,9]");
    assert!(refusal(&safetensors(&huge, 12)).contains("header"));
    let mut huge = bytes;
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(&huge).contains("claims to be longer"));
    // A type that nothing here can read is told where it is needed.
    let complex = TestFile::new(&safetensors(&header.replace("I64", "C64"), 12));
    let complex = complex.open().unwrap();
    assert_eq!(
        complex.tensors()["b"].dtype,
        StoredType::Other("C64".into())
    );
    assert!(complex.read("b").unwrap_err().to_string().contains("C64"));
    assert!(complex.read("a").is_ok());
}

#[test]
fn a_piece_of_a_network_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model-00001-of-00002.safetensors");
    std::fs::write(&path, sound()).unwrap();
    let error = WeightFile::open(&path).unwrap_err().to_string();
    assert!(error.contains("piece 1 of 2"), "{error}");
    for name in ["model-00001-of-00001.pth", "model-of-2.pth", "a-of-b.pth"] {
        let path = folder.path().join(name);
        std::fs::write(&path, sound()).unwrap();
        WeightFile::open(&path).unwrap();
    }
}
