//! Tests of prepared latents, as training and evaluation read them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::testing::*;
use super::*;
use crate::{
    BatchLoader, Conditioning, ImageError, Label, LoaderConfig, TrainingSet, Visit, choose_caption,
};

const VISIT: Visit = Visit {
    flip: false,
    seed: 3,
    position: 11,
};

/// The images of the first 20 that are good.
fn good() -> Vec<usize> {
    (0..20).filter(|&image| !is_bad(image)).collect()
}

fn prepared(header: LatentHeader) -> (tempfile::TempDir, Latents) {
    let root = tempfile::tempdir().unwrap();
    prepare(root.path(), &header, 4).unwrap();
    let latents = Latents::open(root.path(), Verify::Checksums).unwrap();
    (root, latents)
}

fn error(folder: &Path, verify: Verify) -> LatentError {
    Latents::open(folder, verify).err().unwrap()
}

/// The latent that moments give with the same noise as `visit`'s.
fn drawn(moments: &[f32], visit: Visit, factor: f32) -> Vec<f32> {
    let mut values = vec![0.0; 6];
    sampling::draw(moments, factor, visit, &mut values).unwrap();
    values
}

#[test]
fn what_was_written_is_read() {
    for storage in [LatentStorage::F32, LatentStorage::F16] {
        let stored = |header| LatentHeader {
            moments_storage: storage,
            contexts_storage: storage,
            ..header
        };
        let (_root, classes) = prepared(stored(class_header(20)));
        let (_root, texts) = prepared(stored(text_header(20)));
        assert_eq!((classes.len(), texts.len()), (14, 14));
        assert_eq!(classes.shape(), [2, 1, 3]);
        assert_eq!(classes.conditioning(), Conditioning::Class { classes: 10 });
        assert_eq!(
            texts.conditioning(),
            Conditioning::Text {
                tokens: 2,
                width: 3
            }
        );
        assert_eq!(texts.empty_context(), Some(EMPTY_CONTEXT.as_slice()));
        assert_eq!((classes.empty_context(), classes.contexts(3)), (None, 0));
        for (index, image) in good().into_iter().enumerate() {
            assert_eq!(classes.moments(index), moments(image));
            assert_eq!(classes.label(index), Some(image % 10));
            assert_eq!(texts.moments(index), moments(image));
            assert_eq!(
                (texts.label(index), texts.contexts(index)),
                (None, captions(image))
            );
            for caption in 0..captions(image) {
                assert_eq!(texts.context(index, caption), context(image, caption));
            }
        }
        let skipped: Vec<_> = classes.skipped().iter().map(|image| image.index).collect();
        assert_eq!(skipped, [2, 3, 9, 10, 16, 17]);
        assert_eq!(classes.skipped()[0].reason, "is cut off");
    }
}

#[test]
#[should_panic(expected = "context 1 of 1")]
fn a_context_must_be_one_of_the_image() {
    let (_root, latents) = prepared(text_header(20));
    latents.context(0, 1);
}

#[test]
fn numbers_of_16_bits_are_rounded() {
    let root = tempfile::tempdir().unwrap();
    let header = LatentHeader {
        moments_storage: LatentStorage::F16,
        ..header(1)
    };
    let mut writer = LatentWriter::create_or_resume(root.path(), header, 4).unwrap();
    let moments: Vec<_> = (1..=12).map(|at| at as f32 / 13.0).collect();
    let item = LatentItem {
        moments: &moments,
        mirrored_moments: None,
        label: None,
        contexts: &[],
    };
    writer.push(item).unwrap();
    writer.finish(None).unwrap();
    let latents = Latents::open(root.path(), Verify::Sizes).unwrap();
    for (read, written) in latents.moments(0).iter().zip(moments) {
        let error = (read - written).abs() / written;
        assert!(
            error > 0.0 && error <= 0.5f32.powi(11),
            "{read} of {written}"
        );
    }
    assert_eq!(latents.conditioning(), Conditioning::None);
    assert_eq!(latents.read(0, VISIT, &mut [0.0; 6]).unwrap(), Label::None);
}

