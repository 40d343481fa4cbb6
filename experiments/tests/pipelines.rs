//! Each of the paper's data sets from raw files in their real format to a table, with a tiny
//! network: what a user does with the whole data set, command by command.
#![cfg(feature = "flex")]

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use adadiff_model::autoencoder::AutoencoderConfig;
use adadiff_model::clip::ClipTextConfig;
use adadiff_train::weights::{Precision, save};
use burn_flex::{Flex, FlexDevice};
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

/// Images of each made data set: more than the 48 features that samples are judged by.
const IMAGES: usize = 60;

/// Runs a program, which must succeed, and gives back what it told on both outputs.
#[track_caller]
fn run(program: &str, folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(output.status.success(), "{arguments:?}: {told}");
    told
}

/// An image that is smooth, and another for each number.
fn picture(number: usize, width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let shade = |speed: usize| {
            let place = x as usize * (1 + number % 3) + y as usize * (1 + number % 5);
            ((place * speed + 37 * number) % 256) as u8
        };
        Rgb([shade(1), shade(2), shade(3)])
    })
}

fn jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

/// The tail that all data sets share: both phases, a threshold, samples, the table. `around` names
/// the networks around a diffusion model on latents, `images` the raw images.
fn train_to_table(
    program: &str,
    folder: &Path,
    preset: &str,
    train: &[&str],
    around: &[&str],
    images: &[&str],
) {
    let told = run(
        program,
        folder,
        &[&["train", "--preset", preset, "--out", "run"], train].concat(),
    );
    assert!(told.contains("joint: done"), "{told}");
    let log = fs::read_to_string(folder.join("run/joint/training.jsonl")).unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = lines.last().unwrap();
    assert_eq!((&last["step"], &last["images"]), (&12.into(), &96.into()));
    for name in ["total", "simple", "uncertainty", "layer_wise"] {
        assert!(last[name].as_f64().unwrap() > 0.0, "{last}");
    }

    let checkpoint = ["--checkpoint", "run/joint/weights.safetensors"];
    let told = run(
        program,
        folder,
        &[&["calibrate"], &checkpoint[..], around].concat(),
    );
    assert!(told.contains("30 % fewer blocks: threshold"), "{told}");
    let told = run(
        program,
        folder,
        &[
            &["sample", "--samples", "8", "--out", "samples"],
            &checkpoint[..],
            around,
        ]
        .concat(),
    );
    assert!(told.contains("of 5 blocks"), "{told}");
    assert!(folder.join("samples/samples.png").exists());

    let judged = ["--quick", "--features", "pixels", "--out", "table"];
    run(
        program,
        folder,
        &[&judged[..], &checkpoint, around, images].concat(),
    );
    let results = fs::read_to_string(folder.join("table/results.jsonl")).unwrap();
    let rows: Vec<Value> = results
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let methods: Vec<_> = rows.iter().map(|row| &row["method"]).collect();
    assert_eq!(methods, ["full", "static", "static", "adadiff"]);
    for row in &rows {
        assert_eq!((&row["samples"], &row["steps"]), (&96.into(), &6.into()));
        assert_eq!(row["features"], "pixels-4x4");
        assert!(row["frechet_distance"].as_f64().unwrap() > 0.0, "{row}");
    }
    assert_eq!(rows[0]["block_reduction"], 0.0);
    assert!(rows[3]["block_reduction"].as_f64().unwrap() > 0.15);
    assert!(folder.join("table/report.html").exists());
}

