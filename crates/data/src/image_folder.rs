//! Any folder of images: all of one kind, or a folder for each class.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use adadiff_images::{ENDINGS, LeftOut, decode, is_hidden, list_folder, read_file};

use crate::expected::Expected;
use crate::{DataError, Framing, ImageError, ImageSet};

const EXPECTED: Expected = Expected {
    holds: "a folder of JPEG, PNG, WebP, BMP, PGM or PPM images",
    help: "any images of one's own will do",
};

/// Images in a folder and its sub-folders, in the order of their names.
#[derive(Debug)]
pub struct ImageFolder {
    root: PathBuf,
    files: Files,
    classes: Option<Vec<String>>,
    framing: Framing,
    side: u32,
}

#[derive(Debug, Default)]
struct Files {
    /// Within the root, each with its class.
    images: Vec<(PathBuf, usize)>,
    left_out: LeftOut,
}

impl Files {
    /// Adds all images in `folder`, a part of `root`.
    fn add(
        &mut self,
        root: &Path,
        folder: &Path,
        class: usize,
        expected: &Expected,
    ) -> Result<(), DataError> {
        // Without the slash at the end that an empty part leaves.
        let place: PathBuf = root.join(folder).components().collect();
        let listing = list_folder(&place).map_err(|source| expected.unopened(&place, source))?;
        if listing.files.is_empty() {
            return Err(no_images(&place, expected));
        }
        let files = listing.files.into_iter();
        self.images
            .extend(files.map(|file| (folder.join(file), class)));
        self.left_out.add(listing.left_out);
        Ok(())
    }
}

impl ImageFolder {
    /// All images in `root` and its sub-folders, without labels, as squares of `side` pixels.
    ///
    /// Which files are images, and what is left out, is told as [`adadiff_images`] does.
    ///
    /// # Errors
    /// Where the folder cannot be listed or has no images.
    ///
    /// # Panics
    /// Where `side` is 0.
    pub fn unlabelled(root: &Path, framing: Framing, side: u32) -> Result<Self, DataError> {
        let mut files = Files::default();
        files.add(root, Path::new(""), 0, &EXPECTED)?;
        Ok(Self::new(root, files, None, framing, side))
    }

    /// The images of `root` with a sub-folder for each class: classes are numbered in the order of
    /// the sub-folders' names.
    ///
    /// # Errors
    /// As [`ImageFolder::unlabelled`], and where a sub-folder has no images.
    ///
    /// # Panics
    /// Where `side` is 0.
    pub fn labelled(root: &Path, framing: Framing, side: u32) -> Result<Self, DataError> {
        let mut files = Files::default();
        let mut classes = Vec::new();
        for folder in sub_folders(root, &EXPECTED)? {
            files.add(root, folder.as_ref(), classes.len(), &EXPECTED)?;
            classes.push(folder.to_string_lossy().into_owned());
        }
        Ok(Self::new(root, files, Some(classes), framing, side))
    }

    /// The images of `root` with sub-folders of these names only, of which some may be missing: the
    /// label is the name's place among `classes`.
    pub(crate) fn with_classes(
        root: &Path,
        classes: Vec<String>,
        framing: Framing,
        side: u32,
        expected: &Expected,
    ) -> Result<Self, DataError> {
        let mut files = Files::default();
        for folder in sub_folders(root, expected)? {
            let Some(class) = classes.iter().position(|class| **class == folder) else {
                let found = format!("a folder {}", folder.display());
                return Err(expected.content(root, found, expected.holds));
            };
            files.add(root, folder.as_ref(), class, expected)?;
        }
        Ok(Self::new(root, files, Some(classes), framing, side))
    }

    fn new(
        root: &Path,
        files: Files,
        classes: Option<Vec<String>>,
        framing: Framing,
        side: u32,
    ) -> Self {
        assert!(side > 0, "images need a side");
        Self {
            root: root.to_owned(),
            files,
            classes,
            framing,
            side,
        }
    }

    /// What lies beside the images, in all folders of classes together.
    pub fn left_out(&self) -> &LeftOut {
        &self.files.left_out
    }

    /// The names of the classes, by label; absent where images have none.
    pub fn class_names(&self) -> Option<&[String]> {
        self.classes.as_deref()
    }
}

impl ImageSet for ImageFolder {
    fn len(&self) -> usize {
        self.files.images.len()
    }

    fn shape(&self) -> [usize; 3] {
        [3, self.side as usize, self.side as usize]
    }

    fn name(&self, index: usize) -> String {
        let path = self.root.join(&self.files.images[index].0);
        path.display().to_string()
    }

    fn bytes(&self, index: usize) -> Result<Vec<u8>, ImageError> {
        let image = decode(&self.stored(index)?)?;
        Ok(self.framing.apply(image, self.side)?.into_raw())
    }

    fn stored(&self, index: usize) -> Result<Vec<u8>, ImageError> {
        Ok(read_file(&self.root.join(&self.files.images[index].0))?)
    }

    fn classes(&self) -> Option<usize> {
        self.classes.as_ref().map(Vec::len)
    }

    fn label(&self, index: usize) -> Option<usize> {
        let class = self.files.images[index].1;
        self.classes.as_ref().map(|_| class)
    }
}

