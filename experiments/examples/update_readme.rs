//! Makes the tables of the README, of the page on performance and of the model card anew; run it in the repository's root.

use std::fs;
use std::path::Path;

use adadiff_experiments::pages::readme::{
    Sources, named_comparison, update_model_card, update_performance, update_readme,
};

fn main() -> anyhow::Result<()> {
    let readme = fs::read_to_string("README.md")?;
    let sources = Sources {
        run: Path::new("docs/fashion_mnist"),
        paper_run: Path::new("docs/fashion_mnist_threshold"),
        comparison: named_comparison(&readme)?,
    };
    fs::write("README.md", update_readme(&readme, sources)?)?;

    let page = fs::read_to_string("docs/performance.md")?;
    fs::write(
        "docs/performance.md",
        update_performance(&page, sources.comparison)?,
    )?;

    let assets = Path::new("experiments/assets/fashion_mnist");
    let path = assets.join("MODEL_CARD.md");
    let card = fs::read_to_string(&path)?;
    fs::write(&path, update_model_card(&card, assets)?)?;
    Ok(())
}
