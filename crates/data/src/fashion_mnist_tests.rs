use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn bundled(name: &str) -> Vec<u8> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../experiments/assets/fashion_mnist"
    );
    std::fs::read(Path::new(folder).join(name)).unwrap()
}

fn labels_gz(labels: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&LABELS.magic.to_be_bytes()).unwrap();
    encoder
        .write_all(&(labels.len() as u32).to_be_bytes())
        .unwrap();
    encoder.write_all(labels).unwrap();
    encoder.finish().unwrap()
}

fn images_gz(images: &[[u8; SOURCE_PIXELS]]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for word in [IMAGES.magic, images.len() as u32, 28, 28] {
        encoder.write_all(&word.to_be_bytes()).unwrap();
    }
    encoder.write_all(images.as_flattened()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_bundled_test_split_is_the_published_one() {
    let [images, labels] = [Split::Test.images_file(), Split::Test.labels_file()].map(bundled);
    let data = FashionMnist::from_gz_bytes("bundle", Split::Test, &images, &labels).unwrap();
    assert_eq!(data.len(), 10_000);
    for class in 0..CLASSES as u8 {
        assert_eq!(
            data.labels()
                .iter()
                .filter(|&&label| label == class)
                .count(),
            1000
        );
    }
    assert_eq!(data.labels()[..10], [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]);
    let mean = (0..data.len())
        .flat_map(|i| data.bytes(i))
        .map(|&b| f64::from(b))
        .sum::<f64>()
        / (data.len() * SOURCE_PIXELS) as f64;
    // The published test split's mean, 0.2868 of 255.
    assert!((mean / 255.0 - 0.2868).abs() < 5e-5, "{mean}");
}

#[test]
fn a_folder_with_a_subset_loads() {
    let folder = tempfile::tempdir().unwrap();
    let mut image = [0; SOURCE_PIXELS];
    image[0] = 255;
    std::fs::write(
        folder.path().join(Split::Train.images_file()),
        images_gz(&[image]),
    )
    .unwrap();
    std::fs::write(
        folder.path().join(Split::Train.labels_file()),
        labels_gz(&[9]),
    )
    .unwrap();
    let data = FashionMnist::load(folder.path(), Split::Train).unwrap();
    assert_eq!((data.len(), data.labels()), (1, &[9][..]));
    assert_eq!(data.image(0, false)[2 * 32 + 2], 1.0);
    assert_eq!(data.image(0, true)[2 * 32 + 29], 1.0);
    assert_eq!(data.order(0).at(5).index, 0);
    let set: &dyn ImageSet = &data;
    assert_eq!((set.shape(), set.label(0)), ([1, 32, 32], Some(9)));
    assert_eq!(set.bytes(0).unwrap()[2 * 32 + 2], 255);
    assert_eq!(set.image(0, true).unwrap(), data.image(0, true));
}

#[test]
fn errors_name_file_expectation_and_source() {
    let folder = tempfile::tempdir().unwrap();
    let error = FashionMnist::load(folder.path(), Split::Train)
        .unwrap_err()
        .to_string();
    for part in [
        "train-images-idx3-ubyte.gz",
        "28 x 28",
        "dataset-fashion-mnist",
        "https://",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let read = |images: &[u8], labels: &[u8]| {
        FashionMnist::from_gz_bytes("here", Split::Test, images, labels)
            .unwrap_err()
            .to_string()
    };
    let images = images_gz(&[[0; SOURCE_PIXELS]; 2]);
    let error = read(&images, &labels_gz(&[1]));
    assert!(error.starts_with("here/t10k-labels-idx1-ubyte.gz: 1 labels, but expected 2"));
    let error = read(&images, &labels_gz(&[1, 10]));
    assert!(
        error.contains("label 10 at index 1, but expected labels from 0 to 9"),
        "{error}"
    );
    let error = read(&labels_gz(&[1, 2]), &labels_gz(&[1, 2]));
    assert!(
        error.contains("images-idx3-ubyte.gz: magic number 0x00000801"),
        "{error}"
    );
}

#[test]
fn pads_evenly() {
    let mut source = [0; SOURCE_PIXELS];
    source[0] = 255;
    source[SOURCE_PIXELS - 1] = 51;
    let target = pad(&source);
    assert_eq!(target[2 * SIDE + 2], 255);
    assert_eq!(target[29 * SIDE + 29], 51);
    assert_eq!(target.iter().filter(|&&byte| byte == 0).count(), PIXELS - 2);
}
