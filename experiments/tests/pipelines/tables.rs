//! Each of the paper's data sets from raw files in their real format to a table, with a tiny
//! network: what a user does with the whole data set, command by command.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use crate::made::{
    IMAGES, TEXT_MODEL, fail, jpeg, picture, run, save_networks, write_celeba, write_cifar10,
    write_coco,
};
use crate::results::{refuses_the_other_main_table, tables_and_figures};

/// The tail that all data sets share: both phases, a threshold, samples, the table. `around` names
/// the networks around a diffusion model on latents, `images` the raw images.
fn train_to_table(
    program: &str,
    folder: &Path,
    preset: &str,
    train: &str,
    around: &str,
    images: &str,
) {
    let train = format!("train --preset {preset} --out run {train}");
    let told = run(program, folder, &train);
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

    let checkpoint = format!("--checkpoint run/joint/weights.safetensors {around}");
    let told = run(program, folder, &format!("calibrate {checkpoint}"));
    assert!(
        told.contains("30 % fewer blocks: bounds and a threshold"),
        "{told}"
    );
    let sample = format!("sample --samples 8 --out samples {checkpoint}");
    let told = run(program, folder, &sample);
    assert!(told.contains("of 5 blocks"), "{told}");
    assert!(folder.join("samples/samples.png").exists());

    let judged = format!("--quick --features pixels --out table {checkpoint} {images}");
    run(program, folder, &judged);
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
    tables_and_figures(program, folder, around, images);
}

#[test]
fn cifar10_from_its_binary_batches_to_a_table() {
    let program = env!("CARGO_BIN_EXE_cifar10");
    let folder = tempdir().unwrap();
    write_cifar10(folder.path());
    let data = "--data cifar-10-batches-bin";
    let reference = format!("reference {data} --features pixels --out reference.npz");
    let told = run(program, folder.path(), &reference);
    assert!(told.contains("60 images over 48 features"), "{told}");
    train_to_table(program, folder.path(), "cifar10-tiny", data, "", data);
    refuses_the_other_main_table(program, folder.path(), "conditional");
}

#[test]
fn celeba_from_its_aligned_faces_to_a_table() {
    let program = env!("CARGO_BIN_EXE_celeba");
    let folder = tempdir().unwrap();
    write_celeba(folder.path());
    let data = "--data celeba";
    train_to_table(program, folder.path(), "celeba-tiny", data, "", data);
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
    let data = "--data photographs";
    train_to_table(program, folder.path(), "folder-tiny", data, "", data);
}

const PREPARE: &str = "prepare --autoencoder autoencoder.safetensors --out latents --half";

const LATENTS: &str = "--latents latents";

const DECODER: &str = "--autoencoder autoencoder.safetensors";

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
    let data = "--data train";
    let prepare = format!("{PREPARE} {data} --preset imagenet-tiny");
    let told = run(program, folder.path(), &prepare);
    assert!(told.contains("7.JPEG is cut off"), "{told}");
    let index = fs::read_to_string(folder.path().join("latents/index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    assert_eq!(index["complete"], true);
    assert_eq!(index["skipped"].as_array().unwrap().len(), 1);
    let told = run(program, folder.path(), &prepare);
    assert!(told.contains("prepared already"), "{told}");

    // Another autoencoder: neither may its latents join these, nor may it decode them.
    fs::rename(
        folder.path().join("autoencoder.safetensors"),
        folder.path().join("first.safetensors"),
    )
    .unwrap();
    save_networks(folder.path());
    let told = fail(program, folder.path(), &prepare);
    assert!(told.contains("autoencoder"), "{told}");
    let path = |name: &str| folder.path().join(name);
    fs::rename(path("autoencoder.safetensors"), path("other.safetensors")).unwrap();
    fs::rename(path("first.safetensors"), path("autoencoder.safetensors")).unwrap();
    // Latents of another data set.
    let other = format!("train --out other {LATENTS} {DECODER} --preset coco-tiny");
    let told = fail(env!("CARGO_BIN_EXE_coco"), folder.path(), &other);
    assert!(
        told.contains("ImageNet") && told.contains("MS-COCO"),
        "{told}"
    );

    // Statistics are of all images or of none.
    fs::remove_file(folder.path().join("train/n01443537/7.JPEG")).unwrap();
    train_to_table(
        program,
        folder.path(),
        "imagenet-tiny",
        LATENTS,
        DECODER,
        data,
    );
    let sample =
        "sample --checkpoint run/joint/weights.safetensors --autoencoder other.safetensors";
    let told = fail(program, folder.path(), sample);
    assert!(
        told.contains("was trained on latents of another autoencoder than other.safetensors"),
        "{told}"
    );
}

#[test]
fn coco_from_images_and_captions_over_latents_to_pictures_of_prompts_and_a_table() {
    let program = env!("CARGO_BIN_EXE_coco");
    let folder = tempdir().unwrap();
    write_coco(folder.path());
    save_networks(folder.path());
    let data = "--data train2014 --captions captions_train2014.json";
    let prepare = format!("{PREPARE} {data} --preset coco-tiny {TEXT_MODEL}");
    let told = run(program, folder.path(), &prepare);
    assert!(told.contains("prepared: latents"), "{told}");
    train_to_table(
        program,
        folder.path(),
        "coco-tiny",
        LATENTS,
        &format!("{DECODER} {LATENTS}"),
        data,
    );
    let prompts = "--prompt 'a red bus' --prompt 'two cats on a sofa'";
    let sample = "sample --checkpoint run/joint/weights.safetensors --samples 4 --out prompts";
    let sample = format!("{sample} {prompts} {TEXT_MODEL} {DECODER}");
    let told = run(program, folder.path(), &sample);
    assert!(told.contains("4 samples of 2 prompts in turn"), "{told}");
    for number in 0..4 {
        let path = folder
            .path()
            .join(format!("prompts/images/{number:06}.png"));
        assert_eq!(
            image::open(path).unwrap().into_rgb8().dimensions(),
            (32, 32)
        );
    }
    assert!(folder.path().join("prompts/exit_depth.svg").exists());
}
