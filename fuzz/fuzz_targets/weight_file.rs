//! Published weight files: opened, read whole, and taken for a network.
#![no_main]

use adadiff_fuzz::file;
use adadiff_model::ImportHints;
use adadiff_uem::AdaDiffConfig;
use adadiff_weights::{StoredType, WeightFile};
use burn_flex::{Flex, FlexDevice};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = WeightFile::open(&file("weights", bytes)) else {
        return;
    };
    for (name, tensor) in file.tensors() {
        // A file that was opened is not cut off any more.
        if let StoredType::Known(_) = tensor.dtype {
            file.read(name).expect("an opened file can be read");
        }
    }
    let hints = ImportHints {
        heads: 4,
        text_tokens: None,
    };
    if let Ok(config) = AdaDiffConfig::infer(&file, hints) {
        let _ = config.import::<Flex>(&file, &FlexDevice);
    }
});
