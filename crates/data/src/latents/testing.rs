//! What the tests of latents share.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{LatentError, LatentHeader, LatentItem, LatentStorage, LatentWriter};

/// A header of tiny latents, 2 x 1 x 3, without labels and contexts.
pub(super) fn header(images: usize) -> LatentHeader {
    LatentHeader {
        autoencoder_sha256: "aa".repeat(32),
        text_encoder_sha256: None,
        source: "tests at 8 pixels".to_owned(),
        source_fingerprint: "f0".repeat(32),
        source_images: images,
        channels: 2,
        height: 1,
        width: 3,
        mirrored: false,
        classes: None,
        context_shape: None,
        moments_storage: LatentStorage::F32,
        contexts_storage: LatentStorage::F16,
    }
}

/// As [`header`], with classes and mirrored moments.
pub(super) fn class_header(images: usize) -> LatentHeader {
    LatentHeader {
        mirrored: true,
        classes: Some(10),
        ..header(images)
    }
}

/// As [`header`], with contexts of two tokens of three values.
pub(super) fn text_header(images: usize) -> LatentHeader {
    LatentHeader {
        text_encoder_sha256: Some("bb".repeat(32)),
        context_shape: Some([2, 3]),
        ..header(images)
    }
}

/// The moments of an image: multiples of 1/4, which 16 bits hold, each one another number.
pub(super) fn moments(image: usize) -> Vec<f32> {
    (0..12).map(|at| image as f32 - 0.25 * at as f32).collect()
}

/// Those of its mirror image.
pub(super) fn mirrored(image: usize) -> Vec<f32> {
    moments(image + 100)
}

/// A caption's context.
pub(super) fn context(image: usize, caption: usize) -> Vec<f32> {
    let first = (10 * image + caption) as f32;
    (0..6).map(|at| first + 0.125 * at as f32).collect()
}

/// Images have one to three captions.
pub(super) fn captions(image: usize) -> usize {
    image % 3 + 1
}

pub(super) const EMPTY_CONTEXT: [f32; 6] = [0.5, 1.0, -1.0, 2.0, 0.0, -0.5];

/// Images 2 and 3 of every seven are bad, so that runs of bad images and ends of shards meet.
pub(super) fn is_bad(image: usize) -> bool {
    matches!(image % 7, 2 | 3)
}

/// Prepares the next image.
pub(super) fn prepare_next(
    writer: &mut LatentWriter,
    header: &LatentHeader,
) -> Result<(), LatentError> {
    let image = writer.next_image();
    if is_bad(image) {
        return writer.skip(format!("{image}.jpg"), "is cut off".to_owned());
    }
    let contexts: Vec<_> = match header.context_shape {
        None => Vec::new(),
        Some(_) => (0..captions(image))
            .flat_map(|caption| context(image, caption))
            .collect(),
    };
    let mirrored = mirrored(image);
    writer.push(LatentItem {
        moments: &moments(image),
        mirrored_moments: header.mirrored.then_some(mirrored.as_slice()),
        label: header.classes.map(|classes| image % classes),
        contexts: &contexts,
    })
}

/// Prepares all images that are left.
pub(super) fn prepare(
    folder: &Path,
    header: &LatentHeader,
    items_per_shard: usize,
) -> Result<(), LatentError> {
    let writer = LatentWriter::create_or_resume(folder, header.clone(), items_per_shard)?;
    prepare_rest(writer, header)
}

/// As [`prepare`], from where a writer is.
pub(super) fn prepare_rest(
    mut writer: LatentWriter,
    header: &LatentHeader,
) -> Result<(), LatentError> {
    while writer.next_image() < header.source_images {
        prepare_next(&mut writer, header)?;
    }
    let context = header.context_shape.map(|_| EMPTY_CONTEXT.as_slice());
    writer.finish(context)
}

/// The names and bytes of all files of a folder.
pub(super) fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}
