//! Damaged checkpoints are refused with the name of the file and what to do.

use std::fs;
use std::path::{Path, PathBuf};

use adadiff_tests::Watcher;
use adadiff_train::{CHECKPOINTS, TrainError};
use tempfile::{TempDir, tempdir};

use crate::training::{IMAGES, checkpoints, dozen_steps, go_on, network, trainer};

const RECORDS: [&str; 3] = ["model.bin", "average.bin", "optimizer.bin"];

/// A training interrupted after step 3, and the folder of its checkpoint.
fn interrupted() -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    go_on(
        &dozen_steps(),
        folder.path(),
        &mut Watcher::stopping_after(3),
    )
    .unwrap();
    let checkpoint = folder.path().join(CHECKPOINTS).join("step-0000000003");
    (folder, checkpoint)
}

fn resume(folder: &Path) -> Result<u64, TrainError> {
    let resumed = trainer(&dozen_steps(), &network(), &IMAGES)?.resume(folder)?;
    Ok(resumed.steps_done())
}

/// Asserts that resuming names the damaged file, and gives back what it says.
#[track_caller]
fn refusal(folder: &Path, damaged: &Path) -> String {
    match resume(folder) {
        Err(TrainError::Checkpoint { path, reason }) => {
            assert_eq!(path, damaged);
            reason
        }
        other => panic!("a damaged {} gave {other:?}", damaged.display()),
    }
}

#[test]
fn a_changed_byte_anywhere_in_a_record_is_noticed() {
    println!("device: flex");
    let (folder, checkpoint) = interrupted();
    for name in RECORDS {
        let path = checkpoint.join(name);
        let whole = fs::read(&path).unwrap();
        for place in [0, 1, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            fs::write(&path, &damaged).unwrap();
            let reason = refusal(folder.path(), &path);
            assert!(reason.contains("checksum is wrong"), "{reason}");
            assert!(reason.contains("Remove its folder"), "{reason}");
        }
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(resume(folder.path()).unwrap(), 3);
}

#[test]
fn a_truncated_file_is_noticed() {
    println!("device: flex");
    let (folder, checkpoint) = interrupted();
    for name in RECORDS.into_iter().chain(["state.json"]) {
        let path = checkpoint.join(name);
        let whole = fs::read(&path).unwrap();
        for length in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            refusal(folder.path(), &path);
        }
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(resume(folder.path()).unwrap(), 3);
}

#[test]
fn a_missing_file_is_named() {
    println!("device: flex");
    for name in RECORDS.into_iter().chain(["state.json"]) {
        let (folder, checkpoint) = interrupted();
        let path = checkpoint.join(name);
        fs::remove_file(&path).unwrap();
        let message = resume(folder.path()).unwrap_err().to_string();
        assert!(message.contains(&path.display().to_string()), "{message}");
    }
}

#[test]
fn the_advice_helps() {
    println!("device: flex");
    let folder = tempdir().unwrap();
    for step in [2, 3] {
        go_on(
            &dozen_steps(),
            folder.path(),
            &mut Watcher::stopping_after(step),
        )
        .unwrap();
    }
    let latest = folder.path().join(CHECKPOINTS).join("step-0000000003");
    fs::write(latest.join("model.bin"), b"damaged").unwrap();
    refusal(folder.path(), &latest.join("model.bin"));
    fs::remove_dir_all(&latest).unwrap();
    assert_eq!(resume(folder.path()).unwrap(), 2);
    go_on(&dozen_steps(), folder.path(), &mut Watcher::default()).unwrap();
    assert_eq!(
        checkpoints(folder.path()),
        ["step-0000000008", "step-0000000012"]
    );
}
