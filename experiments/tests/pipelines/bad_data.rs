//! Bad data as users meet it: a clear error or a counted skip, never a wrong result.

use std::fs;
use std::path::Path;

use image::{DynamicImage, ImageFormat};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::made::{
    IMAGES, fail, jpeg, picture, prepare_coco, run, save_networks, write_celeba, write_coco,
};

const COCO: &str = env!("CARGO_BIN_EXE_coco");

fn coco_image(folder: &Path, number: usize) -> std::path::PathBuf {
    let name = format!("train2014/COCO_train2014_{number:012}.jpg");
    folder.join(name)
}

#[test]
fn images_of_every_kind_are_used_or_named_and_counted() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    write_coco(folder);
    save_networks(folder);
    let grey = DynamicImage::ImageRgb8(picture(3, 50, 40)).into_luma8();
    grey.save_with_format(coco_image(folder, 3), ImageFormat::Jpeg)
        .unwrap();
    let cmyk =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/images/src/jpeg/fixtures/cmyk.jpg");
    fs::copy(cmyk, coco_image(folder, 4)).unwrap();
    let whole = jpeg(&picture(5, 48, 40));
    fs::write(coco_image(folder, 5), &whole[..whole.len() / 2]).unwrap();
    fs::remove_file(coco_image(folder, 6)).unwrap();
    fs::write(coco_image(folder, 7), b"this is no image").unwrap();

    let prepare = prepare_coco();
    let told = fail(
        COCO,
        folder,
        &format!("{prepare} --skip-bad 2 --out strict"),
    );
    assert!(told.contains("3 images cannot be used"), "{told}");
    let told = run(COCO, folder, &format!("{prepare} --out latents"));
    let index = fs::read_to_string(folder.join("latents/index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    let skipped = index["skipped"].as_array().unwrap();
    let names: Vec<_> = skipped.iter().map(|image| &image["name"]).collect();
    for (number, name) in [5, 6, 7].into_iter().zip(&names) {
        let expected = format!("COCO_train2014_{number:012}.jpg");
        assert_eq!(**name, expected);
        assert!(told.contains(&format!("left out: {expected}")), "{told}");
    }
    let items = index["shards"].as_array().unwrap().iter();
    let items: u64 = items.map(|shard| shard["items"].as_u64().unwrap()).sum();
    assert_eq!((items, names.len()), (IMAGES as u64 - 3, 3));
}

#[test]
fn captions_that_do_not_fit_their_images_are_refused() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    write_coco(folder);
    save_networks(folder);
    let path = folder.join("captions_train2014.json");
    let document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut document = document.clone();
        change(&mut document);
        fs::write(&path, document.to_string()).unwrap();
        let told = fail(COCO, folder, &format!("{} --out latents", prepare_coco()));
        assert!(told.contains("captions_train2014.json: "), "{told}");
        assert!(!folder.join("latents").exists(), "{told}");
        told
    };
    let list = |document: &mut Value, list: &str| -> Vec<Value> {
        document[list].as_array().unwrap().clone()
    };
    let told = changed(&|document| {
        let mut images = list(document, "images");
        images.push(images[3].clone());
        document["images"] = images.into();
    });
    assert!(told.contains("two images 3"), "{told}");
    let told = changed(&|document| {
        let mut annotations = list(document, "annotations");
        annotations.push(annotations[0].clone());
        document["annotations"] = annotations.into();
    });
    assert!(told.contains("two captions 0"), "{told}");
    let told = changed(&|document| {
        document["annotations"][0]["image_id"] = json!(99_999);
    });
    assert!(told.contains("a caption 0 of an image 99999"), "{told}");
    let told = changed(&|document| {
        let mut annotations = list(document, "annotations");
        annotations.retain(|annotation| annotation["image_id"] != 8);
        document["annotations"] = annotations.into();
    });
    assert!(
        told.contains("an image 8 (COCO_train2014_000000000008.jpg) without a caption"),
        "{told}"
    );
}

#[test]
fn captions_of_another_split_are_refused() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    write_coco(folder);
    save_networks(folder);
    let path = folder.join("captions_train2014.json");
    let of_another = fs::read_to_string(&path)
        .unwrap()
        .replace("train2014", "val2014");
    fs::write(&path, of_another).unwrap();
    let told = fail(COCO, folder, &format!("{} --out latents", prepare_coco()));
    assert!(
        told.contains("train2014: none of the images that "),
        "{told}"
    );
    assert!(!folder.join("latents").exists());
}

#[test]
fn a_wrong_partition_list_is_refused() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    write_celeba(folder);
    let list = folder.join("celeba/list_eval_partition.txt");
    let written = fs::read_to_string(&list).unwrap();
    let train = "train --preset celeba-tiny --data celeba --out run";
    for (content, expected) in [
        (
            written.replace(" 0\n", " 2\n"),
            "none of them of the part Train",
        ),
        (written.replace(".jpg", ".png"), "none of the images that "),
        (written.replace(" 0\n", " 7\n"), "`000001.jpg 7` on line 1"),
        (
            format!("{written}000001.jpg 1\n"),
            "000001.jpg for the second time on line 71",
        ),
    ] {
        fs::write(&list, content).unwrap();
        let told = fail(env!("CARGO_BIN_EXE_celeba"), folder, train);
        assert!(told.contains(expected), "{told}");
        assert!(!folder.join("run").exists(), "{told}");
    }
}
