//! The log of losses as TensorBoard reads it: a `TFRecord` file of `Event` messages, one for each
//! line. Crates for it bring image decoders and protocol buffer runtimes along.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use adadiff_storage::write_atomically;

use crate::tf_record::{record, split_record};
use crate::{LogLine, TrainError};

/// The file of TensorBoard's events inside a training's folder.
pub const EVENTS_FILE: &str = "events.out.tfevents.training";

/// The version of the format, which the first event tells.
const VERSION: &[u8] = b"brain.Event:2";

/// The key of an event's step.
const STEP_KEY: u8 = 2 << 3;

/// Appends the scalars of a line.
pub(crate) fn append(path: &Path, line: &LogLine) -> Result<(), TrainError> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let time = time.map_or(0.0, |time| time.as_secs_f64());
    let write = || -> std::io::Result<()> {
        let is_new = fs::metadata(path).map_or(true, |file| file.len() == 0);
        let mut bytes = if is_new {
            record(&event(time, 0, 3, VERSION))
        } else {
            Vec::new()
        };
        bytes.extend(record(&event(time, line.step, 5, &summary(line))));
        adadiff_storage::append(path, &bytes)
    };
    write().map_err(TrainError::file("write", path))
}

/// Drops the events after `step`, whose steps are done again, and what a killed process has left of
/// a record.
pub(crate) fn truncate(path: &Path, step: u64) -> Result<(), TrainError> {
    if !path.exists() {
        return Ok(());
    }
    let bytes = fs::read(path).map_err(TrainError::file("read", path))?;
    let (mut kept, mut rest) = (Vec::new(), bytes.as_slice());
    while let Some((event, after)) = split_record(rest) {
        if step_of(event).is_some_and(|found| found <= step) {
            kept.extend_from_slice(&rest[..rest.len() - after.len()]);
        }
        rest = after;
    }
    Ok(write_atomically(path, &kept)?)
}

/// `Summary { value: [Value { tag, simple_value }] }`.
fn summary(line: &LogLine) -> Vec<u8> {
    let scalars = [
        ("loss/total", Some(line.total)),
        ("loss/simple", Some(line.simple)),
        ("loss/uncertainty", line.uncertainty),
        ("loss/layer_wise", line.layer_wise),
        ("gradient_norm", line.gradient_norm),
        ("frechet_distance", line.frechet_distance),
        ("learning_rate", Some(line.learning_rate)),
        ("images_per_second", Some(line.images_per_second)),
        (
            "peak_memory_mib",
            line.peak_memory_mib.map(|mib| mib as f64),
        ),
    ];
    let given = scalars
        .into_iter()
        .filter_map(|(tag, value)| Some((tag, value? as f32)));
    given
        .flat_map(|(tag, value)| {
            let scalar = [
                &field(1, tag.as_bytes())[..],
                &[2 << 3 | 5],
                &value.to_le_bytes(),
            ];
            field(1, &scalar.concat())
        })
        .collect()
}

/// `Event { wall_time, step, .. }` with one more field; a step of zero is left out.
fn event(time: f64, step: u64, number: u8, content: &[u8]) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend(time.to_le_bytes());
    if step > 0 {
        event.push(STEP_KEY);
        event.extend(varint(step));
    }
    event.extend(field(number, content));
    event
}

/// The step of an event that [`event`] made.
fn step_of(event: &[u8]) -> Option<u64> {
    let (&key, step) = event.get(9..)?.split_first()?;
    if key != STEP_KEY {
        return Some(0);
    }
    let last = step.iter().take(9).position(|byte| byte & 0x80 == 0)?;
    let groups = step[..=last].iter().rev();
    Some(groups.fold(0, |step, byte| step << 7 | u64::from(byte & 0x7f)))
}

/// A field of bytes, for strings and messages.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = varint(content.len() as u64);
    [&[number << 3 | 2], &length[..], content].concat()
}

