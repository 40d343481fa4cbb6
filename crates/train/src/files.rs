//! Files that are either written whole or not at all.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::TrainError;

/// Writes a file under a temporary name beside `path` and renames it.
///
/// # Errors
/// Where the folder cannot be written to.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(TrainError::file("create", folder))?;
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new()
            .permissions(permissions())
            .tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(TrainError::file("write", path))
}

/// Those of an ordinary file; a temporary one is by default readable by its owner alone.
fn permissions() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o644)
}
