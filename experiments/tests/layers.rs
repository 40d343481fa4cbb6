//! What may use what: Rust enforces the direction between crates alone, this file also between the
//! modules of this package.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of `src`, each of which uses only those before it.
const MODULES: [&str; 12] = [
    "terminal",
    "presets",
    "networks",
    "evaluator",
    "checkpoint",
    "metrics_tool",
    "methods",
    "results",
    "tables",
    "figures",
    "pages",
    "commands",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Rust files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// The lines of a file that are no comments.
fn code(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(str::trim_start);
    let code = lines.filter(|line| !line.starts_with("//"));
    code.map(str::to_owned).collect()
}

/// The crates in the order of the README's table, with their folders.
fn crates() -> Vec<(String, PathBuf)> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let rows = readme.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("| [`")?.split_once("`](")?;
        let (folder, _) = rest.split_once(')')?;
        Some((name.to_owned(), root().join(folder)))
    });
    rows.collect()
}

#[test]
fn modules_use_only_those_before_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(&source).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.trim_end_matches(".rs");
        let known = MODULES.contains(&name) || ["bin", "lib"].contains(&name);
        assert!(known, "src/{name} has no place among the modules");
    }
    let mut wrong = Vec::new();
    for (place, module) in MODULES.iter().enumerate() {
        let file = source.join(format!("{module}.rs"));
        let folder = source.join(module);
        let own = if file.exists() {
            vec![file]
        } else {
            files(&folder)
        };
        for path in own {
            let lines = code(&path);
            let names = lines.iter().flat_map(|line| {
                line.split("crate::").skip(1).map(|rest| {
                    let end = rest.find(|sign: char| !sign.is_alphanumeric() && sign != '_');
                    &rest[..end.unwrap_or(rest.len())]
                })
            });
            for name in names.filter(|name| !MODULES[..=place].contains(name)) {
                wrong.push(format!("{} uses crate::{name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_use_only_those_above_them() {
    let crates = crates();
    let mut listed: Vec<_> = crates.iter().map(|(name, _)| name.clone()).collect();
    for (place, (name, folder)) in crates.iter().enumerate() {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let used = manifest["dependencies"].as_table().unwrap().keys();
        for used in used.filter_map(|used| used.strip_prefix("adadiff-")) {
            let above = listed[..place].iter().any(|name| name == used);
            assert!(above, "{name} uses {used}, which the README has below it");
        }
    }
    let folders = fs::read_dir(root().join("crates")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut expected: Vec<_> = folders
        .chain(["experiments", "playground"].map(str::to_owned))
        .collect();
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected, "the README lists every crate");
}

#[test]
fn no_two_public_types_share_a_name() {
    let packages = [
        "crates",
        "experiments",
        "playground",
        "tests",
        "benches",
        "fuzz",
    ];
    let mut seen = BTreeMap::<String, PathBuf>::new();
    let mut doubled = Vec::new();
    for path in packages
        .iter()
        .flat_map(|package| files(&root().join(package)))
    {
        for line in code(&path) {
            let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
            let declared = line.strip_prefix("pub ");
            let Some(rest) =
                declared.and_then(|rest| kinds.iter().find_map(|kind| rest.strip_prefix(kind)))
            else {
                continue;
            };
            let end = rest.find(|sign: char| !sign.is_alphanumeric());
            let name = rest[..end.unwrap_or(rest.len())].to_owned();
            // Two forms of one type, for builds with and without a feature, stand in one file.
            if let Some(other) = seen
                .insert(name.clone(), path.clone())
                .filter(|other| *other != path)
            {
                doubled.push(format!(
                    "{name}: {} and {}",
                    other.display(),
                    path.display()
                ));
            }
        }
    }
    assert!(seen.len() > 300, "{} public types were found", seen.len());
    assert!(doubled.is_empty(), "{}", doubled.join("\n"));
}
