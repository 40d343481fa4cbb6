//! Tests of latents in the folders of the U-ViT repository's scripts.

use std::fs;

use super::testing::{context, float_npy, labelled_npy, moments};
use super::*;
use crate::{Conditioning, DataError, Label, Split, TrainingSet, Visit, choose_caption};

const VISIT: Visit = Visit {
    flip: false,
    seed: 3,
    position: 11,
};

/// Five images of ImageNet, of classes 0, 100 and so on.
fn image_net() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for image in 0..5 {
        let protocol = 3 + image as u8 % 2;
        let class = 100 * image as i64;
        let file = labelled_npy([4, 1, 3], &moments(image), class, protocol);
        fs::write(root.path().join(format!("{image}.npy")), file).unwrap();
    }
    fs::write(root.path().join("README.txt"), "latents").unwrap();
    root
}

/// Eleven images of MS-COCO in `train` with one or two contexts each, one in `val`.
fn coco() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (split, images) in [("train", 11), ("val", 1)] {
        let folder = root.path().join(split);
        fs::create_dir(&folder).unwrap();
        for image in 0..images {
            let file = float_npy(&[4, 1, 3], &moments(image));
            fs::write(folder.join(format!("{image}.npy")), file).unwrap();
            for caption in 0..=image % 2 {
                let file = float_npy(&[2, 3], &context(image, caption));
                fs::write(folder.join(format!("{image}_{caption}.npy")), file).unwrap();
            }
        }
    }
    let empty = float_npy(&[2, 3], &[0.5; 6]);
    fs::write(root.path().join("empty_context.npy"), empty).unwrap();
    root
}

fn drawn(image: usize, factor: f32) -> Vec<f32> {
    let mut values = vec![0.0; 6];
    sampling::draw(&moments(image), factor, VISIT, &mut values).unwrap();
    values
}

fn message(set: Result<NpyLatents, DataError>) -> String {
    set.err().unwrap().to_string()
}

#[test]
fn image_nets_folder_is_read() {
    let root = image_net();
    let set = NpyLatents::image_net(root.path()).unwrap();
    assert_eq!((set.len(), set.shape()), (5, [2, 1, 3]));
    assert_eq!(set.conditioning(), Conditioning::Class { classes: 1000 });
    assert!(set.name(3).ends_with("3.npy"));
    let mut values = [0.0; 6];
    for image in 0..5 {
        let label = set.read(image, VISIT, &mut values).unwrap();
        assert_eq!(label, Label::Class(100 * image));
        assert_eq!(values, *drawn(image, 0.18215));
    }
    // The mirror image is an example of its own.
    set.read(
        4,
        Visit {
            flip: true,
            ..VISIT
        },
        &mut values,
    )
    .unwrap();
    assert_eq!(values, *drawn(4, 0.18215));
}

#[test]
fn cocos_folders_are_read() {
    let root = coco();
    let set = NpyLatents::coco(root.path(), Split::Test).unwrap();
    assert_eq!(set.len(), 1);
    let set = NpyLatents::coco(root.path(), Split::Train).unwrap();
    let set = set.with_scale_factor(0.23010);
    assert_eq!((set.len(), set.shape()), (11, [2, 1, 3]));
    assert_eq!(
        set.conditioning(),
        Conditioning::Text {
            tokens: 2,
            width: 3
        }
    );
    assert_eq!(set.empty_context(), Some([0.5; 6].as_slice()));
    let mut values = [0.0; 6];
    let mut counts = [0; 2];
    for image in 0..11 {
        set.read(image, VISIT, &mut values).unwrap();
        assert_eq!(values, *drawn(image, 0.23010));
    }
    for position in 0..100 {
        let label = set
            .read(9, Visit { position, ..VISIT }, &mut values)
            .unwrap();
        let caption = choose_caption(3, position, 2).unwrap();
        assert_eq!(label, Label::Context(context(9, caption)));
        counts[caption] += 1;
    }
    assert!(counts.iter().all(|&count| count > 30), "{counts:?}");
}

