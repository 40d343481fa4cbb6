//! Importing published weights: every form of file, and what does not fit.

use std::path::{Path, PathBuf};

use adadiff_backends::{DeviceTask, run_on};
use adadiff_model::kernels::Kernels;
use adadiff_model::{ImportError, ImportHints, UVitConfig};
use adadiff_tests::{announce, reference_device, values, write_safetensors};
use adadiff_uem::{AdaDiffConfig, EstimatorForm};
use adadiff_weights::{Misfit, WeightError, WeightFile};
use anyhow::Result;
use burn::tensor::TensorData;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const HINTS: ImportHints = ImportHints {
    heads: 4,
    text_tokens: None,
};

fn bundled(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(path)
}

/// The network in a file, or the whole file where it holds none.
fn open(path: &str) -> WeightFile {
    let file = WeightFile::open(&bundled(path)).unwrap();
    file.network(UVitConfig::LANDMARK).unwrap().into_owned()
}

fn misfits(error: &WeightError) -> &[Misfit] {
    match error {
        WeightError::Misfits { misfits, .. } => misfits,
        other => panic!("{other}"),
    }
}

/// A class-conditional network of four in- and out-blocks and a mid block.
fn class() -> (WeightFile, AdaDiffConfig) {
    let file = open("uvit_class/weights.pth");
    let config = AdaDiffConfig::infer(&file, HINTS).unwrap();
    (file, config)
}

fn all(file: &WeightFile) -> Vec<(String, TensorData)> {
    let names = file.tensors().keys();
    names
        .map(|name| (name.clone(), file.read(name).unwrap()))
        .collect()
}

#[test]
fn all_forms_of_file_hold_the_same() {
    let zip = open("uvit_noskip/weights.pth");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    write_safetensors(&path, &all(&zip)).unwrap();
    for other in [
        open("uvit_noskip/weights_wrapped.pth"),
        open("uvit_noskip/weights_legacy.pth"),
        WeightFile::open(&path).unwrap(),
    ] {
        assert_eq!(all(&zip), all(&other), "{}", other.format());
    }
}

/// Imports a network and checks a weight and a negated one.
struct Import(WeightFile, AdaDiffConfig);

impl DeviceTask for Import {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let Self(file, config) = self;
        let model = config.import::<B>(&file, &device)?;
        let published = |name: &str| file.read(name).unwrap().into_vec::<f32>().unwrap();
        let width = config.backbone.width;
        let fc1 = values(model.backbone.blocks[0].mlp.fc1.weight.val().transpose());
        assert_eq!(fc1, published("in_blocks.0.mlp.fc1.weight"));
        let last = &model.backbone.blocks[config.backbone.blocks() - 1];
        assert_eq!(
            values(last.norm2.gamma.val()),
            published(&format!(
                "out_blocks.{}.norm2.weight",
                config.backbone.depth / 2 - 1
            ))
        );
        let estimator = values(model.estimators[1].tokens.weight.val().transpose());
        let certainty = published("lte_classifer.1.lte.weight");
        assert_eq!(estimator.len(), width * config.backbone.patch_values());
        assert!(
            estimator
                .iter()
                .zip(certainty)
                .all(|(ours, theirs)| *ours == -theirs)
        );
        Ok(())
    }
}

#[test]
fn weights_are_placed_where_they_belong() {
    let device = reference_device();
    announce("weights_are_placed_where_they_belong", &[device]);
    let (file, config) = class();
    run_on(device, Import(file, config)).unwrap();
}

#[test]
fn an_odd_depth_has_an_estimator_without_use() {
    let device = reference_device();
    announce("an_odd_depth_has_an_estimator_without_use", &[device]);
    let (file, even) = class();
    let extra = |index: usize, rows: usize| {
        let part = |name: &str, shape: &[usize]| {
            let values = vec![0.5f32; shape.iter().product()];
            let name = format!("lte_classifer.{index}.lte.{name}");
            (name, TensorData::new(values, shape.to_vec()))
        };
        [
            part("weight", &[rows, even.backbone.width]),
            part("bias", &[rows]),
        ]
    };
    let rows = even.backbone.patch_values();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let with = |extras: &[[(String, TensorData); 2]]| {
        write_safetensors(&path, &[all(&file), extras.concat()].concat()).unwrap();
        WeightFile::open(&path).unwrap()
    };
    let odd = with(&[extra(5, rows)]);
    let config = AdaDiffConfig::infer(&odd, HINTS).unwrap();
    assert_eq!(config.backbone.depth, 5);
    assert_eq!(config.backbone.blocks(), even.backbone.blocks());
    run_on(device, Import(odd, config.clone())).unwrap();
    run_on(device, Import(class().0, config.clone())).unwrap();

    // Exactly that one, of that shape, and at no even depth.
    let odd = with(&[extra(5, rows)]);
    let error = odd.place(even.placements().unwrap()).unwrap_err();
    assert_eq!(misfits(&error).len(), 2);
    let other_shape = with(&[extra(5, rows + 1)]);
    let error = other_shape.place(config.placements().unwrap()).unwrap_err();
    assert!(
        matches!(
            misfits(&error),
            [Misfit::Shape { .. }, Misfit::Shape { .. }]
        ),
        "{error}"
    );
    let two = with(&[extra(5, rows), extra(6, rows)]);
    let error = two.place(config.placements().unwrap()).unwrap_err();
    assert_eq!(misfits(&error).len(), 2);
    assert!(
        error
            .to_string()
            .contains("lte_classifer.6.lte.bias [12] is not part"),
        "{error}"
    );
}

