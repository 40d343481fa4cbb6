use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{Conditioning, ImageError, PictureError, from_byte};

/// Images of 1 x 2 pixels: the index, and one more.
struct Numbers {
    length: usize,
    bad: Vec<usize>,
    read: AtomicUsize,
}

fn numbers(length: usize, bad: &[usize]) -> Arc<Numbers> {
    Arc::new(Numbers {
        length,
        bad: bad.to_vec(),
        read: AtomicUsize::new(0),
    })
}

impl TrainingSet for Numbers {
    fn len(&self) -> usize {
        self.length
    }

    fn shape(&self) -> [usize; 3] {
        [1, 1, 2]
    }

    fn name(&self, index: usize) -> String {
        format!("number {index}")
    }

    fn conditioning(&self) -> Conditioning {
        Conditioning::Class { classes: 10 }
    }

    fn read(&self, index: usize, visit: Visit, values: &mut [f32]) -> Result<Label, ImageError> {
        self.read.fetch_add(1, Ordering::SeqCst);
        if self.bad.contains(&index) {
            return Err(PictureError::Truncated.into());
        }
        assert_ne!(index, 99, "number 99 makes the decoder panic");
        values.copy_from_slice(&[index, index + 1].map(|value| from_byte(value as u8)));
        if visit.flip {
            values.reverse();
        }
        Ok(Label::Class(index % 10))
    }
}

fn config() -> LoaderConfig {
    LoaderConfig {
        seed: 5,
        batch_size: 4,
        rows: 0..4,
        flip: true,
        ahead: 2,
        workers: 2,
        most_bad_images: 3,
    }
}

fn load(set: &Arc<Numbers>, config: LoaderConfig, first: u64, count: usize) -> Vec<Batch> {
    let loader = BatchLoader::new(set.clone(), config, first).unwrap();
    loader.take(count).map(Result::unwrap).collect()
}

#[test]
fn batches_follow_the_order() {
    let batches = load(&numbers(10, &[]), config(), 0, 6);
    let mut order = SampleOrder::new(5, NonZeroUsize::new(10).unwrap());
    let mut flipped = 0;
    for (step, batch) in batches.iter().enumerate() {
        assert_eq!(batch.step, step as u64);
        for row in 0..4 {
            let sample = order.at((4 * step + row) as u64);
            assert_eq!(batch.indices[row], sample.index);
            assert_eq!(batch.labels[row], Label::Class(sample.index));
            let [index, next] = [0, 1].map(|more| from_byte((sample.index + more) as u8));
            let expected = if sample.flip {
                [next, index]
            } else {
                [index, next]
            };
            assert_eq!(batch.images[2 * row..][..2], expected);
            flipped += usize::from(sample.flip);
        }
    }
    assert!((1..24).contains(&flipped), "{flipped}");
    let straight = LoaderConfig {
        flip: false,
        ..config()
    };
    for batch in load(&numbers(10, &[]), straight, 0, 6) {
        let (images, _) = batch.images.as_chunks::<2>();
        assert!(images.iter().all(|[left, right]| left < right));
    }
}

#[test]
fn a_step_is_the_same_however_it_is_reached() {
    let set = numbers(10, &[2, 7]);
    let whole = load(&set, config(), 0, 9);
    let one_worker = LoaderConfig {
        workers: 1,
        ahead: 0,
        ..config()
    };
    let later = load(&set, one_worker, 4, 5);
    for (whole, later) in whole[4..].iter().zip(&later) {
        // Only which images are new among the bad depends on what was seen before.
        let whole = Batch {
            skipped: later.skipped.clone(),
            ..whole.clone()
        };
        assert_eq!(&whole, later);
    }
}

#[test]
fn processes_that_share_a_batch_load_its_parts() {
    let set = numbers(10, &[3]);
    let whole = load(&set, config(), 0, 5);
    let [first, second] = [0..1, 1..4].map(|rows| {
        let config = LoaderConfig { rows, ..config() };
        load(&set, config, 0, 5)
    });
    for ((whole, first), second) in whole.iter().zip(first).zip(second) {
        assert_eq!(whole.indices, [first.indices, second.indices].concat());
        assert_eq!(whole.images, [first.images, second.images].concat());
    }
}

#[test]
fn the_next_good_image_stands_for_a_bad_one() {
    let good = load(&numbers(10, &[]), config(), 0, 10);
    let batches = load(&numbers(10, &[4, 5, 9]), config(), 0, 10);
    let mut skipped = Vec::new();
    for (good, batch) in good.iter().zip(&batches) {
        for (&meant, &index) in good.indices.iter().zip(&batch.indices) {
            let expected = match meant {
                4 | 5 => 6,
                9 => 0,
                other => other,
            };
            assert_eq!(index, expected);
        }
        let labels = batch.indices.iter().map(|&index| Label::Class(index));
        assert!(labels.eq(batch.labels.iter().cloned()));
        skipped.extend(batch.skipped.iter().map(|image| image.index));
    }
    skipped.sort_unstable();
    assert_eq!(skipped, [4, 5, 9]);
}

#[test]
fn too_many_bad_images_end_the_sequence() {
    let mut loader = BatchLoader::new(numbers(10, &[1, 4, 5, 9]), config(), 0).unwrap();
    let error = loader.find_map(Result::err).unwrap().to_string();
    assert!(
        error.starts_with("4 images cannot be used, where 3 may be skipped:"),
        "{error}"
    );
    assert!(error.contains("\n  number 9 is cut off"), "{error}");
    assert!(loader.next().is_none());

    let all = (0..3).collect::<Vec<_>>();
    let mut loader = BatchLoader::new(numbers(3, &all), config(), 0).unwrap();
    let error = loader.next().unwrap().unwrap_err().to_string();
    assert!(
        error.starts_with("3 images cannot be used, where 3 may be skipped:"),
        "{error}"
    );
}

#[test]
fn no_more_is_decoded_than_fits() {
    let set = numbers(1000, &[]);
    let mut loader = BatchLoader::new(set.clone(), config(), 0).unwrap();
    for _ in 0..3 {
        loader.next().unwrap().unwrap();
    }
    drop(loader);
    // Three taken, two ready and one that found no place.
    let read = set.read.load(Ordering::SeqCst);
    assert!((12..=24).contains(&read), "{read}");
}

#[test]
#[should_panic(expected = "number 99 makes the decoder panic")]
fn a_panic_of_a_decoder_is_not_swallowed() {
    let loader = BatchLoader::new(numbers(100, &[]), config(), 0).unwrap();
    for batch in loader {
        batch.unwrap();
    }
}

#[test]
#[should_panic(expected = "rows 2..5 of a batch of 4")]
fn rows_must_be_of_the_batch() {
    let config = LoaderConfig {
        rows: 2..5,
        ..config()
    };
    let _ = BatchLoader::new(numbers(10, &[]), config, 0);
}
