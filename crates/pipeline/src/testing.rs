//! What the tests of this crate share.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use burn_flex::Flex;

use crate::{Monitor, Pipeline};

/// The folder of the bundled weights and their calibrations.
pub fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/assets/fashion_mnist")
}

/// The bundled network.
pub fn pipeline() -> Pipeline<Flex> {
    Pipeline::open(bundled().join("weights.safetensors"), Default::default()).unwrap()
}

/// Stops work once it has asked so many times.
pub struct StopsAfter(pub Cell<usize>);

impl Monitor for StopsAfter {
    fn stopped(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left == 0
    }
}

/// Remembers what it is told of.
#[derive(Default)]
pub struct Notes(pub RefCell<Vec<String>>);

impl Monitor for Notes {
    fn note(&self, text: &str) {
        self.0.borrow_mut().push(text.to_owned());
    }
}
