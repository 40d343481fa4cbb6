//! Published weights in the forms that they are found in, and such as cannot be used.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use adadiff_weights::WeightFile;
use safetensors::tensor::{Dtype, TensorView};
use tempfile::{TempDir, tempdir};

use crate::made::{command, fail, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fashion_mnist");

const IMPORT: &str = "import in.safetensors --out out";

/// A tensor of a file: name, type, shape and bytes.
#[derive(Clone)]
struct Stored {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    fn new<const N: usize>(name: &str, dtype: Dtype, shape: &[usize], bytes: [u8; N]) -> Self {
        Self {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
            bytes: bytes.to_vec(),
        }
    }

    /// The same with every value larger by `more`.
    fn raised(&self, more: f32) -> Self {
        let values = self.bytes.as_chunks().0.iter();
        let values = values.map(|value| f32::from_le_bytes(*value) + more);
        Self {
            bytes: values.flat_map(f32::to_le_bytes).collect(),
            ..self.clone()
        }
    }

    fn within(&self, part: &str) -> Self {
        Self {
            name: format!("{part}.{}", self.name),
            ..self.clone()
        }
    }
}

fn fixture(name: &str) -> Vec<Stored> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
    let file = WeightFile::open(&path.join(name).join("weights.pth")).unwrap();
    let names = file.tensors().keys();
    names
        .map(|name| {
            let data = file.read(name).unwrap();
            Stored {
                name: name.clone(),
                dtype: Dtype::F32,
                shape: data.shape.to_vec(),
                bytes: data.as_bytes().to_vec(),
            }
        })
        .collect()
}

fn write(path: &Path, tensors: &[Stored]) {
    let views = tensors.iter().map(|tensor| {
        let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes);
        (tensor.name.as_str(), view.unwrap())
    });
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Imports tensors of a diffusion model of two heads and gives back what was told and the tensors of
/// the file that was written, bit for bit.
fn import(tensors: &[Stored], options: &str) -> (String, Vec<Vec<u8>>) {
    let folder = tempdir().unwrap();
    write(&folder.path().join("in.safetensors"), tensors);
    let told = run(
        PROGRAM,
        folder.path(),
        &format!("{IMPORT} --heads 2 {options}"),
    );
    let written = WeightFile::open(&folder.path().join("out")).unwrap();
    let names = written.tensors().keys();
    let values = names.map(|name| written.read(name).unwrap().as_bytes().to_vec());
    (told, values.collect())
}

/// What is said of a file of these tensors by `import`, which writes nothing.
fn refusal(folder: &TempDir, tensors: &[Stored], options: &str) -> String {
    write(&folder.path().join("in.safetensors"), tensors);
    let told = fail(PROGRAM, folder.path(), &format!("{IMPORT} {options}"));
    assert!(!folder.path().join("out").exists(), "{told}");
    told
}

#[test]
fn the_average_is_imported_and_what_was_read_is_told() {
    let average = fixture("exit_uncond");
    let raw: Vec<_> = average.iter().map(|tensor| tensor.raised(0.5)).collect();
    let of = |tensors: &[Stored], part: &str| -> Vec<_> {
        tensors.iter().map(|tensor| tensor.within(part)).collect()
    };
    let (_, expected) = import(&average, "");
    for (raw_part, average_part) in [
        ("model", "ema"),
        ("model", "model_ema"),
        ("state_dict", "state_dict_ema"),
        ("nnet", "nnet_ema"),
    ] {
        let both = [of(&raw, raw_part), of(&average, average_part)].concat();
        let (told, found) = import(&both, "");
        assert!(found == expected, "{average_part}: other weights");
        assert!(told.contains(&format!("under '{average_part}'")), "{told}");
        assert!(told.contains("not read"), "{told}");
        assert!(told.contains(&format!("under '{raw_part}'")), "{told}");
        let (told, found) = import(&both, &format!("--state-dict {raw_part}"));
        assert!(found != expected, "{raw_part}: the averaged weights");
        assert!(told.contains(&format!("under '{raw_part}'")), "{told}");
    }
    let folder = tempdir().unwrap();
    let both = [of(&raw, "first"), of(&average, "second")].concat();
    let told = refusal(&folder, &both, "--heads 2");
    assert!(told.contains("(first, second)"), "{told}");
    assert!(told.contains("--state-dict"), "{told}");
    assert!(import(&both, "--state-dict second").1 == expected);
    let told = refusal(&folder, &both, "--state-dict third");
    assert!(told.contains("first, second"), "{told}");
}

