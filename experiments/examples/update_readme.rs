//! Makes the README's tables anew from `docs/fashion_mnist`; run it in the repository's root.

use std::fs;
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let readme = fs::read_to_string("README.md")?;
    let made = adadiff_experiments::readme::update(&readme, Path::new("docs/fashion_mnist"))?;
    fs::write("README.md", made)?;
    Ok(())
}
