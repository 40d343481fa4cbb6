//! The pictures below a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::LeftOut;
use crate::names::{has_picture_ending, is_hidden};

/// The pictures below a folder, and what is beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Paths within the folder, folder by folder in the order of their names.
    pub files: Vec<PathBuf>,
    /// All else.
    pub left_out: LeftOut,
}

/// Lists a folder and those below it. Links to folders are followed, unless they lead back; a link to
/// nothing under a picture's name is a picture that will turn out to be bad.
///
/// # Errors
/// Where the folder, or one below it that is not hidden, cannot be listed.
pub fn list_folder(folder: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let walk = WalkDir::new(folder)
        .follow_links(true)
        .min_depth(1)
        .sort_by_file_name();
    let mut walk = walk.into_iter();
    while let Some(entry) = walk.next() {
        match entry {
            Ok(entry) => {
                if listing.add(folder, &entry) == Next::PassOver {
                    walk.skip_current_dir();
                }
            }
            Err(error) => listing.add_unreadable(folder, error)?,
        }
    }
    Ok(listing)
}

/// Whether to go into what was met.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    PassOver,
}

impl Listing {
    fn add(&mut self, root: &Path, entry: &DirEntry) -> Next {
        let kind = entry.file_type();
        if is_hidden(entry.file_name()) {
            self.left_out.hidden += 1;
            return if kind.is_dir() {
                Next::PassOver
            } else {
                Next::GoOn
            };
        }
        if !kind.is_dir() {
            self.add_file(root, entry.path(), kind.is_file());
        }
        Next::GoOn
    }

    fn add_file(&mut self, root: &Path, path: &Path, is_file: bool) {
        if !has_picture_ending(path) {
            self.left_out.add_ending(path);
        } else if is_file {
            self.files
                .push(path.strip_prefix(root).unwrap_or(path).to_owned());
        } else {
            self.left_out.no_files += 1;
        }
    }

    fn add_unreadable(&mut self, root: &Path, error: walkdir::Error) -> io::Result<()> {
        if error.loop_ancestor().is_some() {
            self.left_out.loops += 1;
            return Ok(());
        }
        let is_missing = error
            .io_error()
            .is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
        match error.path().map(Path::to_owned) {
            Some(path)
                if is_missing
                    && fs::symlink_metadata(&path).is_ok_and(|link| link.is_symlink()) =>
            {
                if path.file_name().is_some_and(is_hidden) {
                    self.left_out.hidden += 1
                } else {
                    self.add_file(root, &path, true)
                }
                Ok(())
            }
            _ => Err(error.into()),
        }
    }
}
