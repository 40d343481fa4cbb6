//! Files that appear complete or not at all.

use std::path::Path;

use adadiff_train::replace_file;
use serde::Serialize;

use super::ReportError;

/// [`replace_file`] with this module's error.
///
/// # Errors
/// [`ReportError::Write`] where the folder is missing, not writable or full.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), ReportError> {
    replace_file(path, contents).map_err(|source| ReportError::Write {
        path: path.to_path_buf(),
        source,
    })
}

/// One JSON object a line for each value.
///
/// # Errors
/// Where a value has no JSON form.
pub(crate) fn json_lines<T: Serialize>(values: &[T]) -> serde_json::Result<String> {
    let mut lines = String::new();
    for value in values {
        lines += &serde_json::to_string(value)?;
        lines.push('\n');
    }
    Ok(lines)
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
