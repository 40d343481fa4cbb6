//! Tests of the preparation: what lies in the folder after any interruption.

use std::fs;
use std::io;
use std::path::Path;

use super::testing::*;
use super::*;

const HEADERS: [fn(usize) -> LatentHeader; 3] = [header, class_header, text_header];

fn resume(folder: &Path, header: &LatentHeader, per_shard: usize) -> LatentError {
    LatentWriter::create_or_resume(folder, header.clone(), per_shard).unwrap_err()
}

#[test]
fn a_killed_preparation_ends_as_one_that_was_not() {
    for header in HEADERS.map(|header| header(20)) {
        let root = tempfile::tempdir().unwrap();
        let whole = root.path().join("whole");
        prepare(&whole, &header, 4).unwrap();
        for killed_at in 0..=20 {
            let folder = root.path().join(format!("killed at {killed_at}"));
            let create = || LatentWriter::create_or_resume(&folder, header.clone(), 4).unwrap();
            let mut writer = create();
            for image in 0..killed_at {
                assert_eq!(writer.next_image(), image);
                prepare_next(&mut writer, &header).unwrap();
            }
            drop(writer);
            // What a kill leaves while a shard or an index is written, and before the index has a
            // shard that is.
            let good = (0..killed_at).filter(|&image| !is_bad(image)).count();
            let shards = good / 4;
            let next = format!("shard-{shards:05}.safetensors");
            fs::write(folder.join(format!("{next}.unfinished")), b"half of").unwrap();
            fs::write(folder.join("index.json.unfinished"), b"{").unwrap();
            fs::write(folder.join(next), b"not in the index").unwrap();

            let writer = create();
            // Skipped images after the last shard are met again.
            let mut images = (0..20).filter(|&image| !is_bad(image));
            let expected = if shards == 0 {
                0
            } else {
                images.nth(4 * shards - 1).unwrap() + 1
            };
            assert_eq!(writer.next_image(), expected, "killed at {killed_at}");
            drop(writer);
            prepare(&folder, &header, 4).unwrap();
            assert!(
                contents(&folder) == contents(&whole),
                "killed at {killed_at}"
            );
        }
    }
}

#[test]
fn a_preparation_that_is_killed_all_the_time_comes_to_its_end() {
    let root = tempfile::tempdir().unwrap();
    let header = text_header(20);
    let whole = root.path().join("whole");
    prepare(&whole, &header, 3).unwrap();
    let folder = root.path().join("killed");
    for lives in 0.. {
        assert!(lives < 20, "it makes no progress");
        let writer = LatentWriter::create_or_resume(&folder, header.clone(), 3);
        let mut writer = writer.unwrap();
        // Long enough for one shard and the bad images before its end.
        for _ in writer.next_image()..20.min(writer.next_image() + 6) {
            prepare_next(&mut writer, &header).unwrap();
        }
        if writer.next_image() == 20 {
            writer.finish(Some(&EMPTY_CONTEXT)).unwrap();
            break;
        }
    }
    assert!(contents(&folder) == contents(&whole));
}

