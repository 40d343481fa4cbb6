//! This project's own weight files, loaded onto a device.
#![no_main]

use adadiff_experiments::Checkpoint;
use adadiff_fuzz::file;
use burn_flex::{Flex, FlexDevice};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = Checkpoint::read(&file("weights.safetensors", bytes), None, &[]) {
        let _ = checkpoint.model::<Flex>(&FlexDevice);
    }
});