#[test]
fn a_visit_draws_a_latent_of_the_image_or_its_mirror_image() {
    let (_root, latents) = prepared(class_header(20));
    let mut values = [0.0; 6];
    for (index, image) in good().into_iter().enumerate() {
        let label = latents.read(index, VISIT, &mut values).unwrap();
        assert_eq!(label, Label::Class(image % 10));
        assert_eq!(values, *drawn(&moments(image), VISIT, 0.18215));
        let visit = Visit {
            flip: true,
            ..VISIT
        };
        latents.read(index, visit, &mut values).unwrap();
        assert_eq!(values, *drawn(&mirrored(image), visit, 0.18215));
    }
    let latents = latents.with_scale_factor(0.5);
    latents.read(0, VISIT, &mut values).unwrap();
    assert_eq!(values, *drawn(&moments(0), VISIT, 0.5));

    // Without mirrored moments, a flip changes nothing.
    let (_root, latents) = prepared(header(20));
    latents
        .read(
            0,
            Visit {
                flip: true,
                ..VISIT
            },
            &mut values,
        )
        .unwrap();
    assert_eq!(values, *drawn(&moments(0), VISIT, 0.18215));
}

#[test]
fn many_visits_have_the_moments_of_the_image() {
    let (_root, latents) = prepared(header(20));
    let latents = latents.with_scale_factor(2.0);
    let mut values = [0.0; 6];
    let (mut sums, mut squares) = ([0.0; 6], [0.0; 6]);
    for position in 0..20_000 {
        latents
            .read(1, Visit { position, ..VISIT }, &mut values)
            .unwrap();
        for ((sum, square), &value) in sums.iter_mut().zip(&mut squares).zip(&values) {
            *sum += f64::from(value);
            *square += f64::from(value).powi(2);
        }
    }
    let moments = moments(1);
    for at in 0..6 {
        let mean = sums[at] / 20_000.0;
        let deviation = (squares[at] / 20_000.0 - mean * mean).sqrt();
        let expected = 2.0 * (0.5 * f64::from(moments[6 + at])).exp();
        // Five standard deviations of the estimates.
        let error = 5.0 * expected / 20_000f64.sqrt();
        assert!(
            (mean - 2.0 * f64::from(moments[at])).abs() < error,
            "{mean}"
        );
        assert!((deviation - expected).abs() < error, "{deviation}");
    }
}

#[test]
fn a_visit_takes_one_of_the_contexts() {
    let (_root, latents) = prepared(text_header(20));
    // Image 5 has three captions.
    let index = good().iter().position(|&image| image == 5).unwrap();
    let mut counts = [0; 3];
    for position in 0..300 {
        let visit = Visit { position, ..VISIT };
        let label = latents.read(index, visit, &mut [0.0; 6]).unwrap();
        let caption = choose_caption(VISIT.seed, position, 3).unwrap();
        assert_eq!(label, Label::Context(context(5, caption)));
        counts[caption] += 1;
    }
    assert!(counts.iter().all(|&count| count > 60), "{counts:?}");
}

#[test]
fn a_loader_reads_latents() {
    let (_root, latents) = prepared(class_header(20));
    let config = LoaderConfig {
        seed: 1,
        batch_size: 7,
        rows: 0..7,
        flip: true,
        ahead: 1,
        workers: 2,
        most_bad_images: 0,
    };
    let load = |step| {
        let latents = Latents::open(&latents_folder(&latents), Verify::Sizes).unwrap();
        let loader = BatchLoader::new(Arc::new(latents), config.clone(), step);
        loader.unwrap().next().unwrap().unwrap()
    };
    let batch = load(3);
    assert_eq!(batch, load(3));
    assert_eq!(batch.images.len(), 7 * 6);
    for (index, label) in batch.indices.iter().zip(batch.labels) {
        assert_eq!(label, Label::Class(good()[*index] % 10));
    }
}

fn latents_folder(latents: &Latents) -> std::path::PathBuf {
    let name = latents.name(0);
    let file = Path::new(name.strip_prefix("item 0 of ").unwrap());
    file.parent().unwrap().to_owned()
}

#[test]
fn latents_must_be_complete() {
    let root = tempfile::tempdir().unwrap();
    let header = header(20);
    let missing = error(root.path(), Verify::Sizes).to_string();
    assert!(missing.contains("index.json: is missing"), "{missing}");
    let mut writer = LatentWriter::create_or_resume(root.path(), header.clone(), 4).unwrap();
    for _ in 0..8 {
        prepare_next(&mut writer, &header).unwrap();
    }
    let unfinished = error(root.path(), Verify::Sizes).to_string();
    assert!(
        unfinished.contains("of the first 6 of 20 images"),
        "{unfinished}"
    );
}

