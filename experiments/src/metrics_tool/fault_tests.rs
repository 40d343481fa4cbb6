//! What other programs of this kind were reported to get wrong.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use adadiff_metrics::{
    FeatureOrigin, Gaussian, Samples, Source, read_statistics, write_statistics,
};
use serde_json::Value;
use tempfile::tempdir;

use super::tests::{FirstPixel, array, fails, folder, png, run_in};
use super::*;

fn doubles(values: &[f64]) -> Vec<u8> {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    array("<f8", &format!("({}, 1)", values.len()), &bytes)
}

/// A place that takes nothing, as a full disk.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn arguments(words: impl IntoIterator<Item = OsString>) -> Arguments {
    Arguments::try_parse_from([OsString::from("metrics")].into_iter().chain(words)).unwrap()
}

#[test]
fn features_far_from_zero_are_measured_as_those_around_it() {
    let folder = folder();
    let (a, b) = ([0.0, 1.0, 5.0, 2.5], [2.0, 3.0, 23.0, 9.0]);
    for (name, values, far) in [
        ("near_a.npy", a, 0.0),
        ("near_b.npy", b, 0.0),
        ("far_a.npy", a, 1e8),
        ("far_b.npy", b, 1e8),
    ] {
        let values: Vec<f64> = values.iter().map(|value| value + far).collect();
        fs::write(folder.path().join(name), doubles(&values)).unwrap();
    }
    let measured = |sets: &str| {
        let arguments = format!("{sets} --metrics fid,pr --neighbours 1");
        run_in(&folder, &arguments).unwrap().figures
    };
    let near = measured("near_a.npy near_b.npy");
    let far = measured("far_a.npy far_b.npy");
    assert_eq!(near.pr, far.pr);
    let (near, far) = (near.fid.unwrap(), far.fid.unwrap());
    assert!((far / near - 1.0).abs() < 1e-9, "{far} instead of {near}");
}

#[test]
fn what_does_not_vary_is_written_and_read() {
    let folder = folder();
    fs::write(folder.path().join("same.npy"), doubles(&[0.1; 300])).unwrap();
    run_in(&folder, "same.npy --write-statistics same.npz").unwrap();
    let written = read_statistics(&folder.path().join("same.npz")).unwrap();
    assert_eq!(
        (written.mean(), written.covariance()),
        (&[0.1][..], &[0.0][..])
    );
    let record = run_in(&folder, "same.npz same.npz").unwrap();
    assert_eq!(record.figures.fid, Some(0.0));
}

#[test]
fn a_figure_beyond_all_numbers_is_an_error() {
    let folder = folder();
    fs::write(
        folder.path().join("far.npy"),
        doubles(&[1e160, 1e160, 1e160]),
    )
    .unwrap();
    for metric in ["fid", "kid", "pr"] {
        let settings = "--kid-subset-size 3 --neighbours 1";
        let arguments = format!("far.npy b.npy --metrics {metric} {settings}");
        let error = run_in(&folder, &arguments);
        match metric {
            // Neighbours of far samples are near, and no other set's.
            "pr" => assert_eq!(error.unwrap().figures.pr.unwrap().sides.precision, 0.0),
            _ => assert!(
                error.unwrap_err().contains("beyond all numbers"),
                "{metric}"
            ),
        }
    }
}

#[test]
fn statistics_remember_how_their_features_were_made() {
    let folder = folder();
    for (name, mode) in [
        ("clean.npz", Some("clean")),
        ("tf.npz", Some("tf")),
        ("other.npz", None),
    ] {
        let gaussian = Gaussian::new(vec![7.0], vec![4.0]).unwrap();
        let origin = FeatureOrigin {
            mode: mode.map(str::to_owned),
            weights_sha256: None,
        };
        let file = fs::File::create(folder.path().join(name)).unwrap();
        write_statistics(file, &gaussian, &origin).unwrap();
    }
    fails(
        &folder,
        "clean.npz tf.npz",
        &["the mode clean and tf", "says nothing"],
    );
    run_in(&folder, "clean.npz clean.npz").unwrap();
    run_in(&folder, "clean.npz other.npz").unwrap();
}

#[test]
fn sizes_are_compared_before_a_network_runs() {
    let folder = folder();
    // No weights that could be read.
    fs::write(folder.path().join("wrong.pth"), b"no weights").unwrap();
    for (arguments, words) in [
        (
            "images images.zip --metrics pr",
            &["2 samples, of which none has 3 others"][..],
        ),
        (
            "images --metrics is",
            &["images has 2 samples, of which there cannot be 10 parts"],
        ),
        (
            "images b.npy --metrics kid",
            &["expected 1 values for each sample, found 2048"],
        ),
        (
            "images b.npy",
            &["expected 2048 values for each sample, found 1"],
        ),
    ] {
        let small = format!("{arguments} --weights wrong.pth --allow-small");
        fails(&folder, &small, words);
    }
    fails(
        &folder,
        "images images.zip --metrics kid --weights wrong.pth",
        &["one of the sets has 2 samples, but each subset of `kid` needs 1000"],
    );
}

