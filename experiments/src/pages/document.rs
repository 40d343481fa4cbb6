//! The document of the study: words by hand, with parts that are drawn from a folder of results.

use std::fs;
use std::path::{Component, Path, PathBuf};

use adadiff_report::{picture_path, update_between_markers};
use adadiff_storage::write_atomically;
use anyhow::{Context, Result};

use super::{ResultsView, claims, facts};
use crate::results::Results;

/// A document without words of its own.
pub const TEMPLATE: &str = "\
# The study

<!-- measured:begin -->
<!-- measured:end -->

## What holds of the paper's claims

<!-- claims:begin -->
<!-- claims:end -->

## Tables

<!-- tables:begin -->
<!-- tables:end -->

## Figures

<!-- figures:begin -->
<!-- figures:end -->
";

/// The document at `path` with its parts made anew from the folder `results`; the text outside of
/// them stays.
///
/// # Errors
/// Where a file of results is missing or damaged, or the document lacks a marker.
pub fn update_document(document: &str, results: &Path, path: &Path) -> Result<String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let results = Results::read(results)?;
    let shown = ResultsView::new(&results)?;
    let claims = claims(&results, &shown.preset)?;
    let claims = claims.iter().map(|claim| {
        format!(
            "- **{}.** {} {}\n",
            claim.verdict, claim.statement, claim.evidence
        )
    });
    let tables = shown
        .tables
        .iter()
        .map(|(table, rendered)| format!("### {}\n\n{}\n", table.title(), rendered.markdown()));
    let figures = shown.figures.iter().map(|(file, figure)| {
        let picture = relative(folder, &picture_path(&results.figures(), file));
        format!(
            "### {title}\n\n![{title}]({})\n\n{} Data: [{file}.json]({}).\n\n",
            picture.display(),
            figure.caption,
            picture.with_extension("json").display(),
            title = figure.title,
        )
    });
    let facts = facts(&results, &shown.preset);
    let facts = facts
        .iter()
        .map(|(name, value)| format!("- {name}: {value}\n"));
    let parts: [(&str, String); 4] = [
        ("measured", facts.collect()),
        ("claims", claims.collect()),
        ("tables", tables.collect()),
        ("figures", figures.collect()),
    ];
    let mut document = document.to_owned();
    for (name, part) in parts {
        document = update_between_markers(&document, name, &part)?;
    }
    Ok(document)
}

/// Writes the document at `path`, a new one where there is none.
///
/// # Errors
/// As [`update_document`], and where the file cannot be written.
pub fn write_document(results: &Path, path: &Path) -> Result<()> {
    let document = match fs::read_to_string(path) {
        Ok(document) => document,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => TEMPLATE.to_owned(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let updated = update_document(&document, results, path)?;
    Ok(write_atomically(path, updated.as_bytes())?)
}

/// The way from one folder to another, of paths that are both relative or both absolute.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let parts = |path: &Path| -> Vec<String> {
        let parts = path.components().filter(|part| *part != Component::CurDir);
        parts
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect()
    };
    let (from, to) = (parts(from), parts(to));
    let common = from
        .iter()
        .zip(&to)
        .take_while(|(from, to)| from == to)
        .count();
    let up = from[common..].iter().map(|_| "..");
    up.chain(to[common..].iter().map(String::as_str)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{FigureFile, FigureName};
    use crate::presets::Preset;
    use crate::results::TableName;
    use crate::tables::examples::example;

    #[test]
    fn parts_are_made_anew_and_words_stay() {
        let folder = tempfile::tempdir().unwrap();
        let results = folder.path().join("results");
        example(&results, TableName::Conditional);
        let preset = Preset::fashion_mnist().unwrap().to_toml().unwrap();
        fs::write(results.join("preset.toml"), preset).unwrap();
        let path = folder.path().join("study.md");
        write_document(&results, &path).unwrap();
        let first = fs::read_to_string(&path).unwrap();
        for part in [
            "- Device: flex",
            "- Seeds: 0, 1",
            "- **Does not hold.** AdaDiff runs 40 to 48 % fewer layers",
            "### Conditional generation\n\n| method ",
        ] {
            assert!(first.contains(part), "{part}: {first}");
        }
        let words = first.replace("# The study", "# Words by hand");
        fs::write(&path, &words).unwrap();
        write_document(&results, &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), words);
    }

    #[test]
    fn pictures_are_linked_from_wherever_the_document_is() {
        let folder = tempfile::tempdir().unwrap();
        let results = folder.path().join("results");
        let figure = FigureFile {
            figure: FigureName::ExitDepth,
            key: None,
            title: "Exits".to_owned(),
            caption: String::new(),
            chart: None,
            data: serde_json::Value::Null,
        };
        figure
            .write(&results.join("figures"), "exit_depth")
            .unwrap();
        let preset = Preset::fashion_mnist().unwrap().to_toml().unwrap();
        fs::write(results.join("preset.toml"), preset).unwrap();
        let links = |path: &str, picture: &str| {
            let made = update_document(TEMPLATE, &results, &folder.path().join(path)).unwrap();
            assert!(made.contains(&format!("![Exits]({picture})")), "{made}");
        };
        links("study.md", "results/figures/exit_depth.svg");
        links("results/study.md", "figures/exit_depth.svg");
        fs::write(results.join("figures/exit_depth.png"), "").unwrap();
        links("study.md", "results/figures/exit_depth.png");
    }

    #[test]
    fn the_committed_documents_show_the_committed_results() {
        let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"));
        for name in ["study", "ablations"] {
            let (path, results) = (docs.join(format!("{name}.md")), docs.join(name));
            let document = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let made = update_document(&document, &results, &path).unwrap();
            assert!(
                document == made,
                "docs/{name}.md is not that of docs/{name}; run `cargo run --release --bin \
                 fashion_mnist -- study --results docs/{name} --out docs/{name}.md`"
            );
        }
    }

    #[test]
    fn a_folder_without_results_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_document(folder.path(), &folder.path().join("study.md")).unwrap_err();
        assert!(error.to_string().contains("holds no results"), "{error:#}");
    }

    #[test]
    fn links_lead_from_the_document_to_the_results() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to));
        assert_eq!(way("docs", "docs/study"), Path::new("study"));
        assert_eq!(way("docs", "./runs/study"), Path::new("../runs/study"));
        assert_eq!(way("", "docs/study"), Path::new("docs/study"));
    }
}
