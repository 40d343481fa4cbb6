//! Measured rows in `docs`: they are read as their types, and come out again as the same text under
//! the same ids.

use std::fs;
use std::path::{Path, PathBuf};

use adadiff_experiments::results::{ResultRow, Results};
use adadiff_storage::{read_json_lines, sha256_hex};
use serde::Serialize;
use tempfile::tempdir;

use crate::{FASHION_MNIST, printed};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Holds lines against the file that they were read from.
fn check<T: Serialize>(path: &Path, lines: impl Iterator<Item = T>) -> usize {
    let text = fs::read_to_string(path).unwrap_or_default();
    let found: Vec<String> = lines
        .map(|line| serde_json::to_string(&line).unwrap())
        .collect();
    let expected: Vec<&str> = text.lines().collect();
    assert_eq!(found, expected, "{}", path.display());
    found.len()
}

#[test]
fn ids_are_those_of_the_keys() {
    let mut ids = 0;
    for folder in ["study", "ablations"].map(|name| docs().join(name)) {
        let results = Results::read(&folder).unwrap();
        macro_rules! check_ids {
            ($($lines:ident),+) => {$(
                let lines = results.$lines.all();
                ids += check(&folder.join(concat!(stringify!($lines), ".jsonl")), lines.iter());
                for line in lines {
                    let key = serde_json::to_vec(&line.key).unwrap();
                    assert_eq!(line.id, sha256_hex(&key)[..16], "{line:?}");
                }
            )+};
        }
        check_ids!(quality, timing, matches);
    }
    assert_eq!(ids, 740);
}

#[test]
fn rows_of_the_comparison_are_read_and_written_alike() {
    let mut rows = 0;
    for run in ["fashion_mnist", "fashion_mnist_threshold"] {
        for name in ["results.jsonl", "curve.jsonl"] {
            let path = docs().join(run).join(name);
            let lines: Vec<ResultRow> = read_json_lines(&path).unwrap();
            rows += check(&path, lines.iter());
        }
    }
    assert_eq!(rows, 31);
}

/// The bundled network, its thresholds, the preset and the options give the keys that they gave when
/// the tables were measured.
#[test]
fn tables_that_were_measured_are_not_measured_again() {
    let folder = tempdir().unwrap();
    let names = [
        "quality.jsonl",
        "timing.jsonl",
        "tables/conditional.json",
        "tables/conditional.md",
    ];
    fs::create_dir(folder.path().join("tables")).unwrap();
    for name in names {
        fs::copy(docs().join("study").join(name), folder.path().join(name)).unwrap();
    }
    let variants = docs().join("study/variants");
    let options = ["--samples", "5000", "--seeds", "0,1,2", "--results", "."];
    let variants = ["--variants", variants.to_str().unwrap()];
    let table = [&["table", "conditional"], &options[..], &variants].concat();
    printed(FASHION_MNIST, folder.path(), &table);
    for name in names {
        let [before, after] = [docs().join("study"), folder.path().to_owned()]
            .map(|folder| fs::read_to_string(folder.join(name)).unwrap());
        assert_eq!(before, after, "{name}");
    }
}
