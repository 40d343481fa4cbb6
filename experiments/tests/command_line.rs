//! Bad input as a new user would give it: a clear message, a failing exit code, no panic, nothing
//! half-written.
#![cfg(feature = "flex")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use adadiff_backends::{BackendName, Precision, compiled_devices};
use adadiff_experiments::Preset;
use adadiff_model::autoencoder::{Autoencoder, AutoencoderConfig};
use adadiff_storage::FolderLock;
use adadiff_weights::WeightFile;
use adadiff_weights::native::{WeightPrecision, load, metadata, save};
use burn::tensor::Tensor;
use burn_flex::{Flex, FlexDevice};
use safetensors::tensor::TensorView;
use tempfile::{TempDir, tempdir};

fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fashion_mnist"));
    command.current_dir(folder).env_remove("ADADIFF_DATA");
    command
}

/// What the program makes of `arguments`, which are parted by spaces.
fn output(folder: &TempDir, arguments: &str) -> Output {
    let mut program = program(folder.path());
    program.args(arguments.split(' ')).output().unwrap()
}

/// Runs the program in an empty folder and checks that it fails as it should: `words` are in its
/// message, and the folder holds what it held before.
#[track_caller]
fn fails(folder: &TempDir, arguments: &str, words: &[&str]) {
    let before = contents(folder.path());
    assert_failure(&output(folder, arguments), words);
    let after = contents(folder.path());
    assert_eq!(after, before, "{arguments} left files behind");
}

