//! Weight files: what is saved is loaded, what does not fit is named.

use std::fs;
use std::path::Path;

use adadiff_tests::{Named, Network, NetworkKind, parameters};
use adadiff_uem::{AdaDiff, AdaDiffConfig};
use adadiff_weights::WeightError;
use adadiff_weights::native::{WeightPrecision, load, metadata, save};
use burn_flex::{Flex, FlexDevice};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::tempdir;

const FILE: &str = "weights.safetensors";

fn network() -> AdaDiffConfig {
    Network::new(NetworkKind::Class, 4).config
}

fn init(config: &AdaDiffConfig, seed: u64) -> AdaDiff<Flex> {
    config.init(seed, &FlexDevice).unwrap()
}

fn saved(model: &AdaDiff<Flex>) -> Vec<u8> {
    let folder = tempdir().unwrap();
    let path = folder.path().join(FILE);
    save(
        model,
        WeightPrecision::Half,
        &[("phase", "joint".to_owned())],
        &path,
    )
    .unwrap();
    fs::read(&path).unwrap()
}

fn values(model: &AdaDiff<Flex>) -> Named {
    parameters::<Flex, _>(model)
}

/// What is said of a file that does not fit.
#[track_caller]
fn refusal(config: &AdaDiffConfig, bytes: Vec<u8>) -> String {
    match load(init(config, 1), bytes, Path::new(FILE)) {
        Err(WeightError::Unusable { path, reason }) => {
            assert_eq!(path, Path::new(FILE));
            reason
        }
        Err(error) => panic!("expected an unusable file, found {error:?}"),
        Ok(_) => panic!("the file was loaded"),
    }
}

#[test]
fn what_was_saved_in_half_precision_is_loaded() {
    println!("device: flex");
    let original = init(&network(), 1);
    let bytes = saved(&original);
    let header = metadata(&bytes, Path::new(FILE)).unwrap();
    assert_eq!(header.get("phase").map(String::as_str), Some("joint"));
    let loaded = load(init(&network(), 2), bytes.clone(), Path::new(FILE)).unwrap();

    let (original, rounded) = (values(&original), values(&loaded));
    assert!(
        bytes.len()
            < 2 * original
                .iter()
                .map(|(_, values)| values.len())
                .sum::<usize>()
                + 20_000
    );
    for ((name, original), (_, rounded)) in original.iter().zip(&rounded) {
        for (a, b) in original.iter().zip(rounded) {
            // Half a unit in the last place, or half the smallest number that can be told from zero.
            let rounding = (a.abs() / 2048.0).max(2f32.powi(-25));
            assert!((a - b).abs() <= rounding, "{name}: {a} became {b}");
        }
    }
    // What has been rounded stays as it is.
    let again = load(init(&network(), 3), saved(&loaded), Path::new(FILE)).unwrap();
    assert_eq!(values(&again), rounded);
}

#[test]
fn files_that_are_damaged_are_refused() {
    println!("device: flex");
    let bytes = saved(&init(&network(), 1));
    for length in [0, 1, 7, 8, 9, 100, bytes.len() / 2, bytes.len() - 1] {
        let reason = refusal(&network(), bytes[..length].to_vec());
        assert!(
            reason.contains("damaged"),
            "truncated to {length}: {reason}"
        );
        assert!(
            metadata(&bytes[..length], Path::new(FILE)).is_err(),
            "truncated to {length}"
        );
    }
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..50 {
        let mut noise = vec![0; random.random_range(0..4096)];
        random.fill_bytes(&mut noise);
        // Half of them claim a header of a believable length.
        if random.random_bool(0.5) && noise.len() > 16 {
            let header = noise.len() as u64 / 2;
            noise[..8].copy_from_slice(&header.to_le_bytes());
        }
        refusal(&network(), noise);
    }
    for length in [u64::MAX, u64::MAX / 2, 100_000_000, bytes.len() as u64] {
        let mut damaged = bytes.clone();
        damaged[..8].copy_from_slice(&length.to_le_bytes());
        assert!(
            refusal(&network(), damaged).contains("damaged"),
            "a header of {length} bytes"
        );
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    println!("device: flex");
    let config = network();
    let mut plain = config.clone();
    plain.backbone.time_mlp = false;
    plain.backbone.classes = None;

    let reason = refusal(&config, saved(&init(&plain, 1)));
    for name in [
        "time_embed.first.weight",
        "time_embed.second.bias",
        "label_emb.weight",
    ] {
        assert!(
            reason.contains(&format!("backbone.{name} is missing")),
            "{reason}"
        );
    }
    let reason = refusal(&plain, saved(&init(&config, 1)));
    for name in [
        "time_embed.first.weight",
        "time_embed.second.bias",
        "label_emb.weight",
    ] {
        let expected = format!("backbone.{name} is not part of the network");
        assert!(reason.contains(&expected), "{reason}");
    }

    let mut wider = config.clone();
    wider.backbone.mlp_ratio = 3.0;
    let reason = refusal(&wider, saved(&init(&config, 1)));
    assert!(
        reason.contains("backbone.blocks.0.mlp.fc1.weight"),
        "{reason}"
    );
    assert!(
        reason.contains("[32, 64]") && reason.contains("[32, 96]"),
        "{reason}"
    );
    assert!(
        !reason.contains("backbone.blocks.0.attn.qkv.weight"),
        "{reason}"
    );

    let mut deeper = config.clone();
    deeper.backbone.depth = 6;
    let reason = refusal(&deeper, saved(&init(&config, 1)));
    assert!(
        reason.contains("estimators.6.tokens.weight is missing"),
        "{reason}"
    );
}

/// Found by fuzzing: Burn took whole numbers for a float tensor's values, and panicked.
#[test]
fn tensors_of_whole_numbers_are_refused() {
    println!("device: flex");
    let bytes = saved(&init(&network(), 1));
    let half = b"\"F16\"";
    let place = bytes.windows(half.len()).position(|part| part == half);
    for whole in [b"\"I16\"", b"\"U16\""] {
        let mut damaged = bytes.clone();
        damaged[place.unwrap()..][..whole.len()].copy_from_slice(whole);
        let reason = refusal(&network(), damaged);
        assert!(reason.contains("holds values of type"), "{reason}");
    }
}

#[test]
fn an_unwritable_place_is_named_and_an_earlier_file_survives() {
    println!("device: flex");
    let folder = tempdir().unwrap();
    let blocked = folder.path().join("file");
    fs::write(&blocked, b"in the way").unwrap();
    let path = blocked.join(FILE);
    let error = save(&init(&network(), 1), WeightPrecision::Half, &[], &path).unwrap_err();
    assert!(matches!(error, WeightError::Storage(_)), "{error:?}");
    assert!(
        error.to_string().contains(&blocked.display().to_string()),
        "{error}"
    );
    assert_eq!(fs::read(&blocked).unwrap(), b"in the way");
}