fn varint(value: u64) -> Vec<u8> {
    let groups = (64 - value.leading_zeros()).div_ceil(7).max(1);
    let group =
        |index: u32| (value >> (7 * index)) as u8 & 0x7f | u8::from(index + 1 < groups) << 7;
    (0..groups).map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Watcher, four_steps, train_in};
    use crate::{CHECKPOINTS, Objective, TrainConfig};

    fn steps_in(path: &Path) -> Vec<u64> {
        let bytes = fs::read(path).unwrap();
        let (mut steps, mut rest) = (Vec::new(), bytes.as_slice());
        while let Some((event, after)) = split_record(rest) {
            steps.push(step_of(event).unwrap());
            rest = after;
        }
        steps
    }

    fn line(step: u64) -> LogLine {
        LogLine {
            step,
            images: 8 * step,
            total: 0.25,
            simple: 0.125,
            uncertainty: None,
            layer_wise: None,
            gradient_norm: None,
            frechet_distance: None,
            learning_rate: 1e-4,
            images_per_second: 512.0,
            peak_memory_mib: None,
        }
    }

    #[test]
    fn bytes_are_those_of_tensorboards_own_writer() {
        let hex =
            |bytes: Vec<u8>| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        // Written by `RecordWriter` of tensorboard 2.21.0.
        let version = "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a\
                       28646c";
        assert_eq!(hex(record(&event(1.5, 0, 3, VERSION))), version);
        let scalars = "6500000000000000ebd05a6909000000000000f83f10ac022a570a110a0a6c6f73732f746f74\
                       616c150000803e0a120a0b6c6f73732f73696d706c65150000003e0a140a0d6c6561726e696e\
                       675f726174651517b7d1380a180a11696d616765735f7065725f7365636f6e641500000044bc\
                       f4a0ca";
        assert_eq!(
            hex(record(&event(1.5, 300, 5, &summary(&line(300))))),
            scalars
        );
    }

    #[test]
    fn events_of_steps_that_are_done_again_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(EVENTS_FILE);
        truncate(&path, 3).unwrap();
        assert!(!path.exists());
        for step in [100, 200, 300] {
            append(&path, &line(step)).unwrap();
        }
        let steps = || steps_in(&path);
        assert_eq!(steps(), [0, 100, 200, 300]);
        // A process that was killed while it wrote.
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 5);
        fs::write(&path, &bytes).unwrap();
        truncate(&path, 250).unwrap();
        assert_eq!(steps(), [0, 100, 200]);
        truncate(&path, 100).unwrap();
        append(&path, &line(101)).unwrap();
        assert_eq!(steps(), [0, 100, 101]);
    }

    #[test]
    fn a_resumed_training_shows_every_step_once() {
        println!("device: flex");
        let config = TrainConfig {
            steps: 6,
            checkpoint_every: 4,
            ..four_steps(Objective::Simple)
        };
        let (killed, resumed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        train_in(killed.path(), &config, Watcher::default());
        let interrupting = Watcher::stopping_after(4);
        train_in(resumed.path(), &config, interrupting);
        // As if it had been killed after step 6 with a checkpoint of step 4.
        let path = resumed.path().join(EVENTS_FILE);
        fs::copy(killed.path().join(EVENTS_FILE), &path).unwrap();
        train_in(resumed.path(), &config, Watcher::default());
        assert_eq!(steps_in(&path), [0, 1, 2, 3, 4, 5, 6]);

        // Without a checkpoint, everything is done again.
        fs::remove_dir_all(resumed.path().join(CHECKPOINTS)).unwrap();
        train_in(resumed.path(), &config, Watcher::default());
        assert_eq!(steps_in(&path), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn steps_of_any_size_are_found_again() {
        for step in [0, 1, 127, 128, 16_384, 1 << 40, (1 << 56) + 3] {
            assert_eq!(step_of(&event(1.5, step, 5, b"")), Some(step));
        }
    }
}
