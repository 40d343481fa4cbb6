use super::*;
use crate::testing::{Entry, TestFile, archive, floats, refusal, row, state_dict};

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
        (row("a", "0", 5), "cut off in storage 0"),
        (row("a", "0", i32::MAX), "cut off in storage 0"),
        (row("a", "0", -1), "storage is described wrongly"),
        (
            Entry {
                offset: 1,
                ..row("a", "0", 4)
            },
            "cannot hold",
        ),
        (
            Entry {
                offset: -1,
                ..row("a", "0", 4)
            },
            "tensor is described wrongly",
        ),
        (shaped(&[50_000, 50_000], &[50_000, 1]), "cannot hold"),
        (
            shaped(&[i32::MAX, i32::MAX, i32::MAX], &[1, 1, 1]),
            "cannot hold",
        ),
        (shaped(&[2, 2], &[1, 2]), "save its `.contiguous()`"),
        (shaped(&[4], &[0]), "save its `.contiguous()`"),
        (shaped(&[1; 9], &[1; 9]), "tensor is described wrongly"),
    ] {
        let found = refusal(&one(entry, &storage));
        assert!(found.contains(words), "{found}");
    }
    let lost = archive(&[("data.pkl", &state_dict(&[row("a", "7", 1)]))], 0);
    assert!(refusal(&lost).contains("storage 7 is missing"));
}

#[test]
fn what_no_archive_of_pytorch_has_is_refused() {
    let pickle = state_dict(&[row("a", "0", 1)]);
    let storage = floats(&[1.0]);
    let entries: [(&str, &[u8]); 2] = [("data.pkl", &pickle), ("data/0", &storage)];
    assert!(refusal(&archive(&entries, 8)).contains("compressed"));
    let twice = [entries[0], entries[1], entries[1]];
    assert!(refusal(&archive(&twice, 0)).contains("two entries data/0"));
    let ambiguous = [entries[0], ("other/data.pkl", &pickle), entries[1]];
    assert!(refusal(&archive(&ambiguous, 0)).contains("this one has 2"));
    assert!(refusal(&archive(&entries[1..], 0)).contains("this one has 0"));
    let big_endian = [entries[0], entries[1], ("byteorder", b"big")];
    assert!(refusal(&archive(&big_endian, 0)).contains("most significant byte first"));
    let twice = state_dict(&[row("a", "0", 1), row("a", "0", 1)]);
    let twice = archive(&[("data.pkl", &twice), entries[1]], 0);
    assert!(refusal(&twice).contains("a stands in its state dictionary twice"));
}

/// Puts state dictionaries under names, as checkpoints do.
fn wrapped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}(X\x04\x00\x00\x00stepK\x05".to_vec();
    for (name, part) in parts {
        pickle.extend(
            [
                b"X".as_slice(),
                &(name.len() as u32).to_le_bytes(),
                name.as_bytes(),
            ]
            .concat(),
        );
        pickle.extend(&part[..part.len() - 1]);
    }
    pickle.extend(b"u.");
    let storage = floats(&[1.0]);
    archive(&[("data.pkl", &pickle), ("data/0", &storage)], 0)
}

#[test]
fn the_network_is_found_in_a_checkpoint() {
    let (network, average) = (
        state_dict(&[row("a", "0", 1)]),
        state_dict(&[row("b", "0", 1)]),
    );
    let named = |bytes: &[u8]| {
        let file = TestFile::new(bytes);
        let names: Vec<_> = file.open().unwrap().tensors.into_keys().collect();
        names
    };
    assert_eq!(named(&wrapped(&[("network", &network)])), ["a"]);
    let both = wrapped(&[("average", &average), ("model_state_dict", &network)]);
    assert_eq!(named(&both), ["a"]);
    let both = wrapped(&[("average", &average), ("network", &network)]);
    assert!(refusal(&both).contains("several state dictionaries (average, network)"));
    assert!(refusal(&wrapped(&[])).contains("it holds no tensors"));
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
    assert!(refusal(&safetensors(header, 13)).contains("13 follow"));
    let huge = header.replace("[2]", "[9000000000000000000,9]");
    assert!(refusal(&safetensors(&huge, 12)).contains("header"));
    let mut huge = bytes;
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(&huge).contains("claims to have"));
    let complex = header.replace("I64", "C64");
    assert!(refusal(&safetensors(&complex, 12)).contains("not supported"));
}
