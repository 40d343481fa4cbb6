//! Files that appear complete or not at all.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::ReportError;

/// Writes `contents` to a temporary name in `path`'s folder, then renames it to `path`, so that a
/// reader, or an interruption, meets the old file or the new one and never half of one.
///
/// # Errors
/// [`ReportError::Write`] where the folder is missing, not writable or full.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), ReportError> {
    try_write(path, contents).map_err(|source| ReportError::Write {
        path: path.to_path_buf(),
        source,
    })
}

/// Writes `data` as indented JSON, atomically.
///
/// # Errors
/// [`ReportError::Json`] where `data` has no JSON form, [`ReportError::Write`] as for
/// [`write_atomically`].
pub(super) fn write_json<T: Serialize>(
    path: &Path,
    what: &'static str,
    data: &T,
) -> Result<(), ReportError> {
    let mut json =
        serde_json::to_string_pretty(data).map_err(|source| ReportError::Json { what, source })?;
    json.push('\n');
    write_atomically(path, json.as_bytes())
}

fn try_write(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    // Temporary files are private by default; a report is as readable as any other new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file_and_leaves_nothing_else() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("report.html");
        write_atomically(&path, b"old")?;
        write_atomically(&path, b"new")?;
        assert_eq!(std::fs::read(&path)?, b"new");
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_missing_folder_is_named() {
        let path = Path::new("no-such-folder/report.html");
        let message = write_atomically(path, b"text").map_err(|error| error.to_string());
        assert_eq!(
            message,
            Err(
                "could not write `no-such-folder/report.html`; its folder must exist, be \
                 writable and have space left"
                    .to_owned()
            )
        );
    }
}