/// Runs the program, which must succeed, and gives back what it printed.
#[track_caller]
fn succeeds(folder: &TempDir, arguments: &str) -> String {
    let output = output(folder, arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {message}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn assert_failure(output: &Output, words: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "succeeded: {message}");
    assert!(
        output.status.code().is_some(),
        "ended by a signal: {message}"
    );
    assert!(!message.contains("panicked"), "{message}");
    for word in words {
        assert!(message.contains(word), "'{word}' is not in: {message}");
    }
}

fn contents(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn senseless_numbers_are_refused() {
    let folder = tempdir().unwrap();
    fails(&folder, "--samples 0", &["--samples", "at least 1"]);
    fails(&folder, "--samples 40", &["64 features", "40"]);
    fails(&folder, "--steps 0", &["--steps", "at least 1"]);
    fails(&folder, "--batch 0", &["--batch", "at least 1"]);
    fails(
        &folder,
        "--reduction -0.3",
        &["--reduction", "between 0 and 1"],
    );
    fails(
        &folder,
        "--reduction 1.5",
        &["--reduction", "between 0 and 1"],
    );
    fails(
        &folder,
        "--reduction 0.99 --quick",
        &["0.99", "cannot be reached"],
    );
    fails(&folder, "--speedup 0.9", &["--speedup", "above 1"]);
    fails(
        &folder,
        "sample --max-fd-increase -5%",
        &["--max-fd-increase", "for example 5%"],
    );
    for command in ["sample", "evaluate", "timing", "calibrate"] {
        fails(
            &folder,
            &format!("{command} --speedup 1.5 --reduction 0.4 --out out"),
            &["--speedup", "cannot be used with", "--reduction"],
        );
    }
    fails(
        &folder,
        "backends --max-fd-increase 5%",
        &["one share of blocks"],
    );
    fails(&folder, "sample --class 12", &["no class 12", "0 to 9"]);
    fails(&folder, "sample --guidance inf", &["finite"]);
}

#[test]
fn instructions_for_bfloat16_are_told_of_once_where_they_are_and_not_used() {
    let folder = tempdir().unwrap();
    let sample = "sample --full --samples 1 --steps 2";
    let there = usize::from(Precision::faster::<Flex>().is_some());
    for (precision, expected) in [("f32", there), ("bf16", 0)] {
        let arguments = format!("{sample} --precision {precision} --out {precision}");
        let output = output(&folder, &arguments);
        assert!(output.status.success());
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(told.matches("--precision bf16").count(), expected, "{told}");
    }
}

#[test]
fn solvers_are_swapped_by_name() {
    let folder = tempdir().unwrap();
    for (name, written) in [
        ("euler_maruyama", "euler_maruyama"),
        ("ddim", "ddim"),
        ("ddpm", "ddpm_ancestral"),
        ("dpm_solver", "dpm_solver"),
        ("dpm_solver_plus_plus", "dpm_solver_plus_plus"),
        ("unipc", "unipc"),
    ] {
        let sample = "sample --full --samples 1 --steps 4";
        succeeds(&folder, &format!("{sample} --solver {name} --out {name}"));
        let preset = fs::read_to_string(folder.path().join(name).join("preset.toml")).unwrap();
        assert!(
            preset.contains(&format!("solver = \"{written}\"\n")),
            "{preset}"
        );
    }
    fails(
        &folder,
        "sample --solver heun",
        &["possible values", "unipc"],
    );
}

#[test]
fn thresholds_are_stored_for_the_solver_that_they_were_found_with() {
    let folder = tempdir().unwrap();
    let weights = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/assets/fashion_mnist/weights.safetensors"
    );
    fs::copy(weights, folder.path().join("w.safetensors")).unwrap();
    let common = "--checkpoint w.safetensors --exit-rule threshold --steps 2 --reduction 0.3";
    let run = |command: &str, solver: &str| {
        succeeds(&folder, &format!("{command} {common} --solver {solver}"));
        fs::read_to_string(folder.path().join("calibration.json")).unwrap()
    };
    let one = run("calibrate", "ddim");
    assert_eq!(one.matches("\"solver\": \"ddim\"").count(), 1, "{one}");
    let two = run("calibrate", "unipc");
    assert_eq!(two.matches("\"solver\": \"ddim\"").count(), 1, "{two}");
    assert_eq!(two.matches("\"solver\": \"unipc\"").count(), 1, "{two}");
    assert_eq!(run("sample --samples 1 --out s", "ddim"), two);
    let preset = fs::read_to_string(folder.path().join("s/preset.toml")).unwrap();
    assert!(preset.contains("solver = \"ddim\"\n"), "{preset}");
}

#[test]
fn tables_and_figures_that_there_are_not_are_explained() {
    let folder = tempdir().unwrap();
    fails(
        &folder,
        "table table1",
        &["conditional, ual, ablations, solvers, methods, by-sample, trade-off and all"],
    );
    fails(
        &folder,
        "table unconditional",
        &["is conditioned", "`table conditional`"],
    );
    fails(
        &folder,
        "table ual --samples 64",
        &["64 features", "more than 64 samples"],
    );
    fails(&folder, "table ual --seeds 1,2,1", &["twice in --seeds"]);
    fails(
        &folder,
        "table ual --variant weights.safetensors",
        &["no-ual=weights.safetensors"],
    );
    fails(
        &folder,
        "figure 7",
        &["1, 3, 4, 5, 6, exits, reliability, time and all"],
    );
    fails(
        &folder,
        "study --results .",
        &["holds no results", "--results"],
    );
}

#[test]
fn figure_2_is_a_diagram_and_said_to_be_one() {
    let folder = tempdir().unwrap();
    let told = succeeds(&folder, "figure 2");
    assert!(
        told.contains("is the drawing of the method itself"),
        "{told}"
    );
    assert!(contents(folder.path()).is_empty());
}

#[test]
fn unknown_and_missing_devices_are_explained() {
    let folder = tempdir().unwrap();
    fails(
        &folder,
        "--device abacus",
        &["abacus", "flex, ndarray, wgpu, vulkan, cuda"],
    );
    fails(&folder, "--device cuda:x", &["cuda:0"]);
    fails(&folder, "--device flex:3", &["only one flex device"]);
    let mut compiled = compiled_devices().into_iter();
    if compiled.all(|device| device.backend != BackendName::Cuda) {
        fails(
            &folder,
            "--device cuda",
            &["without the device 'cuda'", "--features cuda"],
        );
    }
}

#[test]
fn missing_and_damaged_data_are_named() {
    let folder = tempdir().unwrap();
    fails(
        &folder,
        "train --data nowhere",
        &["nowhere", "dataset-fashion-mnist"],
    );

    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fails(
        &folder,
        "train --data data",
        &["train-images-idx3-ubyte.gz"],
    );

    fs::write(
        data.join("train-images-idx3-ubyte.gz"),
        b"this is no gzip file",
    )
    .unwrap();
    fs::write(data.join("train-labels-idx1-ubyte.gz"), b"nor is this").unwrap();
    fails(
        &folder,
        "train --data data",
        &["train-images-idx3-ubyte.gz", "gzip"],
    );
}

#[test]
fn checkpoints_that_cannot_be_used_are_refused() {
    let folder = tempdir().unwrap();
    fails(
        &folder,
        "--checkpoint nowhere.safetensors",
        &["nowhere.safetensors"],
    );

    let path = folder.path().join("weights.safetensors");
    fs::write(&path, [7; 1000]).unwrap();
    fails(
        &folder,
        "--checkpoint weights.safetensors",
        &["weights.safetensors", "damaged"],
    );

    let preset = Preset::fashion_mnist().unwrap();
    let mut wide = preset.model.clone();
    wide.backbone.width = 160;
    let model = wide.init::<Flex>(0, &FlexDevice).unwrap();
    save::<Flex, _>(
        &model,
        WeightPrecision::Half,
        &[("preset", preset.to_toml().unwrap())],
        &path,
    )
    .unwrap();
    fails(
        &folder,
        "--checkpoint weights.safetensors",
        &["does not fit", "backbone.pos_embed", "128", "160"],
    );

    // Building the network that the preset claims would take 10 TB.
    let mut huge = preset.clone();
    huge.model.backbone.width = 1 << 20;
    let metadata = [("preset", huge.to_toml().unwrap())];
    save::<Flex, _>(&model, WeightPrecision::Half, &metadata, &path).unwrap();
    fails(
        &folder,
        "--checkpoint weights.safetensors",
        &["too few", "parameters"],
    );

    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    fails(&folder, "--checkpoint weights.safetensors", &["damaged"]);

    save::<Flex, _>(&model, WeightPrecision::Half, &[], &path).unwrap();
    fails(
        &folder,
        "--checkpoint weights.safetensors",
        &["does not say which network"],
    );
}

#[test]
fn folders_that_cannot_be_written_are_named_before_any_work() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("file"), b"").unwrap();
    fails(&folder, "--out file/run", &["cannot write", "--out"]);
    fails(&folder, "--out file", &["holds files already"]);
    // The bundled test images stand for the training images, which need not be installed.
    let assets = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fashion_mnist"));
    fs::create_dir(folder.path().join("data")).unwrap();
    for name in ["images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"] {
        let copy = folder.path().join(format!("data/train-{name}"));
        fs::copy(assets.join(format!("t10k-{name}")), copy).unwrap();
    }
    fails(
        &folder,
        "train --data data --out file/run",
        &["cannot create", "file/run"],
    );
    fs::create_dir(folder.path().join("run")).unwrap();
    fs::write(folder.path().join("run/notes.txt"), b"mine").unwrap();
    fails(&folder, "--out run", &["run", "holds files already"]);
    assert_eq!(
        fs::read(folder.path().join("run/notes.txt")).unwrap(),
        b"mine"
    );
}