#[test]
fn everything_that_does_not_fit_is_named() {
    let (file, config) = class();
    let mut other = config.clone();
    other.backbone.classes = Some(7);
    let error = file.place(other.placements().unwrap()).unwrap_err();
    let expected = Misfit::Shape {
        name: "label_emb.weight".into(),
        expected: vec![7, 32],
        found: vec![11, 32],
    };
    assert_eq!(misfits(&error), [expected]);
    assert!(
        error
            .to_string()
            .ends_with("does not fit the network: label_emb.weight is [11, 32] instead of [7, 32]"),
        "{error}"
    );

    let mut deeper = config.clone();
    deeper.backbone.depth += 2;
    let error = file
        .place(deeper.placements().unwrap())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("in_blocks.2.attn.qkv.weight [96, 32] is missing"),
        "{error}"
    );
    assert!(
        error.contains("lte_classifer.6.lte.bias [12] is missing"),
        "{error}"
    );

    // A network without estimators has no place for them, and one with has no other source.
    let error = file
        .place(config.backbone.placements().unwrap())
        .unwrap_err();
    let unexpected = |misfit: &Misfit| match misfit {
        Misfit::Unexpected { name, .. } => name.starts_with("lte_classifer."),
        _ => false,
    };
    assert_eq!(misfits(&error).len(), 2 * config.backbone.blocks());
    assert!(misfits(&error).iter().all(unexpected), "{error}");
}

/// Tries to import with estimators that were never published.
struct WithTime;

impl DeviceTask for WithTime {
    type Output = Result<ImportError>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<ImportError> {
        let (file, config) = class();
        let config = AdaDiffConfig {
            estimator: EstimatorForm::Timestep,
            ..config
        };
        Ok(config.import::<B>(&file, &device).unwrap_err())
    }
}

#[test]
fn what_a_file_does_not_tell_is_asked_for() {
    let device = reference_device();
    announce("what_a_file_does_not_tell_is_asked_for", &[device]);
    let error = run_on(device, WithTime).unwrap().to_string();
    assert!(error.contains("estimator = \"tokens\""), "{error}");
    let text = open("uvit_t2i/weights.pth");
    let error = UVitConfig::infer(&text, HINTS).unwrap_err().to_string();
    assert!(error.contains("give the number of text tokens"), "{error}");
    let error = UVitConfig::infer(&class().0, ImportHints { heads: 5, ..HINTS });
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("width 32 is not a multiple of heads 5"),
        "{error}"
    );
    let other = open("uvit_class/tensors.safetensors");
    let error = UVitConfig::infer(&other, HINTS).unwrap_err().to_string();
    assert!(
        error.contains("it has no tensor patch_embed.proj.weight"),
        "{error}"
    );
}

#[test]
fn damaged_files_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for source in [
        "uvit_noskip/weights.pth",
        "uvit_noskip/weights_wrapped.pth",
        "uvit_noskip/weights_legacy.pth",
        "uvit_t2i_mlp/tensors.safetensors",
    ] {
        let sound = std::fs::read(bundled(source)).unwrap();
        for _ in 0..40 {
            let length = random.random_range(0..sound.len());
            std::fs::write(&path, &sound[..length]).unwrap();
            let error = WeightFile::open(&path).unwrap_err();
            assert!(
                matches!(error, WeightError::Unusable { .. }),
                "{source}: {error}"
            );
        }
        for _ in 0..150 {
            let mut damaged = sound.clone();
            for _ in 0..random.random_range(1..4) {
                // Mostly where the structure is: at the start and at the end.
                let near = random.random_range(0..8000.min(sound.len()));
                let at = match random.random_range(0..3) {
                    0 => sound.len() - 1 - near,
                    _ => near,
                };
                damaged[at] = random.random();
            }
            std::fs::write(&path, damaged).unwrap();
            if let Ok(file) = WeightFile::open(&path) {
                all(&file);
                let _ = AdaDiffConfig::infer(&file, HINTS);
            }
        }
    }
}
