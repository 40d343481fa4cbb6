//! Published weights by their file's name: AdaDiff's to evaluate, U-ViT's to start the second phase.

use std::fs;
use std::path::Path;

use adadiff_data::Framing;
use adadiff_experiments::{DataSet, Preset};
use adadiff_weights::WeightFile;
use adadiff_weights::native::metadata;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::made::{IMAGES, fail, files, picture, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_folder");

/// A folder with `published.pth`, AdaDiff's weights as they are published, `preset.toml`, which they
/// suit, and images of ten classes to judge by.
fn published() -> TempDir {
    let folder = tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/uvit_class");
    let path = |name: &str| folder.path().join(name);
    fs::copy(fixture.join("weights.pth"), path("published.pth")).unwrap();
    for number in 0..IMAGES {
        let class = path("photographs").join((number % 10).to_string());
        fs::create_dir_all(&class).unwrap();
        let picture = picture(number, 12, 12);
        picture.save(class.join(format!("{number}.png"))).unwrap();
    }
    let import = "import published.pth --heads 4 --out ours.safetensors";
    run(PROGRAM, folder.path(), import);
    let ours = path("ours.safetensors");
    let metadata = metadata(&fs::read(&ours).unwrap(), &ours).unwrap();
    fs::write(path("preset.toml"), &metadata["preset"]).unwrap();
    let mut preset = Preset::read(&path("preset.toml")).unwrap();
    preset.data = DataSet::Folder {
        labelled: true,
        framing: Framing::Lanczos,
        side: 8,
    };
    preset.joint_training.steps = 4;
    // So small that nothing changes but by rounding.
    preset.joint_training.learning_rate = 1e-12;
    fs::write(path("preset.toml"), preset.to_toml().unwrap()).unwrap();
    folder
}

#[test]
fn adadiff_is_evaluated_from_the_published_file() {
    let folder = published();
    let folder = folder.path();
    let sample = "sample --samples 4 --steps 3 --depth 2 --checkpoint";
    let imported = format!("{sample} ours.safetensors --out a");
    let told = run(PROGRAM, folder, &imported);
    assert!(told.contains("2.00 of 5 blocks"), "{told}");
    let direct = format!("{sample} published.pth --out b --preset preset.toml");
    let told = run(PROGRAM, folder, &direct);
    assert!(
        told.contains("3x8x8, patch 2, width 32, 5 blocks"),
        "{told}"
    );
    let [a, b] = ["a/images", "b/images"].map(|images| files(&folder.join(images)));
    assert_eq!(a.len(), 4);
    assert!(a == b, "the samples are others");

    let published = "--checkpoint published.pth --preset preset.toml";
    let judged = "--quick --features pixels --data photographs --out table";
    run(PROGRAM, folder, &format!("{published} {judged}"));
    let results = fs::read_to_string(folder.join("table/results.jsonl")).unwrap();
    let rows = results
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let methods: Vec<Value> = rows.map(|row: Value| row["method"].clone()).collect();
    assert_eq!(methods, ["full", "static", "static", "adadiff"]);

    let told = fail(PROGRAM, folder, "sample --checkpoint published.pth");
    assert!(
        told.contains("width 32") && told.contains("--preset"),
        "{told}"
    );
    let own = "sample --checkpoint ours.safetensors --preset preset.toml";
    let told = fail(PROGRAM, folder, own);
    assert!(told.contains("--preset is for published weights"), "{told}");
    let bytes = fs::read(folder.join("published.pth")).unwrap();
    fs::write(folder.join("published.pth"), &bytes[..bytes.len() - 999]).unwrap();
    let told = fail(PROGRAM, folder, &format!("sample {published}"));
    assert!(told.contains("not a usable weight file"), "{told}");
}

#[test]
fn the_second_phase_starts_from_a_published_backbone() {
    let folder = published();
    let folder = folder.path();
    let weights = WeightFile::open(&folder.join("published.pth")).unwrap();
    let names = weights.tensors().keys();
    let backbone: Vec<_> = names
        .filter(|name| !name.starts_with("lte_classifer."))
        .map(|name| (name, weights.read(name).unwrap()))
        .collect();
    let views = backbone.iter().map(|(name, data)| {
        let shape = data.shape.to_vec();
        let view = TensorView::new(safetensors::Dtype::F32, shape, data.as_bytes());
        (name.as_str(), view.unwrap())
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    fs::write(folder.join("backbone.safetensors"), bytes).unwrap();

    // Labels are dropped, as the network has one for "no class".
    let train = "train --preset preset.toml --data photographs --backbone backbone.safetensors \
         --set joint_training.label_dropout=0.1 --out run";
    let told = run(PROGRAM, folder, train);
    assert!(told.contains("joint: done"), "{told}");
    assert!(!folder.join("run/backbone").exists());

    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let [trained, published] = ["run/joint/weights.safetensors", "ours.safetensors"].map(read);
    let trained = SafeTensors::deserialize(&trained).unwrap();
    let published = SafeTensors::deserialize(&published).unwrap();
    let (mut compared, mut farthest) = (0, 0.0_f32);
    for (name, tensor) in published.iter() {
        if !name.starts_with("backbone.") {
            continue;
        }
        let halves = trained.tensor(name).unwrap();
        let halves = halves.data().as_chunks::<2>().0.iter();
        let halves = halves.map(|&half| half::f16::from_le_bytes(half).to_f32());
        let singles = tensor.data().as_chunks::<4>().0.iter();
        let singles = singles.map(|&single| f32::from_le_bytes(single));
        for (half, single) in halves.zip(singles) {
            farthest = farthest.max((half - single).abs() / single.abs().max(1e-3));
            compared += 1;
        }
    }
    // Stored in 16 bits, to eleven of them.
    println!("{compared} weights, at most {farthest:.1e} apart");
    assert!(compared > 10_000 && farthest < 1e-3);
}
