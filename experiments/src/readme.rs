//! The README's tables, made from the committed results.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::presentation::timing_table;
use crate::report::{Table, read_rows, update_between_markers};
use crate::timing::Timing;

/// The README with its tables made anew from the results in `folder`.
///
/// # Errors
/// Where a file of results is missing or damaged, or the README lacks a marker.
pub fn update(readme: &str, folder: &Path) -> Result<String> {
    let rows = read_rows(&folder.join("results.jsonl"))?;
    let path = folder.join("timing.jsonl");
    let timings = fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Timing>, _>>()
        .with_context(|| format!("{} is damaged", path.display()))?;
    let readme = update_between_markers(readme, "results", &Table::of_results(&rows).markdown())?;
    let timing = timing_table(&timings).markdown();
    Ok(update_between_markers(&readme, "timing", &timing)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_shows_the_committed_results() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let readme = fs::read_to_string(root.join("README.md")).unwrap();
        let made = update(&readme, &root.join("docs/fashion_mnist")).unwrap();
        assert!(
            readme == made,
            "the README's tables are not those of docs/fashion_mnist; run \
             `cargo run --release -p adadiff-experiments --example update_readme`"
        );
    }
}