#[test]
fn the_folder_has_the_files_of_the_format() {
    let root = tempfile::tempdir().unwrap();
    prepare(root.path(), &text_header(10), 3).unwrap();
    let contents = contents(root.path());
    let names: Vec<_> = contents.keys().map(String::as_str).collect();
    // Of ten images, three are bad.
    let expected = [
        "empty_context.safetensors",
        "index.json",
        "shard-00000.safetensors",
        "shard-00001.safetensors",
        "shard-00002.safetensors",
    ];
    assert_eq!(names, expected);
    let shard = safetensors::SafeTensors::deserialize(&contents[expected[3]]).unwrap();
    // Images 5, 6 and 7 have 3, 1 and 2 captions.
    assert_eq!(shard.tensor("moments").unwrap().shape(), [3, 4, 1, 3]);
    assert_eq!(shard.tensor("contexts").unwrap().shape(), [6, 2, 3]);
    let starts = shard.tensor("context_starts").unwrap();
    let numbers: Vec<_> = starts
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|&n| i64::from_le_bytes(n))
        .collect();
    assert_eq!(numbers, [0, 3, 4, 6]);
    let index: serde_json::Value = serde_json::from_slice(&contents["index.json"]).unwrap();
    assert_eq!(index["version"], 1);
    assert_eq!(index["complete"], true);
    assert_eq!(index["header"]["moments_storage"], "f32");
    assert_eq!(index["skipped"][2]["name"], "9.jpg");
    assert_eq!(index["shards"][2]["items"], 1);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let header = text_header(20);
    let whole = root.path().join("whole");
    prepare(&whole, &header, 4).unwrap();
    // Under each name in turn lies a device that is full: what is written there goes nowhere.
    for (file, kept) in [
        ("index.json", 0),
        ("shard-00000.safetensors", 0),
        ("shard-00001.safetensors", 1),
        ("shard-00003.safetensors", 3),
        ("empty_context.safetensors", 3),
    ] {
        let folder = root.path().join(format!("full at {file}"));
        let writer = LatentWriter::create_or_resume(&folder, header.clone(), 4).unwrap();
        let unfinished = folder.join(format!("{file}.unfinished"));
        std::os::unix::fs::symlink("/dev/full", &unfinished).unwrap();
        let outcome = prepare_rest(writer, &header);
        let error = outcome.unwrap_err();
        let LatentError::Write {
            file: named,
            source,
        } = &error
        else {
            panic!("{file}: {error}");
        };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull, "{error}");
        assert_eq!(*named, folder.join(file));
        assert!(error.to_string().contains("goes on after them"), "{error}");
        assert!(!unfinished.exists());

        let index: serde_json::Value =
            serde_json::from_slice(&contents(&folder)["index.json"]).unwrap();
        assert_eq!(index["shards"].as_array().unwrap().len(), kept, "{file}");
        prepare(&folder, &header, 4).unwrap();
        assert!(contents(&folder) == contents(&whole), "full at {file}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_disk_with_room_again_is_written_on() {
    let root = tempfile::tempdir().unwrap();
    let header = header(20);
    let [whole, folder] = ["whole", "full"].map(|name| root.path().join(name));
    prepare(&whole, &header, 4).unwrap();
    let mut writer = LatentWriter::create_or_resume(&folder, header.clone(), 4).unwrap();
    let shard = folder.join("shard-00000.safetensors.unfinished");
    let fill = || std::os::unix::fs::symlink("/dev/full", &shard).unwrap();
    while writer.next_image() < 5 {
        prepare_next(&mut writer, &header).unwrap();
    }
    // The item that completes the shard is kept, and none is taken on top of it.
    for _ in 0..2 {
        fill();
        let error = prepare_next(&mut writer, &header).unwrap_err();
        assert!(matches!(error, LatentError::Write { .. }), "{error}");
        assert_eq!(writer.next_image(), 6);
    }
    prepare_rest(writer, &header).unwrap();
    assert!(contents(&folder) == contents(&whole));
}

#[test]
fn other_latents_are_told_by_what_differs() {
    let root = tempfile::tempdir().unwrap();
    let header = text_header(20);
    let mut writer = LatentWriter::create_or_resume(root.path(), header.clone(), 4).unwrap();
    for _ in 0..8 {
        prepare_next(&mut writer, &header).unwrap();
    }
    drop(writer);
    let before = contents(root.path());
    let differs = |other: &LatentHeader, per_shard| match resume(root.path(), other, per_shard) {
        LatentError::Differs {
            field,
            found,
            expected,
            ..
        } => [field, found, expected],
        other => panic!("{other}"),
    };
    let mut other = header.clone();
    other.autoencoder_sha256 = "cc".repeat(32);
    let error = resume(root.path(), &other, 4).to_string();
    assert!(error.contains("autoencoder_sha256 \"aaaa"), "{error}");
    assert!(error.contains("not \"cccc"), "{error}");
    let mut other = header.clone();
    other.source_images = 21;
    assert_eq!(differs(&other, 4), ["source_images", "20", "21"]);
    let mut other = header.clone();
    other.context_shape = Some([2, 4]);
    assert_eq!(differs(&other, 4), ["context_shape", "[2,3]", "[2,4]"]);
    let mut other = header.clone();
    other.moments_storage = LatentStorage::F16;
    assert_eq!(
        differs(&other, 4),
        ["moments_storage", "\"f32\"", "\"f16\""]
    );
    assert_eq!(differs(&header, 5), ["items_per_shard", "4", "5"]);
    assert!(contents(root.path()) == before);

    prepare(root.path(), &header, 4).unwrap();
    let before = contents(root.path());
    assert!(matches!(
        resume(root.path(), &header, 4),
        LatentError::Finished { .. }
    ));
    assert_eq!(differs(&other, 4)[0], "moments_storage");
    assert!(contents(root.path()) == before);
}

#[test]
fn one_process_at_a_time_prepares_a_folder() {
    let root = tempfile::tempdir().unwrap();
    let writer = LatentWriter::create_or_resume(root.path(), header(5), 2).unwrap();
    assert!(matches!(
        resume(root.path(), &header(5), 2),
        LatentError::InUse { .. }
    ));
    drop(writer);
    prepare(root.path(), &header(5), 2).unwrap();
}

#[test]
fn what_a_resumption_needs_must_be_there() {
    let root = tempfile::tempdir().unwrap();
    let header = header(20);
    let mut writer = LatentWriter::create_or_resume(root.path(), header.clone(), 4).unwrap();
    for _ in 0..15 {
        prepare_next(&mut writer, &header).unwrap();
    }
    drop(writer);
    let shard = root.path().join("shard-00001.safetensors");
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[1..]).unwrap();
    assert!(matches!(
        resume(root.path(), &header, 4),
        LatentError::Size { .. }
    ));
    fs::remove_file(&shard).unwrap();
    assert!(matches!(
        resume(root.path(), &header, 4),
        LatentError::Missing { .. }
    ));
    fs::remove_file(root.path().join("index.json")).unwrap();
    let error = resume(root.path(), &header, 4).to_string();
    assert!(error.contains("index.json: is missing; copy it"), "{error}");
}

