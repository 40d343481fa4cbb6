//! The program from its command line to its record, without the network where numbers matter: the
//! network's are compared with the published tools' in `tests/oracles/metrics`.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use adadiff_metrics::{FeatureOrigin, Gaussian, write_statistics};
use adadiff_storage::sha256_file;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::Value;
use tempfile::{TempDir, tempdir};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

/// An array as NumPy stores it.
pub(super) fn array(element: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{element}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(values);
    bytes
}

/// Features of one dimension.
fn features(values: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    array("<f4", &format!("({}, 1)", values.len()), &bytes)
}

fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub(super) fn png(colour: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let image = RgbImage::from_pixel(2, 2, Rgb([colour; 3]));
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A folder with two sets of features and two images in a folder and in other forms.
pub(super) fn folder() -> TempDir {
    let folder = tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("a.npy", &features(&[0.0, 1.0, 5.0]));
    write("b.npy", &features(&[2.0, 3.0, 23.0]));
    fs::create_dir(folder.path().join("images")).unwrap();
    for (name, colour) in [("images/1.png", 10), ("images/2.png", 20)] {
        write(name, &png(colour));
    }
    write("images/notes.txt", b"left out");
    write(
        "images.zip",
        &archive(&[("1.png", png(10)), ("2.png", png(20))]),
    );
    let pixels = [[10; 12], [20; 12]].concat();
    let pixels = array("|u1", "(2, 2, 2, 3)", &pixels);
    write("images.npz", &archive(&[("arr_0.npy", pixels)]));
    folder
}

/// Runs the program on files in a folder.
pub(super) fn run_in(folder: &TempDir, arguments: &str) -> Result<MetricsRecord, String> {
    let in_folder = |argument: &str| {
        let path = folder.path().join(argument);
        let is_file = argument.contains('.') || path.exists();
        if is_file {
            path.to_string_lossy().into_owned()
        } else {
            argument.to_owned()
        }
    };
    let arguments = ["metrics".to_owned()]
        .into_iter()
        .chain(arguments.split(' ').map(in_folder));
    let arguments = Arguments::try_parse_from(arguments).map_err(|error| error.to_string())?;
    let outcome = run(arguments).and_then(|outcome| match outcome.fault {
        None => Ok(outcome.record),
        Some(error) => Err(error),
    });
    outcome.map_err(|error| format!("{error:#}"))
}

#[track_caller]
pub(super) fn fails(folder: &TempDir, arguments: &str, words: &[&str]) {
    let message = run_in(folder, arguments).unwrap_err();
    for word in words {
        assert!(message.contains(word), "'{word}' is not in: {message}");
    }
}

#[test]
fn given_features_are_compared_without_a_network() {
    let folder = folder();
    let metrics = "a.npy b.npy --metrics fid,kid,pr";
    let settings = "--kid-subset-size 3 --kid-subsets 2 --neighbours 1";
    let record = run_in(&folder, &format!("{metrics} {settings}")).unwrap();
    // Means 2 and 28/3; variances 7 and 421/3.
    let deviations = 7.0_f64.sqrt() - (421.0_f64 / 3.0).sqrt();
    let expected = (22.0_f64 / 3.0).powi(2) + deviations * deviations;
    assert!((record.figures.fid.unwrap() / expected - 1.0).abs() < 1e-12);
    // Every subset is the whole set.
    let kernel = |a: f64, b: f64| (a * b + 1.0).powi(3);
    let (a, b) = ([0.0, 1.0, 5.0], [2.0, 3.0, 23.0]);
    let within = |set: [f64; 3]| {
        let pairs = kernel(set[0], set[1]) + kernel(set[0], set[2]) + kernel(set[1], set[2]);
        pairs / 3.0
    };
    let between: f64 = a
        .iter()
        .flat_map(|&a| b.iter().map(move |&b| kernel(a, b)))
        .sum();
    let expected = within(a) + within(b) - 2.0 * between / 9.0;
    let kid = record.figures.kid.unwrap();
    assert!((kid.spread.mean / expected - 1.0).abs() < 1e-12);
    assert_eq!((kid.subsets, kid.subset_size), (2, 3));
    // Of the samples 0, 1 and 5, 1 is on 2's border and 5 within 23's ball; of the reference, 2 is
    // on 1's border and 3 within 5's ball.
    let sides = record.figures.pr.unwrap().sides;
    assert_eq!((sides.precision, sides.recall), (2.0 / 3.0, 2.0 / 3.0));
    // Of length one, all of `b.npy` are 1, and these -1.
    let opposite = features(&[-1.0, -7.0]);
    fs::write(folder.path().join("opposite.npy"), opposite).unwrap();
    let record = run_in(&folder, "b.npy opposite.npy --metrics cmmd").unwrap();
    let expected = 1000.0 * (2.0 - 2.0 * (-4.0_f64 / 200.0).exp());
    assert!((record.figures.cmmd.unwrap() / expected - 1.0).abs() < 1e-9);
}

#[test]
fn a_record_tells_what_it_depends_on() {
    let folder = folder();
    let record = run_in(&folder, "a.npy b.npy").unwrap();
    let line = serde_json::to_string(&record).unwrap();
    assert!(!line.contains('\n'));
    assert_eq!(
        serde_json::from_str::<MetricsRecord>(&line).unwrap(),
        record
    );
    let value: Value = serde_json::from_str(&line).unwrap();
    assert!(
        value["fid"].is_f64() && value.get("kid").is_none(),
        "{line}"
    );
    assert_eq!(value["samples"]["kind"], "features");
    assert_eq!(value["samples"]["count"], 3);
    assert_eq!(value["reference"]["skipped"], 0);
    assert_eq!(value["weights"], Value::Null);
    let expected = sha256_file(&folder.path().join("b.npy")).unwrap();
    assert_eq!(value["reference"]["sha256"], expected);
    let note = value["notes"][0].as_str().unwrap();
    assert!(note.contains("3 samples and 3 of the reference"), "{note}");
    assert!(note.contains("biased upwards"), "{note}");
}

#[test]
fn digests_are_those_of_sha256sum() {
    let folder = tempdir().unwrap();
    let path = folder.path();
    for (name, bytes) in [("b.png", "abd"), ("a.png", "abc"), ("c.txt", "left out")] {
        fs::write(path.join(name), bytes).unwrap();
    }
    // `sha256sum a.png`, and `sha256sum a.png b.png | sha256sum`.
    assert_eq!(
        sha256_file(&path.join("a.png")).unwrap(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    let source = adadiff_metrics::Source::open(path).unwrap();
    assert_eq!(
        digest::of_source(&source).unwrap(),
        "f52dd65e383370d341ba073a8df289c32eb4b9a287fa2429908da7e5f12e5a19"
    );
}

#[test]
fn statistics_are_written_and_stand_for_their_samples() {
    let folder = folder();
    let write = "a.npy --write-statistics a.npz";
    let written = run_in(&folder, write).unwrap().written.unwrap();
    assert_eq!(written.sha256, sha256_file(&written.path).unwrap());
    let of_samples = run_in(&folder, "a.npy b.npy").unwrap();
    let record = run_in(&folder, "a.npz b.npy").unwrap();
    assert_eq!(record.figures, of_samples.figures);
    assert_eq!(record.samples.count, None);
    assert!(record.samples.stored_statistics);
    assert!(record.notes[0].contains("an unknown number of samples"));

    fails(
        &folder,
        write,
        &["a.npz exists already", "--write-statistics"],
    );
    fails(
        &folder,
        "a.npy --write-statistics nowhere/a.npz",
        &["cannot write", "its folder is missing"],
    );
    fails(
        &folder,
        "a.npz b.npy --metrics kid",
        &["a.npz holds statistics alone", "`fid` and nothing else"],
    );
    fails(
        &folder,
        "a.npz b.npy --samples 2",
        &["a.npz holds statistics", "leave out --samples"],
    );
}

#[test]
fn statistics_beside_samples_are_those_of_fid() {
    let folder = folder();
    // As guided diffusion publishes them: of more samples than those in the file.
    let mut statistics = Cursor::new(Vec::new());
    let gaussian = Gaussian::new(vec![7.0], vec![4.0]).unwrap();
    write_statistics(&mut statistics, &gaussian, &FeatureOrigin::default()).unwrap();
    let path = folder.path().join("both.npz");
    let mut zip = ZipWriter::new_append(statistics).unwrap();
    zip.start_file("arr_0.npy", SimpleFileOptions::default())
        .unwrap();
    zip.write_all(&features(&[7.0, 8.0])).unwrap();
    fs::write(&path, zip.finish().unwrap().into_inner()).unwrap();
    let record = run_in(&folder, "a.npy both.npz --metrics fid,pr --neighbours 1").unwrap();
    // Means 2 and 7; variances 7 and 4.
    let expected = 25.0 + (7.0_f64.sqrt() - 2.0).powi(2);
    assert!((record.figures.fid.unwrap() - expected).abs() < 1e-12);
    let reference = record.reference.unwrap();
    assert_eq!(
        (reference.stored_statistics, reference.count),
        (true, Some(2))
    );
}

#[test]
fn too_few_samples_are_refused() {
    let folder = folder();
    let with = |more: &str| format!("a.npy b.npy {more}");
    fails(
        &folder,
        &with("--samples 4"),
        &["a.npy has 3 samples, but 4 were asked for", "--allow-small"],
    );
    let record = run_in(&folder, &with("--samples 4 --allow-small")).unwrap();
    assert_eq!(record.samples.count, Some(3));
    let record = run_in(&folder, &with("--samples 2")).unwrap();
    assert_eq!(record.samples.count, Some(2));
    assert_eq!(record.reference.unwrap().count, Some(3));
    // The first two: mean 1/2, variance 1/2.
    let deviations = 0.5_f64.sqrt() - (421.0_f64 / 3.0).sqrt();
    let expected = (53.0_f64 / 6.0).powi(2) + deviations * deviations;
    assert!((record.figures.fid.unwrap() / expected - 1.0).abs() < 1e-12);
    fails(
        &folder,
        &with("--samples 1"),
        &["a.npy has 1 samples, but the covariance of 1 features"],
    );
    fails(
        &folder,
        &with("--metrics kid"),
        &[
            "3 samples, but each subset of `kid` needs 1000",
            "--kid-subset-size",
        ],
    );
    let record = run_in(&folder, &with("--metrics kid --allow-small")).unwrap();
    assert_eq!(record.figures.kid.unwrap().subset_size, 3);
    // Known before the weights are read.
    fails(
        &folder,
        "images b.npy --weights none.pth",
        &["images has 2 samples", "covariance of 2048 features"],
    );
}

#[test]
fn what_cannot_be_measured_is_explained() {
    let folder = folder();
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::write(folder.path().join("wrong.pth"), b"no weights").unwrap();
    fs::write(folder.path().join("damaged.zip"), b"PK\x03\x04").unwrap();
    let wide = array("<f4", "(3, 2)", &[0; 24]);
    fs::write(folder.path().join("wide.npy"), wide).unwrap();
    let grey = archive(&[("arr_0.npy", array("|u1", "(1, 2, 2, 1)", &[0; 4]))]);
    fs::write(folder.path().join("grey.npz"), grey).unwrap();
    for (arguments, words) in [
        ("a.npy", &["nothing to compare with"][..]),
        ("a.npy --metrics kid", &["nothing to compare with"]),
        (
            "empty b.npy",
            &["empty holds no images", ".png, .ppm or .webp"],
        ),
        ("none.npz b.npy", &["cannot read", "none.npz"]),
        (
            "damaged.zip b.npy",
            &["damaged.zip is no usable zip archive"],
        ),
        ("wrong.pth b.npy", &["no set of samples that is known here"]),
        ("grey.npz b.npy", &["1 channels instead of 3"]),
        (
            "wide.npy b.npy",
            &["expected 2 values for each sample, found 1"],
        ),
        (
            "a.npy --metrics is",
            &["no inception score", "give the images"],
        ),
        (
            "images b.npy --metrics cmmd --weights wrong.pth",
            &["--clip-weights", "openai/clip-vit-large-patch14-336"],
        ),
        ("a.npy b.npy --metrics fad", &["fad", "cmmd"]),
        (
            "images b.npy --allow-small",
            &[
                "--weights",
                "pt_inception-2015-12-05-6726825d.pth",
                "github.com/mseitzer",
            ],
        ),
        (
            "images images.zip --allow-small --weights wrong.pth",
            &["wrong.pth"],
        ),
        (
            "images images.zip --metrics cmmd --clip-weights wrong.pth",
            &["wrong.pth"],
        ),
    ] {
        fails(&folder, arguments, words);
    }
}

/// Features of an image are its first pixel and its side; its probabilities tell the batch, its
/// embedding the pixel.
pub(super) struct FirstPixel;

impl networks::FeatureNetworks for FirstPixel {
    fn extract(
        &self,
        images: &[adadiff_metrics::ImageBatch],
        wanted: gather::FeatureNeeds,
    ) -> Result<networks::Extracted> {
        let total: usize = images.iter().map(|batch| batch.images()).sum();
        let mut extracted = networks::Extracted {
            dims: 2,
            ..networks::Extracted::default()
        };
        for batch in images {
            let [count, height, width, channels] = batch.shape();
            for image in batch.pixels().chunks_exact(height * width * channels) {
                let pixel = f32::from(image[0]);
                extracted.features.extend([pixel, width as f32]);
                if wanted.embeddings {
                    extracted.embeddings.extend([pixel; 3]);
                }
            }
            if wanted.probabilities {
                extracted.probabilities.extend(vec![total as f32; count]);
            }
        }
        Ok(extracted)
    }
}

#[test]
fn images_of_all_sizes_are_gathered_in_batches_and_in_order() {
    let folder = tempdir().unwrap();
    for (index, side) in [1, 1, 2, 1, 1, 1, 1].into_iter().enumerate() {
        let image = RgbImage::from_pixel(side, side, Rgb([index as u8; 3]));
        image
            .save(folder.path().join(format!("{index}.png")))
            .unwrap();
    }
    fs::write(folder.path().join("1b.png"), b"no image").unwrap();
    let gathered = |limit, batch, tolerated| {
        let mut source = adadiff_metrics::Source::open(folder.path()).unwrap();
        if let Some(adadiff_metrics::Samples::Files(files)) = source.samples_mut() {
            files.tolerate(tolerated);
        }
        let wanted = gather::FeatureNeeds {
            stored_statistics: false,
            statistics: true,
            features: true,
            probabilities: true,
            embeddings: true,
        };
        let bar = indicatif::ProgressBar::hidden();
        gather::gather(&mut source, wanted, limit, batch, Some(&FirstPixel), &bar)
    };
    let sides = [1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0];
    let rows = |count: usize| -> Vec<f32> {
        let rows = sides.iter().take(count).enumerate();
        rows.flat_map(|(index, &side)| [index as f32, side])
            .collect()
    };
    let all = gathered(None, 3, 1).unwrap();
    let single = gather::Rows::Single;
    assert_eq!((all.count, all.features), (Some(7), single(rows(7))));
    assert_eq!(all.bad[0].name, "1b.png");
    assert_eq!(all.probabilities, [3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 1.0]);
    assert_eq!(all.embeddings.len(), 21);
    assert_eq!(all.embeddings[6..9], [2.0; 3]);
    let statistics = all.gaussian.unwrap();
    assert_eq!(statistics.mean(), [3.0, 8.0 / 7.0]);
    for batch in [1, 4, 100] {
        let some = gathered(Some(5), batch, 1).unwrap();
        assert_eq!((some.count, some.features), (Some(5), single(rows(5))));
        assert_eq!(some.dims, 2);
    }
    let error = gathered(None, 3, 0).unwrap_err().to_string();
    assert!(error.contains("1 of the images"), "{error}");
    assert!(
        error.contains("1b.png cannot be decoded (it is no picture"),
        "{error}"
    );
}

/// Zeros under the network's published names, of which a file holds no more than their header.
fn write_weights(path: &Path) {
    let config = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/fixtures/inception/config.json"
    );
    let config: Value = serde_json::from_str(&fs::read_to_string(config).unwrap()).unwrap();
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for tensor in config["state_dict"].as_array().unwrap() {
        let sizes = tensor["shape"].as_array().unwrap().iter();
        let values: u64 = sizes.map(|size| size.as_u64().unwrap()).product();
        let offsets = [end, end + 4 * values];
        end = offsets[1];
        let entry = serde_json::json!({
            "dtype": "F32", "shape": tensor["shape"], "data_offsets": offsets,
        });
        header.insert(tensor["name"].as_str().unwrap().to_owned(), entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = fs::File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes())
        .unwrap();
    file.write_all(&header).unwrap();
    file.set_len(8 + header.len() as u64 + end).unwrap();
}

/// A small image model of CLIP's, under the published names.
#[cfg(feature = "flex")]
fn write_clip_weights(path: &Path) {
    use adadiff_model::clip::ClipVisionConfig;
    use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

    let config = ClipVisionConfig {
        image_size: 28,
        width: 64,
        mlp_width: 16,
        layers: 1,
        heads: 1,
        embedding: 5,
        ..ClipVisionConfig::vit_l_14_336()
    };
    let placements = config.placements().unwrap();
    let published = placements.iter().filter(|placed| placed.path.is_some());
    let tensors: Vec<_> = published
        .map(|placed| {
            // So small that attention is spread over the image.
            let values = 0..placed.shape.iter().product::<usize>();
            let bytes: Vec<u8> = values
                .flat_map(|index| (0.1 * (index as f32).sin()).to_le_bytes())
                .collect();
            (placed.published.clone(), placed.shape.clone(), bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (name.as_str(), view)
    });
    serialize_to_file(views, None, path).unwrap();
}

#[cfg(feature = "flex")]
#[test]
fn cmmd_compares_images_by_clip() {
    println!("device: flex");
    let folder = folder();
    write_clip_weights(&folder.path().join("clip.safetensors"));
    let with = "--metrics cmmd --clip-weights clip.safetensors";
    let run = |sets: &str| run_in(&folder, &format!("{sets} {with}")).unwrap();
    let record = run("images images.zip");
    // Rounding of the kernel, in double precision.
    assert!(record.figures.cmmd.unwrap().abs() < 1e-9);
    let named = record.clip_weights.unwrap();
    assert_eq!(named.sha256, sha256_file(&named.path).unwrap());
    assert_eq!((record.mode, record.weights), (None, None));
    assert_eq!((record.samples.count, record.samples.dims), (Some(2), 5));
    assert_eq!(record.dtype.as_deref(), Some("f32"));
    assert_eq!(record.batch, Some(50));
    let notes = record.notes.join(" ");
    assert!(notes.contains("not those of ViT-L/14"), "{notes}");

    // The weights of a patch nearly cancel out on a plain image.
    let coarse = RgbImage::from_fn(28, 28, |x, y| Rgb([(x * x * 7 + y * 13) as u8; 3]));
    fs::create_dir(folder.path().join("coarse")).unwrap();
    coarse.save(folder.path().join("coarse/1.png")).unwrap();
    let distance = run("images coarse").figures.cmmd.unwrap();
    assert!(distance > 1e-9, "{distance}");
    // Embeddings of the reference that another program computed, of which there are too few values.
    fails(
        &folder,
        &format!("images b.npy {with}"),
        &["expected 1 values for each sample, found 5"],
    );
}

#[cfg(feature = "flex")]
#[test]
fn images_in_all_forms_go_through_the_network() {
    println!("device: flex");
    let folder = folder();
    write_weights(&folder.path().join("weights.safetensors"));
    for (samples, kind) in [
        ("images", record::Kind::Folder),
        ("images.zip", record::Kind::Zip),
        ("images.npz", record::Kind::Images),
    ] {
        let settings = "--metrics is --splits 1 --mode clean --batch 2";
        let arguments = format!("{samples} --weights weights.safetensors {settings}");
        let record = run_in(&folder, &arguments).unwrap();
        assert_eq!(record.figures.is.unwrap().seed, Some(0));
        // All classes are alike to a network of zeros.
        assert!((record.figures.is.unwrap().spread.mean - 1.0).abs() < 1e-6);
        assert_eq!((record.samples.kind, record.samples.count), (kind, Some(2)));
        assert_eq!(record.mode, Some(Preprocessing::Clean));
        assert_eq!(record.device.as_deref(), Some("flex"));
        assert_eq!(record.dtype.as_deref(), Some("f32"));
        assert_eq!(record.batch, Some(2));
        let left_out = record.samples.left_out;
        let others = left_out.map(|left_out| left_out.total());
        let expected = match kind {
            record::Kind::Folder => Some(1),
            record::Kind::Zip => Some(0),
            _ => None,
        };
        assert_eq!(others, expected);
        let note = "2 images were taken and left out: 1 file with another ending (.txt 1)";
        let is_told = record.notes.iter().any(|told| told.contains(note));
        assert_eq!(is_told, expected == Some(1), "{:?}", record.notes);
        assert!(
            record
                .notes
                .iter()
                .any(|note| note.contains("not the published ones"))
        );
    }
}
