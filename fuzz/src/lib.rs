//! What the fuzz targets share.

use std::path::PathBuf;
use std::sync::OnceLock;

use tempfile::TempDir;

/// A folder of this process, removed by the system's own means when the process is killed; set
/// `TMPDIR` to a file system in memory for speed.
fn folder() -> &'static TempDir {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| TempDir::new().expect("a temporary folder can be made"))
}

/// Writes a file and gives back its path.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().path().join(name);
    std::fs::write(&path, bytes).expect("a temporary file can be written");
    path
}