/// The names of the sub-folders, sorted.
fn sub_folders(root: &Path, expected: &Expected) -> Result<Vec<OsString>, DataError> {
    let unopened = |source| expected.unopened(root, source);
    let mut names = Vec::new();
    for entry in root.read_dir().map_err(unopened)? {
        let entry = entry.map_err(unopened)?;
        // Follows links, unlike the entry's own type.
        if entry.path().is_dir() && !is_hidden(&entry.file_name()) {
            names.push(entry.file_name());
        }
    }
    if names.is_empty() {
        return Err(expected.content(root, "no folder", "a folder for each class"));
    }
    names.sort_unstable();
    Ok(names)
}

fn no_images(folder: &Path, expected: &Expected) -> DataError {
    let endings = format!("files that end in .{}", ENDINGS.join(", ."));
    expected.content(folder, "no image", endings)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::{Rgb, RgbImage};

    use super::*;

    fn save(path: &Path, colour: [u8; 3]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let image = RgbImage::from_pixel(9, 6, Rgb(colour));
        image.save(path).unwrap();
    }

    #[test]
    fn all_images_below_a_folder_are_found_in_order() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for (name, colour) in [
            ("b/2.png", [2; 3]),
            ("b/1.webp", [1; 3]),
            ("a.PNG", [0; 3]),
            (".hidden/x.png", [9; 3]),
            ("._a.png", [9; 3]),
        ] {
            save(&root.join(name), colour);
        }
        fs::write(root.join("notes.txt"), "no image").unwrap();
        let set = ImageFolder::unlabelled(root, Framing::Adm, 4).unwrap();
        assert_eq!((set.len(), set.shape()), (3, [3, 4, 4]));
        for index in 0..3 {
            assert_eq!(set.bytes(index).unwrap(), [index as u8; 48]);
            assert_eq!(set.label(index), None);
        }
        assert!(set.name(1).ends_with("b/1.webp"), "{}", set.name(1));
        assert_eq!((set.classes(), set.class_names()), (None, None));
    }

    #[test]
    fn folders_are_classes_in_the_order_of_their_names() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        save(&root.join("zebra/1.png"), [2; 3]);
        save(&root.join("ant/deep/er/1.png"), [0; 3]);
        save(&root.join("ant/2.png"), [0; 3]);
        save(&root.join("bee/1.png"), [1; 3]);
        let set = ImageFolder::labelled(root, Framing::Lanczos, 2).unwrap();
        assert_eq!(set.class_names().unwrap(), ["ant", "bee", "zebra"]);
        assert_eq!((set.len(), set.classes()), (4, Some(3)));
        for index in 0..4 {
            let byte = set.bytes(index).unwrap()[0];
            assert_eq!(set.label(index), Some(usize::from(byte)));
        }
    }

    #[test]
    fn folders_without_images_are_errors() {
        let root = tempfile::tempdir().unwrap();
        let message = |set: Result<ImageFolder, DataError>| set.unwrap_err().to_string();
        let missing = root.path().join("missing");
        let error = message(ImageFolder::unlabelled(&missing, Framing::Adm, 4));
        assert!(error.contains("missing: cannot be opened"), "{error}");
        let error = message(ImageFolder::unlabelled(root.path(), Framing::Adm, 4));
        assert!(
            error.contains("no image, but expected files that end in .bmp, .jpeg, .jpg"),
            "{error}"
        );
        let error = message(ImageFolder::labelled(root.path(), Framing::Adm, 4));
        assert!(
            error.contains("no folder, but expected a folder for each class"),
            "{error}"
        );
        save(&root.path().join("a/1.png"), [0; 3]);
        fs::create_dir(root.path().join("b")).unwrap();
        fs::create_dir(root.path().join("@eaDir")).unwrap();
        let error = message(ImageFolder::labelled(root.path(), Framing::Adm, 4));
        assert!(error.contains("b: no image"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_class_need_not_have_a_name_in_utf_8() {
        use std::os::unix::ffi::OsStrExt;

        let root = tempfile::tempdir().unwrap();
        let class = root.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
        save(&class.join("1.png"), [5; 3]);
        fs::write(class.join("1.gif"), "left out").unwrap();
        let set = ImageFolder::labelled(root.path(), Framing::Adm, 4).unwrap();
        assert_eq!(set.bytes(0).unwrap(), [5; 48]);
        assert_eq!(set.class_names().unwrap(), ["caf\u{fffd}"]);
        assert_eq!(
            set.left_out().to_string(),
            "1 file with another ending (.gif 1)"
        );
    }

    #[test]
    fn a_bad_image_is_an_error_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.jpg"), "no image").unwrap();
        save(&root.path().join("b.png"), [0; 3]);
        let set = ImageFolder::unlabelled(root.path(), Framing::Exact, 9).unwrap();
        let error = set.bytes(0).unwrap_err().to_string();
        assert!(error.contains("cannot be decoded"), "{error}");
        let error = set.image(1, false).unwrap_err().to_string();
        assert_eq!(error, "has 9 x 6 pixels instead of 9 x 9");
    }
}