#[test]
fn an_item_must_fit_the_header() {
    let root = tempfile::tempdir().unwrap();
    let item = LatentItem {
        moments: &moments(0),
        mirrored_moments: None,
        label: None,
        contexts: &[],
    };
    let (values, context) = (moments(1), context(0, 0));
    let huge = [70_000.0; 12];
    for (header, item, expected) in [
        (
            header(3),
            LatentItem {
                moments: &values[1..],
                ..item
            },
            "11 values of moments",
        ),
        (
            header(3),
            LatentItem {
                moments: &[f32::NAN; 12],
                ..item
            },
            "moments with NaN",
        ),
        (
            header(3),
            LatentItem {
                label: Some(1),
                ..item
            },
            "Some(1) of None",
        ),
        (
            header(3),
            LatentItem {
                contexts: &context,
                ..item
            },
            "6 values of contexts",
        ),
        (
            header(3),
            LatentItem {
                mirrored_moments: Some(&values),
                ..item
            },
            "header has not",
        ),
        (class_header(3), item, "no mirrored moments"),
        (
            class_header(3),
            LatentItem {
                mirrored_moments: Some(&values),
                label: Some(10),
                ..item
            },
            "Some(10) of Some(10)",
        ),
        (text_header(3), item, "0 values of contexts of 6"),
        (
            text_header(3),
            LatentItem {
                contexts: &context[1..],
                ..item
            },
            "5 values of contexts",
        ),
        (
            text_header(3),
            LatentItem {
                contexts: &huge[..6],
                ..item
            },
            "70000, which cannot be",
        ),
        (
            LatentHeader {
                moments_storage: LatentStorage::F16,
                ..header(3)
            },
            LatentItem {
                moments: &huge,
                ..item
            },
            "moments with 70000",
        ),
    ] {
        let folder = root.path().join(expected);
        let mut writer = LatentWriter::create_or_resume(&folder, header, 2).unwrap();
        writer
            .skip("0.jpg".to_owned(), "is cut off".to_owned())
            .unwrap();
        let error = writer.push(item).unwrap_err().to_string();
        assert!(
            error.starts_with("image 1 has") && error.contains(expected),
            "{error}"
        );
        assert_eq!(writer.next_image(), 1);
    }
}

#[test]
fn a_set_ends_when_its_data_set_does() {
    let root = tempfile::tempdir().unwrap();
    let header = text_header(2);
    let create = || LatentWriter::create_or_resume(root.path(), header.clone(), 4).unwrap();
    let error = create()
        .finish(Some(&EMPTY_CONTEXT))
        .unwrap_err()
        .to_string();
    assert!(error.contains("0 of 2 images"), "{error}");
    let all = |skip| {
        let mut writer = create();
        for _ in 0..2 {
            if skip {
                writer
                    .skip("0.jpg".to_owned(), "is cut off".to_owned())
                    .unwrap()
            } else {
                prepare_next(&mut writer, &header).unwrap()
            }
        }
        writer
    };
    let error = all(true)
        .finish(Some(&EMPTY_CONTEXT))
        .unwrap_err()
        .to_string();
    assert!(error.contains("no image that can be used"), "{error}");
    for context in [None, Some(&EMPTY_CONTEXT[1..])] {
        let error = all(false).finish(context).unwrap_err().to_string();
        assert!(error.contains("values instead of 6"), "{error}");
    }
    let mut writer = all(false);
    let error = prepare_next(&mut writer, &header).unwrap_err().to_string();
    assert!(error.contains("data set of 2 images"), "{error}");
    writer.finish(Some(&EMPTY_CONTEXT)).unwrap();
}

#[test]
fn headers_that_contradict_themselves_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let tiny = || header(5);
    for (header, expected) in [
        (
            LatentHeader {
                channels: 0,
                ..tiny()
            },
            "0 x 1 x 3",
        ),
        (
            LatentHeader {
                channels: usize::MAX,
                ..tiny()
            },
            "x 1 x 3",
        ),
        (
            LatentHeader {
                width: 1 << 30,
                ..tiny()
            },
            "2 x 1 x 1073741824",
        ),
        (
            LatentHeader {
                classes: Some(0),
                ..tiny()
            },
            "0 classes",
        ),
        (
            LatentHeader {
                classes: Some(3),
                ..text_header(5)
            },
            "takes one",
        ),
        (
            LatentHeader {
                context_shape: None,
                ..text_header(5)
            },
            "but not both",
        ),
        (header(0), "no images"),
    ] {
        let folder = root.path().join("new");
        let error = resume(&folder, &header, 4).to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!folder.exists());
    }
    assert!(
        resume(root.path(), &tiny(), 0)
            .to_string()
            .contains("no items")
    );
}