#[test]
fn damage_is_found_and_named() {
    let root = tempfile::tempdir().unwrap();
    prepare(root.path(), &text_header(20), 4).unwrap();
    for name in ["shard-00002.safetensors", "empty_context.safetensors"] {
        let file = root.path().join(name);
        let bytes = fs::read(&file).unwrap();
        for length in [0, 7, 50, bytes.len() - 1] {
            fs::write(&file, &bytes[..length]).unwrap();
            let LatentError::Size { file: named, .. } = error(root.path(), Verify::Sizes) else {
                panic!("{name} of {length} bytes");
            };
            assert_eq!(named, file);
        }
        // A bit of the last number.
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        fs::write(&file, &flipped).unwrap();
        assert!(Latents::open(root.path(), Verify::Sizes).is_ok());
        let LatentError::Checksum { file: named, .. } = error(root.path(), Verify::Checksums)
        else {
            panic!("{name} with another bit");
        };
        assert_eq!(named, file);
        // A header of something else.
        let mut other = bytes.clone();
        other[8..].fill(b' ');
        fs::write(&file, &other).unwrap();
        let found = error(root.path(), Verify::Sizes);
        assert!(
            found.to_string().contains("no intact safetensors"),
            "{found}"
        );
        fs::remove_file(&file).unwrap();
        let LatentError::Missing { file: named, .. } = error(root.path(), Verify::Sizes) else {
            panic!("no {name}");
        };
        assert_eq!(named, file);
        fs::write(&file, &bytes).unwrap();
    }
    assert!(Latents::open(root.path(), Verify::Checksums).is_ok());
}

#[test]
fn a_shard_of_other_tensors_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    prepare(root.path(), &text_header(20), 4).unwrap();
    let file = root.path().join("shard-00001.safetensors");
    let bytes = fs::read(&file).unwrap();
    // Each in as many bytes as before, so that the length tells nothing.
    for (from, to, expected) in [
        ("moments", "momentz", "no tensor `moments`"),
        (
            "[4,4,1,3]",
            "[4,4,3,1]",
            "[4, 4, 3, 1] instead of F32 [4, 4, 1, 3]",
        ),
        ("\"F32\"", "\"I32\"", "of I32"),
        ("\"I64\"", "\"U64\"", "of U64"),
    ] {
        let header = String::from_utf8_lossy(&bytes);
        assert!(header.contains(from), "{from}");
        let at = bytes
            .windows(from.len())
            .position(|word| word == from.as_bytes())
            .unwrap();
        let mut other = bytes.clone();
        other[at..at + from.len()].copy_from_slice(to.as_bytes());
        fs::write(&file, other).unwrap();
        let found = error(root.path(), Verify::Sizes).to_string();
        assert!(found.contains(expected), "{found}");
    }
    // The first item's contexts would end before they begin.
    let mut other = bytes.clone();
    let starts = [0i64, 2, 1, 3].map(i64::to_le_bytes).concat();
    let at = bytes
        .windows(8)
        .position(|number| number == 0i64.to_le_bytes())
        .unwrap();
    other[at..at + 32].copy_from_slice(&starts);
    fs::write(&file, other).unwrap();
    let found = error(root.path(), Verify::Sizes).to_string();
    assert!(found.contains("without contexts"), "{found}");
}