#[test]
fn cifar10_from_its_binary_batches_to_a_table() {
    let program = env!("CARGO_BIN_EXE_cifar10");
    let folder = tempdir().unwrap();
    let batches = folder.path().join("cifar-10-batches-bin");
    fs::create_dir(&batches).unwrap();
    for batch in 0..5 {
        let mut bytes = Vec::new();
        for image in 0..IMAGES / 5 {
            let number = batch * IMAGES / 5 + image;
            bytes.push((number % 10) as u8);
            let picture = picture(number, 32, 32);
            for channel in 0..3 {
                bytes.extend(picture.pixels().map(|pixel| pixel[channel]));
            }
        }
        fs::write(batches.join(format!("data_batch_{}.bin", batch + 1)), bytes).unwrap();
    }
    let data = ["--data", "cifar-10-batches-bin"];
    let reference = ["--features", "pixels", "--out", "reference.npz"];
    let told = run(
        program,
        folder.path(),
        &[&["reference"], &data[..], &reference].concat(),
    );
    assert!(told.contains("60 images over 48 features"), "{told}");
    train_to_table(program, folder.path(), "cifar10-tiny", &data, &[], &data);
}

#[test]
fn celeba_from_its_aligned_faces_to_a_table() {
    let program = env!("CARGO_BIN_EXE_celeba");
    let folder = tempdir().unwrap();
    let faces = folder.path().join("celeba/img_align_celeba");
    fs::create_dir_all(&faces).unwrap();
    let mut list = String::new();
    for number in 0..IMAGES + 10 {
        let name = format!("{:06}.jpg", number + 1);
        fs::write(faces.join(&name), jpeg(&picture(number, 178, 218))).unwrap();
        // The last ten are of the other parts.
        let part = number.saturating_sub(IMAGES - 1).min(2);
        list.push_str(&format!("{name} {part}\n"));
    }
    fs::write(folder.path().join("celeba/list_eval_partition.txt"), list).unwrap();
    let data = ["--data", "celeba"];
    train_to_table(program, folder.path(), "celeba-tiny", &data, &[], &data);
}

#[test]
fn a_folder_of_images_to_a_table() {
    let program = env!("CARGO_BIN_EXE_folder");
    let folder = tempdir().unwrap();
    for number in 0..IMAGES {
        let class = folder
            .path()
            .join(["photographs/cats", "photographs/dogs"][number % 2]);
        fs::create_dir_all(&class).unwrap();
        let picture = picture(number, 40 + number as u32 % 7, 36 + number as u32 % 5);
        picture.save(class.join(format!("{number}.png"))).unwrap();
    }
    let data = ["--data", "photographs"];
    train_to_table(program, folder.path(), "folder-tiny", &data, &[], &data);
}

/// Weights of networks in front of the diffusion model, untrained.
fn save_networks(folder: &Path) {
    let config = AutoencoderConfig {
        resolution: 32,
        channels: 32,
        channel_multipliers: vec![1, 1],
        residual_blocks: 1,
        ..AutoencoderConfig::stable_diffusion()
    };
    let header =
        |network: &str, config: String| [("network", network.to_owned()), ("config", config)];
    let metadata = header("autoencoder", serde_json::to_string(&config).unwrap());
    let network = config.init::<Flex>(&FlexDevice).unwrap();
    let path = folder.join("autoencoder.safetensors");
    save::<Flex, _>(&network, Precision::Single, &metadata, &path).unwrap();

    let config = ClipTextConfig {
        width: 16,
        mlp_width: 32,
        layers: 1,
        heads: 2,
        ..ClipTextConfig::vit_l_14()
    };
    let metadata = header("clip_text", serde_json::to_string(&config).unwrap());
    let network = config.init::<Flex>(&FlexDevice).unwrap();
    let path = folder.join("clip.safetensors");
    save::<Flex, _>(&network, Precision::Single, &metadata, &path).unwrap();
}

const VOCABULARY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/fixtures/clip_tokenizer/bpe_simple_vocab_16e6.txt.gz"
);

const PREPARE: [&str; 6] = [
    "prepare",
    "--autoencoder",
    "autoencoder.safetensors",
    "--out",
    "latents",
    "--half",
];

const LATENTS: [&str; 2] = ["--latents", "latents"];

const DECODER: [&str; 2] = ["--autoencoder", "autoencoder.safetensors"];