#[test]
fn what_is_read_is_never_written_over() {
    let folder = tempdir().unwrap();
    let weights = folder.path().join("w.safetensors");
    fs::write(&weights, "weights").unwrap();
    for (command, read) in [
        ("timing", "--checkpoint"),
        ("backends", "--checkpoint"),
        ("reference", "--inception"),
        ("train-features", "--data"),
    ] {
        let both = format!("{command} {read} w.safetensors --out w.safetensors");
        fails(&folder, &both, &["w.safetensors is read for this"]);
        let out = format!("{command} --out /proc/none");
        fails(&folder, &out, &["cannot write /proc/none"]);
    }
    assert_eq!(fs::read_to_string(weights).unwrap(), "weights");
}

#[test]
fn an_evaluation_that_cannot_be_judged_or_runs_already_does_not_start() {
    let folder = tempdir().unwrap();
    let evaluate = "evaluate --out out --depth 1 --samples";
    fails(&folder, &format!("{evaluate} 64"), &["asks for 64"]);
    let part = folder.path().join("out/part-00000-of-00001.json");
    let _lock = FolderLock::try_for_file(&part).unwrap();
    fails(
        &folder,
        &format!("{evaluate} 65"),
        &["another process writes", "part-00000-of-00001.json"],
    );
}

