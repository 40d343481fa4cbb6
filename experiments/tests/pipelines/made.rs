//! Small data sets in their real formats, and untrained networks.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use adadiff_model::autoencoder::AutoencoderConfig;
use adadiff_model::clip::ClipTextConfig;
use adadiff_weights::native::{WeightPrecision, save};
use burn_flex::{Flex, FlexDevice};
use image::{ImageFormat, Rgb, RgbImage};
use tempfile::{TempDir, tempdir};

/// Images of each made data set: more than the 48 features that samples are judged by.
pub const IMAGES: usize = 60;

/// A program with a command line, in which one word is between quotes where it has spaces.
pub fn command(program: &str, folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    for (part, text) in arguments.split('\'').enumerate() {
        if part % 2 == 0 {
            command.args(text.split_whitespace());
        } else {
            command.arg(text);
        }
    }
    command
}

/// Runs a program, which must succeed, and gives back what it told on both outputs.
#[track_caller]
pub fn run(program: &str, folder: &Path, arguments: &str) -> String {
    succeeds(&mut command(program, folder, arguments))
}

/// [`run`] of a command.
#[track_caller]
pub fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(output.status.success(), "{command:?}: {told}");
    assert!(!told.contains("panicked"), "{told}");
    told
}

/// Runs a program, which must fail without a panic, and gives back what it told.
#[track_caller]
pub fn fail(program: &str, folder: &Path, arguments: &str) -> String {
    let output = command(program, folder, arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments}: {told}");
    assert!(!told.contains("panicked"), "{told}");
    told
}

/// The files of a folder and its sub-folders, by name; none where there is no folder.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            let below = self::files(&path).into_iter();
            files.extend(below.map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            files.insert(name, fs::read(path).unwrap());
        }
    }
    files
}

/// An image that is smooth, and another for each number.
pub fn picture(number: usize, width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let shade = |speed: usize| {
            let place = x as usize * (1 + number % 3) + y as usize * (1 + number % 5);
            ((place * speed + 37 * number) % 256) as u8
        };
        Rgb([shade(1), shade(2), shade(3)])
    })
}

pub fn jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

/// CIFAR-10's training split in the official binary form.
pub fn write_cifar10(folder: &Path) {
    let batches = folder.join("cifar-10-batches-bin");
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
}

/// CelebA's aligned faces, and the list of their parts: the last ten are not of the training part.
pub fn write_celeba(folder: &Path) {
    let faces = folder.join("celeba/img_align_celeba");
    fs::create_dir_all(&faces).unwrap();
    let mut list = String::new();
    for number in 0..IMAGES + 10 {
        let name = format!("{:06}.jpg", number + 1);
        fs::write(faces.join(&name), jpeg(&picture(number, 178, 218))).unwrap();
        let part = number.saturating_sub(IMAGES - 1).min(2);
        list.push_str(&format!("{name} {part}\n"));
    }
    fs::write(folder.join("celeba/list_eval_partition.txt"), list).unwrap();
}

/// Weights of networks in front of the diffusion model, untrained.
pub fn save_networks(folder: &Path) {
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
    save::<Flex, _>(&network, WeightPrecision::Single, &metadata, &path).unwrap();

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
    save::<Flex, _>(&network, WeightPrecision::Single, &metadata, &path).unwrap();
}

/// The bundled weights in a folder of their own, without their thresholds.
pub fn bundled_weights() -> TempDir {
    let folder = tempdir().unwrap();
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fashion_mnist");
    let weights = "weights.safetensors";
    fs::copy(assets.join(weights), folder.path().join(weights)).unwrap();
    folder
}

/// The text model that [`save_networks`] wrote, with the published vocabulary of CLIP's tokenizer.
pub const TEXT_MODEL: &str = concat!(
    "--text-model clip.safetensors --vocabulary '",
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/fixtures/clip_tokenizer/bpe_simple_vocab_16e6.txt.gz'"
);

/// Prepares what [`write_coco`] and [`save_networks`] wrote; where to is left open.
pub fn prepare_coco() -> String {
    format!(
        "prepare --preset coco-tiny --data train2014 --captions captions_train2014.json \
         --autoencoder autoencoder.safetensors {TEXT_MODEL}"
    )
}

/// Trains on what [`write_cifar10`] wrote; where to is left open.
pub const TRAIN: &str = "train --preset cifar10-tiny --data cifar-10-batches-bin";

/// [`TRAIN`], judging samples on the way.
pub const TRAIN_JUDGED: &str = "train --preset cifar10-tiny --data cifar-10-batches-bin \
     --judge-every 4 --judge-samples 49 --features pixels";

/// Images with two or three captions each.
pub fn write_coco(folder: &Path) {
    let images = folder.join("train2014");
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
    let path = folder.join("captions_train2014.json");
    fs::write(path, document.to_string()).unwrap();
}
