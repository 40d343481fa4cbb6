//! `captions_*.json`: the images of a split, and captions that refer to them by number.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

use super::CAPTIONS;
use crate::DataError;
use crate::files::{BYTE_ORDER_MARK, is_plain};

/// An image with its captions in the file's order; at least one.
pub(super) struct CaptionedImage {
    pub name: String,
    pub captions: Vec<String>,
}

/// What is read of the file; it holds more.
#[derive(Deserialize)]
struct Document {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct Annotation {
    id: u64,
    image_id: u64,
    caption: String,
}

/// Reads the images in the order of their identifiers; at least one.
pub(super) fn read_captions(file: &Path) -> Result<Vec<CaptionedImage>, DataError> {
    let wrong = |found: String, expected: &str| CAPTIONS.content(file, found, expected);
    let mut reader = BufReader::new(CAPTIONS.open(file)?);
    let mark = BYTE_ORDER_MARK.to_string();
    let start = reader
        .fill_buf()
        .map_err(|source| CAPTIONS.unopened(file, source))?;
    let is_marked = start.starts_with(mark.as_bytes());
    reader.consume(if is_marked { mark.len() } else { 0 });
    let document: Document = serde_json::from_reader(reader)
        .map_err(|error| wrong(format!("other content ({error})"), CAPTIONS.holds))?;

    let mut images = BTreeMap::new();
    for Image { id, file_name } in document.images {
        if !is_plain(&file_name) {
            let found = format!("an image {id} with the file name `{file_name}`");
            return Err(wrong(found, "the name of a file in the folder of images"));
        }
        let image = CaptionedImage {
            name: file_name,
            captions: Vec::new(),
        };
        if images.insert(id, image).is_some() {
            return Err(wrong(format!("two images {id}"), "each number once"));
        }
    }
    let mut seen = HashSet::new();
    for annotation in document.annotations {
        let Annotation {
            id,
            image_id,
            caption,
        } = annotation;
        if !seen.insert(id) {
            return Err(wrong(format!("two captions {id}"), "each number once"));
        }
        let Some(image) = images.get_mut(&image_id) else {
            let found = format!("a caption {id} of an image {image_id} that it does not list");
            return Err(wrong(found, "captions of its own images"));
        };
        image.captions.push(caption);
    }
    if images.is_empty() {
        return Err(wrong("no images".to_owned(), CAPTIONS.holds));
    }
    if let Some((id, image)) = images.iter().find(|(_, image)| image.captions.is_empty()) {
        let found = format!("an image {id} ({}) without a caption", image.name);
        return Err(wrong(found, "at least one for each image"));
    }
    Ok(images.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Vec<CaptionedImage>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("captions_val2014.json");
        std::fs::write(&file, json).unwrap();
        read_captions(&file).map_err(|error| error.to_string())
    }

    #[test]
    fn images_come_in_the_order_of_their_numbers() {
        let images = read(
            r#"{"annotations": [{"id": 3, "image_id": 10, "caption": "c"},
                    {"id": 1, "image_id": 9, "caption": "a"},
                    {"id": 2, "image_id": 10, "caption": "b"}],
                "images": [{"id": 10, "file_name": "x.jpg"}, {"id": 9, "file_name": "y.jpg"}]}"#,
        );
        let images: Vec<_> = images
            .unwrap()
            .into_iter()
            .map(|i| (i.name, i.captions))
            .collect();
        let [y, x] = &images[..] else {
            panic!("{images:?}")
        };
        assert_eq!(y, &("y.jpg".to_owned(), vec!["a".to_owned()]));
        assert_eq!(
            x,
            &("x.jpg".to_owned(), ["c", "b"].map(String::from).to_vec())
        );
    }

    #[test]
    fn what_does_not_fit_together_is_an_error() {
        let image = r#"{"id": 1, "file_name": "x.jpg"}"#;
        let caption = r#"{"id": 5, "image_id": 1, "caption": "a"}"#;
        let of = |images: &str, annotations: &str| {
            let json = format!(r#"{{"images": [{images}], "annotations": [{annotations}]}}"#);
            read(&json).err().unwrap()
        };
        let two = |one: &str| format!("{one}, {one}");
        for (error, expected) in [
            (of(&two(image), caption), "two images 1"),
            (of(image, &two(caption)), "two captions 5"),
            (of(image, ""), "an image 1 (x.jpg) without a caption"),
            (of("", ""), "no images"),
            (
                of("", caption),
                "a caption 5 of an image 1 that it does not list",
            ),
            (
                of(r#"{"id": 1, "file_name": "../x.jpg"}"#, caption),
                "`../x.jpg`",
            ),
            (
                of(r#"{"id": -1, "file_name": "x.jpg"}"#, caption),
                "other content",
            ),
            // As in instances_val2014.json.
            (
                of(image, r#"{"id": 5, "image_id": 1, "area": 3}"#),
                "missing field `caption`",
            ),
        ] {
            assert!(error.contains(expected), "{error}");
            assert!(error.contains("captions_val2014.json: "), "{error}");
        }
        assert!(read("").err().unwrap().contains("other content"));
        assert!(read("[]").err().unwrap().contains("other content"));
    }
}