#[test]
fn a_figure_is_told_though_it_cannot_be_written() {
    let folder = folder();
    let words = ["a.npy", "b.npy", "--write-statistics", "a.npz"];
    let words = words.map(|word| {
        if word.contains('.') {
            folder.path().join(word).into_os_string()
        } else {
            word.into()
        }
    });
    let plan = MetricsPlan::new(arguments(words.clone())).unwrap();
    // Meanwhile something else takes the place.
    fs::create_dir(folder.path().join("a.npz")).unwrap();
    let outcome = plan.carry_out().unwrap();
    let fid = outcome.record.figures.fid.unwrap();
    assert_eq!(outcome.record.written, None);
    let mut line = Vec::new();
    let error = outcome.tell(&mut line).unwrap_err();
    assert!(format!("{error:#}").contains("cannot write"), "{error:#}");
    let told: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(told["fid"].as_f64(), Some(fid));

    fs::remove_dir(folder.path().join("a.npz")).unwrap();
    let outcome = run(arguments(words)).unwrap();
    let error = format!("{:#}", outcome.tell(&mut Full).unwrap_err());
    assert!(error.contains("standard output takes no more"), "{error}");
    assert!(error.contains(&format!("\"fid\":{fid}")), "{error}");
}

#[cfg(unix)]
#[test]
fn names_need_not_be_utf_8() {
    use std::os::unix::ffi::OsStringExt;

    let folder = folder();
    let odd = folder.path().join(OsString::from_vec(b"\xe9.npy".to_vec()));
    fs::copy(folder.path().join("a.npy"), &odd).unwrap();
    let words = [odd.into_os_string(), folder.path().join("b.npy").into()];
    let mut line = Vec::new();
    run(arguments(words)).unwrap().tell(&mut line).unwrap();
    let told: Value = serde_json::from_slice(&line).unwrap();
    let path = told["samples"]["path"].as_str().unwrap();
    assert!(path.ends_with("\u{fffd}.npy"), "{path}");
}

/// What is gathered of a folder of images by features of their first pixel.
fn gathered(source: &mut Source, limit: Option<usize>, batch: usize) -> gather::Gathered {
    let wanted = gather::FeatureNeeds {
        features: true,
        ..gather::FeatureNeeds::default()
    };
    let bar = indicatif::ProgressBar::hidden();
    gather::gather(source, wanted, limit, batch, Some(&FirstPixel), &bar).unwrap()
}

#[test]
fn what_is_behind_the_samples_that_are_asked_for_does_not_count() {
    let folder = tempdir().unwrap();
    for index in 0..8 {
        fs::write(folder.path().join(format!("{index}.png")), png(index)).unwrap();
    }
    for index in 8..19 {
        fs::write(folder.path().join(format!("8{index}.png")), b"bad").unwrap();
    }
    for batch in [1, 4, 50] {
        let mut source = Source::open(folder.path()).unwrap();
        let found = gathered(&mut source, Some(8), batch);
        assert_eq!(
            (found.count, found.bad.len()),
            (Some(8), 0),
            "in batches of {batch}"
        );
    }
}

#[cfg(unix)]
#[test]
fn pipes_and_hidden_copies_are_neither_judged_nor_digested() {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    let plain = folder();
    let plain = plain.path().join("images");
    let digest = |path: &Path| {
        let source = Source::open(path).unwrap();
        digest::of_source(&source).unwrap()
    };
    let expected = digest(&plain);
    let _socket = UnixListener::bind(plain.join("3.png")).unwrap();
    symlink("/dev/zero", plain.join("4.png")).unwrap();
    symlink(&plain, plain.join("back")).unwrap();
    fs::create_dir_all(plain.join("@eaDir/1.png")).unwrap();
    fs::write(plain.join("@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg"), png(1)).unwrap();
    fs::write(plain.join("5.gif"), b"GIF89a").unwrap();
    assert_eq!(digest(&plain), expected);
    let mut source = Source::open(&plain).unwrap();
    assert_eq!(gathered(&mut source, None, 50).count, Some(2));
    let Some(Samples::Files(set)) = source.samples() else {
        panic!("a folder holds files");
    };
    assert_eq!(
        set.files().left_out().to_string(),
        "2 files with other endings (.gif 1, .txt 1), 1 hidden file or folder, 2 pipes or devices, 1 \
         link to a folder around it"
    );
}