#[test]
fn prefixes_and_what_lies_beside_a_network_do_not_stop_an_import() {
    let weights = fixture("exit_uncond");
    let (_, expected) = import(&weights, "");
    for prefix in [
        "module",
        "_orig_mod",
        "model",
        "ema",
        "model.module",
        "net.0",
    ] {
        let renamed: Vec<_> = weights.iter().map(|tensor| tensor.within(prefix)).collect();
        let (told, found) = import(&renamed, "");
        assert!(found == expected, "{prefix}: other weights");
        assert!(told.contains(&format!("under '{prefix}'")), "{told}");
    }
    for beside in [
        Stored::new("step", Dtype::I64, &[], 1000i64.to_le_bytes()),
        Stored::new("best_loss", Dtype::F32, &[], 0.3f32.to_le_bytes()),
        Stored::new("rng", Dtype::U8, &[3], [1, 2, 3]),
        Stored::new("mask", Dtype::BOOL, &[2], [0, 1]),
        Stored::new("blocks.freqs", Dtype::C64, &[1], [0; 8]),
    ] {
        let (told, found) = import(&[&weights[..], std::slice::from_ref(&beside)].concat(), "");
        assert!(found == expected, "{}: other weights", beside.name);
        assert!(told.contains(&beside.name), "{told}");
    }
    // A tensor that could be a weight is not passed over.
    let folder = tempdir().unwrap();
    let other = Stored::new("extra.weight", Dtype::F32, &[1], [0; 4]);
    let told = refusal(&folder, &[&weights[..], &[other]].concat(), "--heads 2");
    assert!(told.contains("extra.weight [1] is not part"), "{told}");
}

#[test]
fn values_that_are_no_weights_are_refused_by_name() {
    let folder = tempdir().unwrap();
    for (network, name, heads) in [
        ("exit_uncond", "norm.weight", "2"),
        ("uvit_class", "lte_classifer.1.lte.bias", "4"),
        ("autoencoder", "decoder.conv_in.weight", "1"),
        ("clip_text", "text_model.final_layer_norm.bias", "4"),
    ] {
        let sound = fixture(network);
        let at = sound.iter().position(|tensor| tensor.name == name).unwrap();
        for (value, words) in [
            (f64::NAN, "not numbers (NaN)"),
            (f64::NEG_INFINITY, "infinite"),
            (1e300, "beyond single precision"),
        ] {
            let mut tensors = sound.clone();
            let single = tensors[at].bytes.as_chunks().0.iter();
            let mut values: Vec<_> = single
                .map(|value| f64::from(f32::from_le_bytes(*value)))
                .collect();
            values[0] = value;
            tensors[at].dtype = Dtype::F64;
            tensors[at].bytes = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            let told = refusal(&folder, &tensors, &format!("--heads {heads}"));
            assert!(told.contains(name) && told.contains(words), "{told}");
            assert!(told.contains("in.safetensors"), "{told}");
        }
    }
}

#[test]
fn an_import_does_not_need_a_reader() {
    let folder = tempdir().unwrap();
    write(
        &folder.path().join("in.safetensors"),
        &fixture("exit_uncond"),
    );
    let mut child = command(PROGRAM, folder.path(), &format!("{IMPORT} --heads 2"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(!told.contains("panicked"), "{told}");
    WeightFile::open(&folder.path().join("out")).unwrap();
}

#[test]
fn a_piece_of_several_is_told_as_such_by_every_command() {
    let folder = tempdir().unwrap();
    let name = "model-00001-of-00002.safetensors";
    write(&folder.path().join(name), &fixture("exit_uncond")[..9]);
    for arguments in [
        format!("import {name} --heads 2 --out out"),
        format!("sample --checkpoint {name}"),
    ] {
        let told = fail(PROGRAM, folder.path(), &arguments);
        assert!(told.contains("piece 1 of 2"), "{told}");
    }
}
