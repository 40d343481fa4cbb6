//! Where the data set lies.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::DataError;

/// The environment variable that names the data folder.
pub const DATA_VARIABLE: &str = "ADADIFF_DATA";

/// Where Debian's package `dataset-fashion-mnist` puts the files.
pub const DEFAULT_FOLDER: &str = "/usr/share/datasets/fashion-mnist";

/// The folder of the data set: `given`, then the variable [`DATA_VARIABLE`], then [`DEFAULT_FOLDER`].
///
/// # Errors
/// Where the first of these that there is is not a folder: a later one is not tried, so that a
/// misspelt name never trains on other data.
pub fn locate(given: Option<&Path>) -> Result<PathBuf, DataError> {
    first_given(
        given,
        std::env::var_os(DATA_VARIABLE),
        Path::new(DEFAULT_FOLDER),
    )
}

fn first_given(
    given: Option<&Path>,
    variable: Option<OsString>,
    default: &Path,
) -> Result<PathBuf, DataError> {
    // An empty variable counts as unset, as shells have no other way to say it in one command.
    let variable = variable.filter(|value| !value.is_empty());
    let (folder, origin) = match (given, variable) {
        (Some(folder), _) => (folder.to_owned(), "as given"),
        (None, Some(folder)) => (folder.into(), "from the variable ADADIFF_DATA"),
        (None, None) => (default.to_owned(), "the default place"),
    };
    if folder.is_dir() {
        Ok(folder)
    } else {
        Err(DataError::Folder { folder, origin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_before_variable_before_default() {
        let [option, variable, default] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let named = Some(variable.path().into());
        let found = first_given(Some(option.path()), named.clone(), default.path());
        assert_eq!(found.unwrap(), option.path());
        assert_eq!(
            first_given(None, named, default.path()).unwrap(),
            variable.path()
        );
        assert_eq!(
            first_given(None, None, default.path()).unwrap(),
            default.path()
        );
        let empty = Some(OsString::new());
        assert_eq!(
            first_given(None, empty, default.path()).unwrap(),
            default.path()
        );
    }

    #[test]
    fn a_missing_folder_is_not_passed_over() {
        let default = tempfile::tempdir().unwrap();
        let missing = default.path().join("missing");
        let error = first_given(Some(&missing), None, default.path())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("missing (as given) is not a folder"),
            "{error}"
        );
        let error = first_given(None, Some(missing.into()), default.path()).unwrap_err();
        assert!(
            error.to_string().contains("from the variable ADADIFF_DATA"),
            "{error}"
        );
    }
}
