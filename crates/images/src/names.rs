//! Which files are pictures: one rule for folders, archives and every program.

use std::path::{Component, Path};

/// The endings of the files that are read as pictures, whatever their case: pytorch-fid's without TIFF's.
pub const ENDINGS: [&str; 7] = ["bmp", "jpeg", "jpg", "pgm", "png", "ppm", "webp"];

/// Folders in which file managers, archivers and network drives keep copies, thumbnails and what was deleted.
const OF_SYSTEMS: [&str; 6] = [
    "__MACOSX",
    "@eaDir",
    "#recycle",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
];

/// Whether a part of a path is hidden, or the name of a folder that systems keep for themselves.
pub fn is_hidden(name: &std::ffi::OsStr) -> bool {
    let is_system = OF_SYSTEMS
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known));
    is_system || name.as_encoded_bytes().starts_with(b".")
}

/// The path down to its first hidden part, where it has one.
pub(crate) fn hidden_part(path: &Path) -> Option<&Path> {
    let hidden = |part: &&Path| {
        let last = part.components().next_back();
        matches!(last, Some(Component::Normal(name)) if is_hidden(name))
    };
    path.ancestors().filter(hidden).last()
}

/// Whether a name has the ending of a picture.
pub(crate) fn has_picture_ending(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    ENDINGS
        .iter()
        .any(|known| ending.eq_ignore_ascii_case(known))
}

/// All endings, for a sentence.
pub(crate) fn endings() -> String {
    let [first @ .., last] = ENDINGS;
    format!(".{} or .{last}", first.join(", ."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_parts_are_found_anywhere() {
        let hidden = |path| hidden_part(Path::new(path)).map(|part| part.to_str().unwrap());
        assert_eq!(hidden("a/b.png"), None);
        assert_eq!(hidden("./a/../b.png"), None);
        assert_eq!(hidden(".a.png"), Some(".a.png"));
        assert_eq!(hidden("x/.cache/.y/a.png"), Some("x/.cache"));
        assert_eq!(hidden("__MACOSX/a/._b.jpg"), Some("__MACOSX"));
        assert_eq!(hidden("a/@eadir/b.png"), Some("a/@eadir"));
    }

    #[test]
    fn endings_are_of_any_case() {
        for name in ["a.PNG", "a.Jpeg", "b/a.webp", "a.b.ppm"] {
            assert!(has_picture_ending(Path::new(name)), "{name}");
        }
        for name in ["a", "png", "a.png.txt", "a.tiff", "a.gif"] {
            assert!(!has_picture_ending(Path::new(name)), "{name}");
        }
        assert_eq!(endings(), ".bmp, .jpeg, .jpg, .pgm, .png, .ppm or .webp");
    }
}