/// A copy of a reference fixture's weights in a folder of its own.
fn published_weights(fixture: &str) -> TempDir {
    let folder = tempdir().unwrap();
    let fixtures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures"));
    fs::copy(
        fixtures.join(fixture).join("weights.pth"),
        folder.path().join("weights.pth"),
    )
    .unwrap();
    folder
}

#[test]
fn published_weights_become_a_checkpoint() {
    let folder = published_weights("uvit_class");
    let printed = succeeds(
        &folder,
        "import weights.pth --heads 4 --out ours.safetensors",
    );
    for words in [
        "PyTorch file of 88 tensors",
        "3x8x8, patch 2, width 32, 5 blocks (depth 4), 4 heads",
        "11 classes",
        "one behind each block",
    ] {
        assert!(printed.contains(words), "'{words}' is not in: {printed}");
    }
    let sample = "sample --checkpoint ours.safetensors --samples 4 --steps 3 --depth 2 --out run";
    let printed = succeeds(&folder, sample);
    assert!(printed.contains("2.00 of 5 blocks"), "{printed}");
    fails(
        &folder,
        "import weights.pth --heads 4 --out ours.safetensors",
        &["exists already", "--out"],
    );
}

#[test]
fn a_backbone_alone_samples_at_fixed_depths_only() {
    let folder = published_weights("uvit_class");
    let weights = WeightFile::open(&folder.path().join("weights.pth")).unwrap();
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
    fs::write(folder.path().join("backbone.safetensors"), bytes).unwrap();
    let printed = succeeds(
        &folder,
        "import backbone.safetensors --heads 4 --out ours.safetensors",
    );
    assert!(printed.contains("untrained"), "{printed}");
    let sample = "sample --checkpoint ours.safetensors --steps 2 --samples 2 --out run";
    fails(&folder, sample, &["backbone alone", "--full"]);
    succeeds(&folder, &format!("{sample} --full"));
}

#[test]
fn files_that_are_no_published_weights_are_not_imported() {
    let folder = published_weights("uvit_class");
    let refused = |file_and_options: &str, words: &[&str]| {
        let import = format!("import {file_and_options} --out ours.safetensors");
        fails(&folder, &import, words);
    };
    refused("nowhere.pth", &["nowhere.pth"]);
    refused("weights.pth", &["width 32", "--heads"]);
    refused("weights.pth --heads 5", &["heads"]);
    let preset = Preset::fashion_mnist().unwrap().to_toml().unwrap();
    fs::write(folder.path().join("preset.toml"), preset).unwrap();
    refused(
        "weights.pth --preset preset.toml",
        &["another network", "3x8x8", "1x32x32"],
    );
    let bytes = fs::read(folder.path().join("weights.pth")).unwrap();
    fs::write(folder.path().join("cut.pth"), &bytes[..bytes.len() - 999]).unwrap();
    refused(
        "cut.pth --heads 4",
        &["cut.pth", "not a usable weight file"],
    );
    let tensors = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/fixtures/uvit_class/tensors.safetensors"
    );
    fs::copy(tensors, folder.path().join("tensors.safetensors")).unwrap();
    refused(
        "tensors.safetensors",
        &["no network that is known here", "in.t"],
    );
}