#[test]
fn gaps_are_errors() {
    let root = image_net();
    fs::remove_file(root.path().join("2.npy")).unwrap();
    let found = message(NpyLatents::image_net(root.path()));
    assert!(
        found.contains("no 2.npy, but expected numbers in a row"),
        "{found}"
    );
    let root = coco();
    fs::remove_file(root.path().join("train/7_0.npy")).unwrap();
    let found = message(NpyLatents::coco(root.path(), Split::Train));
    assert!(found.contains("no 7_0.npy"), "{found}");
    fs::remove_file(root.path().join("train/7_1.npy")).unwrap();
    let found = message(NpyLatents::coco(root.path(), Split::Train));
    assert!(
        found.contains("no 7_0.npy, but expected a context for each"),
        "{found}"
    );
    fs::remove_file(root.path().join("empty_context.npy")).unwrap();
    let found = message(NpyLatents::coco(root.path(), Split::Test));
    assert!(
        found.contains("empty_context.npy: cannot be opened"),
        "{found}"
    );
    let found = message(NpyLatents::coco(&root.path().join("val"), Split::Test));
    assert!(found.contains("val/val: cannot be opened"), "{found}");
    let empty = tempfile::tempdir().unwrap();
    // A number that no memory would have room for up to it, and names of others.
    for name in [
        "18446744073709551615.npy",
        "007.npy",
        "3.npz",
        "x_1.npy",
        "-1.npy",
    ] {
        fs::write(empty.path().join(name), b"").unwrap();
        let found = message(NpyLatents::image_net(empty.path()));
        assert!(found.contains("no 0.npy"), "{name}: {found}");
    }
}

#[test]
fn the_first_file_must_be_latents() {
    let root = image_net();
    let first = root.path().join("0.npy");
    let found = |file: Vec<u8>| {
        fs::write(&first, file).unwrap();
        message(NpyLatents::image_net(root.path()))
    };
    let floats = found(float_npy(&[4, 1, 3], &moments(0)));
    assert!(
        floats.contains("0.npy: an array of type <f4, but expected"),
        "{floats}"
    );
    let odd = found(labelled_npy([3, 1, 4], &moments(0), 1, 3));
    assert!(odd.contains("an array [3, 1, 4]"), "{odd}");
    let class = found(labelled_npy([4, 1, 3], &moments(0), 1000, 3));
    assert!(class.contains("the class 1000"), "{class}");
    let class = found(labelled_npy([4, 1, 3], &moments(0), -1, 4));
    assert!(class.contains("the class -1"), "{class}");
    let long = found(vec![0; (4 << 20) + 1]);
    assert!(long.contains("more than 4194304 bytes"), "{long}");
}

#[test]
fn a_damaged_file_is_a_bad_image() {
    let root = coco();
    let set = NpyLatents::coco(root.path(), Split::Train).unwrap();
    let read = |name: &str, file: &[u8]| {
        let path = root.path().join("train").join(name);
        let before = fs::read(&path).unwrap();
        fs::write(&path, file).unwrap();
        let error = set.read(0, VISIT, &mut [0.0; 6]).unwrap_err().to_string();
        fs::write(&path, before).unwrap();
        error
    };
    assert_eq!(
        read("0.npy", &float_npy(&[4, 3, 1], &moments(0))),
        "is an array [4, 3, 1] instead of one [4, 1, 3]"
    );
    let cut = float_npy(&[4, 1, 3], &moments(0)[1..]);
    assert_eq!(
        read("0.npy", &cut),
        "is an array [4, 1, 3] in 44 bytes instead of an array of floats of 32 bits"
    );
    let bad = float_npy(&[2, 3], &[f32::NAN; 6]);
    assert_eq!(
        read("0_0.npy", &bad),
        "has a context 0_0.npy that has numbers that are not finite"
    );
    assert_eq!(
        read("0_0.npy", &float_npy(&[1, 6], &[0.0; 6])),
        "has a context 0_0.npy that is an array [1, 6] instead of one [2, 3]"
    );
    fs::remove_file(root.path().join("train/0_0.npy")).unwrap();
    let error = set.read(0, VISIT, &mut [0.0; 6]).unwrap_err().to_string();
    assert!(
        error.starts_with("has a context 0_0.npy that cannot be read"),
        "{error}"
    );
}
