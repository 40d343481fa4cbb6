//! Presets, which are written again as they were read.
#![no_main]

use adadiff_experiments::Preset;
use adadiff_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(preset) = Preset::read(&file("preset.toml", bytes)) {
        let text = preset.to_toml().expect("a preset can be written");
        let again = Preset::read(&file("again.toml", text.as_bytes()));
        assert_eq!(again.expect("a written preset can be read"), preset);
    }
});