#[test]
fn the_networks_around_a_diffusion_model_are_imported_whole() {
    let folder = published_weights("autoencoder");
    let import = "import weights.pth --out ours.safetensors";
    let printed = succeeds(&folder, import);
    assert!(
        printed.contains("KL autoencoder of 2 levels, 32 channels"),
        "{printed}"
    );
    let path = folder.path().join("ours.safetensors");
    let bytes = fs::read(&path).unwrap();
    let header = metadata(&bytes, &path).unwrap();
    assert_eq!(header["network"], "autoencoder");
    let config: AutoencoderConfig = serde_json::from_str(&header["config"]).unwrap();
    let model = config.init::<Flex>(&FlexDevice).unwrap();
    let ours = load::<Flex, _>(model, bytes, &path).unwrap();
    let file = WeightFile::open(&folder.path().join("weights.pth")).unwrap();
    let published = config.import::<Flex>(&file, &FlexDevice).unwrap();
    let image = Tensor::<Flex, 4>::ones([1, 3, 16, 16], &FlexDevice);
    let moments = |model: &Autoencoder<Flex>| {
        let moments = model.encode_moments(image.clone()).unwrap();
        moments.into_data().into_vec::<f32>().unwrap()
    };
    assert_eq!(moments(&ours), moments(&published));

    let folder = published_weights("clip_text");
    let printed = succeeds(&folder, &format!("{import} --heads 4"));
    assert!(
        printed.contains("CLIP text model of 2 layers, width 32, 4 heads"),
        "{printed}"
    );
}

#[test]
fn presets_with_unknown_or_senseless_values_are_refused() {
    let folder = tempdir().unwrap();
    let preset = Preset::fashion_mnist().unwrap().to_toml().unwrap();
    let path = folder.path().join("preset.toml");
    for (from, to, word) in [
        ("flip =", "flop =", "flop"),
        ("heads = 4", "heads = 5", "heads"),
        ("batch_size = 32", "batch_size = 0", "batch_size"),
        ("width = 128", "width = 99999999", "width"),
    ] {
        assert!(preset.contains(from));
        fs::write(&path, preset.replacen(from, to, 1)).unwrap();
        fails(
            &folder,
            "train --preset preset.toml",
            &["preset.toml", word],
        );
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let folder = tempdir().unwrap();
    let child = program(folder.path())
        .args(["--samples", "100000", "--out", "runs/long"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The run's temporary folder shows that it has begun.
    let start = Instant::now();
    let runs = folder.path().join("runs");
    while !runs.exists() && start.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    assert_failure(&output, &["interrupted", "nothing was written"]);
    assert_eq!(contents(folder.path()), Vec::<String>::new());
}

#[test]
fn metrics_prints_one_line_and_nothing_else() {
    let folder = tempdir().unwrap();
    let metrics = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_metrics"));
        command
            .current_dir(&folder)
            .args(arguments)
            .output()
            .unwrap()
    };
    // Three features of one dimension, as NumPy stores them.
    let description = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1), }\n";
    let mut features = b"\x93NUMPY\x01\x00".to_vec();
    features.extend((description.len() as u16).to_le_bytes());
    features.extend(description.as_bytes());
    features.extend(
        [1.0_f32, 2.0, 4.0]
            .iter()
            .flat_map(|value| value.to_le_bytes()),
    );
    fs::write(folder.path().join("features.npy"), features).unwrap();

    let output = metrics(&["features.npy", "features.npy"]);
    assert!(output.status.success(), "{output:?}");
    let line = String::from_utf8(output.stdout).unwrap();
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    let record: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(record["fid"].as_f64().unwrap().abs() < 1e-12, "{line}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("note: fid is of 3 samples"));

    let output = metrics(&["features.npy", "nowhere.npz"]);
    assert_failure(&output, &["error: cannot read nowhere.npz"]);
    assert!(output.stdout.is_empty());
}
