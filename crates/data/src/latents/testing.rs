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

/// A file of numpy's, its header padded as numpy pads it.
pub(super) fn npy(kind: &str, shape: &str, content: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.extend(std::iter::repeat_n(' ', length - 1 - header.len()));
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(content);
    file
}

/// A file with an array of floats.
pub(super) fn float_npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let lengths: Vec<_> = shape.iter().map(usize::to_string).collect();
    let shape = format!("({})", lengths.join(", "));
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    npy("<f4", &shape, &bytes)
}

/// What `np.save(file, (moments, label))` writes, instruction by instruction: protocol 3 by the
/// numpy 1.23 that the script needs, 4 by numpy 2 of an array that was made one of objects.
pub(super) fn labelled_npy(shape: [u8; 3], moments: &[f32], label: i64, protocol: u8) -> Vec<u8> {
    let bytes: Vec<u8> = moments
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let label = label.to_le_bytes();
    let [a, b, c] = shape;
    let pickle = match protocol {
        3 => {
            let mut pickle = b"\x80\x03cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\n\
                q\x01K\x00\x85q\x02C\x01bq\x03\x87q\x04Rq\x05(K\x01K\x02\x85q\x06cnumpy\ndtype\nq\x07\
                X\x02\x00\x00\x00O8q\x08\x89\x88\x87q\x09Rq\x0a(K\x03X\x01\x00\x00\x00|q\x0bNNN\
                J\xff\xff\xff\xffJ\xff\xff\xff\xffK?tq\x0cb\x89]q\x0d(\
                h\x00h\x01K\x00\x85q\x0eh\x03\x87q\x0fRq\x10(K\x01"
                .to_vec();
            pickle.extend([b'K', a, b'K', b, b'K', c]);
            pickle.extend(
                b"\x87q\x11h\x07X\x02\x00\x00\x00f4q\x12\x89\x88\x87q\x13Rq\x14(K\x03X\x01\x00\x00\
                \x00<q\x15NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x16b\x89B",
            );
            pickle.extend((bytes.len() as u32).to_le_bytes());
            pickle.extend(&bytes);
            pickle.extend(
                b"q\x17tq\x18bcnumpy.core.multiarray\nscalar\nq\x19h\x07X\x02\x00\x00\x00i8q\x1a\
                \x89\x88\x87q\x1bRq\x1c(K\x03h\x15NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x1db\
                C\x08",
            );
            pickle.extend(label);
            pickle.extend(b"q\x1e\x86q\x1fRq etq!b.");
            pickle
        }
        _ => {
            let mut frame = b"\x8c\x16numpy._core.multiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\
                \x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94\
                (K\x01K\x02\x85\x94h\x03\x8c\x05dtype\x94\x93\x94\x8c\x02O8\x94\x89\x88\x87\x94R\x94\
                (K\x03\x8c\x01|\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?t\x94b\x89]\x94(\
                h\x02h\x05K\x00\x85\x94h\x07\x87\x94R\x94(K\x01"
                .to_vec();
            frame.extend([b'K', a, b'K', b, b'K', c]);
            frame.extend(
                b"\x87\x94h\x0c\x8c\x02f4\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<\x94NNN\
                J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b\x89B",
            );
            frame.extend((bytes.len() as u32).to_le_bytes());
            frame.extend(&bytes);
            frame.extend(
                b"\x94t\x94bh\x00\x8c\x06scalar\x94\x93\x94h\x0c\x8c\x02i8\x94\x89\x88\x87\x94R\x94\
                (K\x03h\x1aNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94bC\x08",
            );
            frame.extend(label);
            frame.extend(b"\x94\x86\x94R\x94et\x94b.");
            let mut pickle = b"\x80\x04\x95".to_vec();
            pickle.extend((frame.len() as u64).to_le_bytes());
            pickle.extend(frame);
            pickle
        }
    };
    npy("|O", "(2,)", &pickle)
}