#[test]
fn imagenet_from_its_synsets_over_latents_to_a_table() {
    let program = env!("CARGO_BIN_EXE_imagenet");
    let folder = tempdir().unwrap();
    for number in 0..IMAGES {
        let synset = ["n01440764", "n01443537", "n15075141"][number % 3];
        let synset = folder.path().join("train").join(synset);
        fs::create_dir_all(&synset).unwrap();
        let picture = picture(number, 50 + number as u32, 70 - number as u32 / 2);
        let bytes = jpeg(&picture);
        // One file is cut off.
        let length = if number == 7 {
            bytes.len() / 2
        } else {
            bytes.len()
        };
        fs::write(synset.join(format!("{number}.JPEG")), &bytes[..length]).unwrap();
    }
    save_networks(folder.path());
    let data = ["--data", "train"];
    let preset = ["--preset", "imagenet-tiny"];
    let told = run(
        program,
        folder.path(),
        &[&PREPARE[..], &data, &preset].concat(),
    );
    assert!(told.contains("7.JPEG is cut off"), "{told}");
    let index = fs::read_to_string(folder.path().join("latents/index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    assert_eq!(index["complete"], true);
    assert_eq!(index["skipped"].as_array().unwrap().len(), 1);
    let told = run(
        program,
        folder.path(),
        &[&PREPARE[..], &data, &preset].concat(),
    );
    assert!(told.contains("prepared already"), "{told}");

    // Statistics are of all images or of none.
    fs::remove_file(folder.path().join("train/n01443537/7.JPEG")).unwrap();
    train_to_table(
        program,
        folder.path(),
        "imagenet-tiny",
        &LATENTS,
        &DECODER,
        &data,
    );
}

#[test]
fn coco_from_images_and_captions_over_latents_to_pictures_of_prompts_and_a_table() {
    let program = env!("CARGO_BIN_EXE_coco");
    let folder = tempdir().unwrap();
    write_coco(&folder);
    save_networks(folder.path());
    let text = [
        "--text-model",
        "clip.safetensors",
        "--vocabulary",
        VOCABULARY,
    ];
    let data = [
        "--data",
        "train2014",
        "--captions",
        "captions_train2014.json",
    ];
    let preset = ["--preset", "coco-tiny"];
    let told = run(
        program,
        folder.path(),
        &[&PREPARE[..], &data, &preset, &text].concat(),
    );
    assert!(told.contains("prepared: latents"), "{told}");
    train_to_table(
        program,
        folder.path(),
        "coco-tiny",
        &LATENTS,
        &[&DECODER[..], &LATENTS].concat(),
        &data,
    );
    let prompts = ["--prompt", "a red bus", "--prompt", "two cats on a sofa"];
    let sample = [
        "sample",
        "--checkpoint",
        "run/joint/weights.safetensors",
        "--samples",
        "4",
        "--out",
        "prompts",
    ];
    let told = run(
        program,
        folder.path(),
        &[&sample[..], &prompts, &text, &DECODER].concat(),
    );
    assert!(told.contains("4 samples of 2 prompts in turn"), "{told}");
}

/// Images with two or three captions each.
fn write_coco(folder: &TempDir) {
    let images = folder.path().join("train2014");
    fs::create_dir(&images).unwrap();
    let (mut list, mut captions) = (Vec::new(), Vec::new());
    for number in 0..IMAGES {
        let name = format!("COCO_train2014_{number:012}.jpg");
        let picture = picture(number, 48 + number as u32 % 9, 40);
        fs::write(images.join(&name), jpeg(&picture)).unwrap();
        list.push(serde_json::json!({"id": number, "file_name": name}));
        for caption in 0..2 + number % 2 {
            captions.push(serde_json::json!({
                "id": 10 * number + caption,
                "image_id": number,
                "caption": format!("Picture {number}, told {caption} times."),
            }));
        }
    }
    let document = serde_json::json!({"images": list, "annotations": captions});
    let path = folder.path().join("captions_train2014.json");
    fs::write(path, document.to_string()).unwrap();
}