#[test]
fn labels_are_checked() {
    let root = tempfile::tempdir().unwrap();
    prepare(root.path(), &class_header(20), 4).unwrap();
    let file = root.path().join("shard-00000.safetensors");
    let bytes = fs::read(&file).unwrap();
    let labels = [0i64, 1, 4, 5].map(i64::to_le_bytes).concat();
    let at = bytes
        .windows(32)
        .position(|numbers| numbers == labels)
        .unwrap();
    for (label, expected) in [(10i64, "label 10 of 10"), (-1, "negative")] {
        let mut other = bytes.clone();
        other[at + 8..at + 16].copy_from_slice(&label.to_le_bytes());
        fs::write(&file, other).unwrap();
        let found = error(root.path(), Verify::Sizes).to_string();
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn damage_that_no_checksum_was_asked_about_does_not_reach_a_network() {
    let root = tempfile::tempdir().unwrap();
    prepare(root.path(), &header(20), 4).unwrap();
    let file = root.path().join("shard-00000.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&file, &bytes).unwrap();
    let latents = Latents::open(root.path(), Verify::Sizes).unwrap();
    let found = latents.read(3, VISIT, &mut [0.0; 6]);
    assert!(matches!(found, Err(ImageError::NotFinite)), "{found:?}");
    assert_eq!(latents.read(2, VISIT, &mut [0.0; 6]).unwrap(), Label::None);
    let name = latents.name(3);
    assert!(
        name.starts_with("item 3 of") && name.ends_with("shard-00000.safetensors"),
        "{name}"
    );
}

#[test]
fn an_index_of_anything_else_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    prepare(root.path(), &text_header(20), 4).unwrap();
    let file = root.path().join("index.json");
    let text = fs::read_to_string(&file).unwrap();
    let found = |text: &str| {
        fs::write(&file, text).unwrap();
        error(root.path(), Verify::Sizes).to_string()
    };
    for (from, to, expected) in [
        (
            "\"version\": 1",
            "\"version\": 2",
            "has the format 2, where this program reads 1",
        ),
        ("\"complete\"", "\"finished\"", "unknown field `finished`"),
        (
            "\"channels\": 2",
            "\"channels\": 1099511627776",
            "1099511627776 x 1 x 3",
        ),
        ("\"channels\": 2", "\"channels\": -2", "invalid value"),
        ("\"items\": 4", "\"items\": 3", "shard 0 has 3 items, not 4"),
        ("\"items\": 2", "\"items\": 1", "19 images of 20"),
        (
            "\"items\": 2",
            "\"items\": 18446744073709551615",
            "items, not 4",
        ),
        ("\"index\": 3", "\"index\": 2", "in disorder"),
        ("\"index\": 17", "\"index\": 20", "in disorder"),
        (
            "\"complete\": true",
            "\"complete\": false",
            "shard 3 has 2 items",
        ),
        ("\"f16\"", "\"f8\"", "unknown variant `f8`"),
    ] {
        assert!(text.contains(from), "{from}");
        let found = found(&text.replacen(from, to, 1));
        assert!(found.contains(expected), "{from}: {found}");
        assert!(found.contains("index.json"), "{found}");
    }
    for text in [
        "",
        "{}",
        "[1]",
        "null",
        &"[".repeat(1 << 20),
        &"{\"version\":".repeat(1 << 16),
    ] {
        let found = found(text);
        assert!(found.contains("is no index of latents"), "{found}");
    }
}

#[test]
fn a_random_index_is_read_or_refused() {
    let root = tempfile::tempdir().unwrap();
    prepare(root.path(), &text_header(20), 4).unwrap();
    let file = root.path().join("index.json");
    let bytes = fs::read(&file).unwrap();
    let digits: Vec<_> = (0..bytes.len())
        .filter(|&at| bytes[at].is_ascii_digit())
        .collect();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut below = |bound: usize| random.next_u32() as usize % bound;
    let mut opened = 0;
    for round in 0..3000 {
        let mut other = bytes.clone();
        match round % 3 {
            // Other numbers, mostly still an index.
            0 => other[digits[below(digits.len())]] = b'0' + below(10) as u8,
            // Longer numbers.
            1 => {
                let at = digits[below(digits.len())];
                let number: Vec<u8> = (0..below(20)).map(|_| b'9').collect();
                other.splice(at..at, number);
            }
            _ => {
                for _ in 0..=below(4) {
                    let at = below(other.len());
                    other[at] = below(256) as u8;
                }
            }
        }
        fs::write(&file, other).unwrap();
        if let Ok(latents) = Latents::open(root.path(), Verify::Checksums) {
            assert_eq!(latents.len(), 14);
            for index in 0..14 {
                latents.read(index, VISIT, &mut [0.0; 6]).unwrap();
            }
            opened += 1;
        }
    }
    // Names, reasons and fingerprints may be anything.
    assert!((1..2900).contains(&opened), "{opened}");
}
