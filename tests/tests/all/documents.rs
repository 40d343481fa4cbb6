//! Documents say what is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The crates in the table of `docs/architecture.md`, from the ground up.
fn listed(root: &Path) -> Vec<String> {
    let document = fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let (_, rest) = document.split_once("<!-- crates:begin -->").unwrap();
    let (table, _) = rest.split_once("<!-- crates:end -->").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split_once('`').unwrap().0.to_owned())
        .collect()
}

#[test]
fn the_map_lists_every_crate_above_those_that_depend_on_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let listed = listed(&root);
    let crates = fs::read_dir(root.join("crates")).unwrap();
    let there: BTreeSet<String> = crates
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), there);

    for (place, name) in listed.iter().enumerate() {
        let manifest = root.join("crates").join(name).join("Cargo.toml");
        let manifest = fs::read_to_string(manifest).unwrap();
        let (_, dependencies) = manifest
            .split_once("\n[dependencies]\n")
            .unwrap_or_default();
        let dependencies = dependencies
            .lines()
            .take_while(|line| !line.starts_with('['));
        let ours = dependencies.filter_map(|line| line.strip_prefix("adadiff-"));
        for dependency in ours.filter_map(|line| line.split(['.', ' ']).next()) {
            assert!(
                listed[..place].iter().any(|above| above == dependency),
                "`{name}` depends on `{dependency}`, which does not stand above it"
            );
        }
    }
}
