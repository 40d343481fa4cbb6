//! What a checkpoint says of a classifier's training.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ClassifierConfig;
use crate::TrainError;
use crate::checkpoint::State;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ClassifierState {
    /// Steps done.
    pub(super) step: u64,
    /// How many random numbers were drawn.
    pub(super) random_position: u64,
    config: ClassifierConfig,
    /// The name of the network's features, and how many parameters it has.
    network: String,
    /// The SHA-256 of the training images.
    data_sha256: Option<String>,
    /// CRC-32 of each file.
    checksums: BTreeMap<String, u32>,
}

impl State for ClassifierState {
    fn step(&self) -> u64 {
        self.step
    }

    fn checksums(&mut self) -> &mut BTreeMap<String, u32> {
        &mut self.checksums
    }
}

impl ClassifierState {
    /// The start of a training.
    pub(super) fn new(
        config: &ClassifierConfig,
        network: String,
        data_sha256: Option<String>,
    ) -> Self {
        Self {
            step: 0,
            random_position: 0,
            config: config.clone(),
            network,
            data_sha256,
            checksums: BTreeMap::new(),
        }
    }

    /// What was found in `folder`, if this training is the one that left it there.
    pub(super) fn resumed(self, found: Self, folder: &Path) -> Result<Self, TrainError> {
        let [now, then] = [&self, &found].map(|state| {
            [
                ("settings were", format!("{:?}", state.config)),
                ("network was", state.network.clone()),
                ("images had the SHA-256", format!("{:?}", state.data_sha256)),
            ]
        });
        let mut differences = then.into_iter().zip(now);
        match differences.find(|(then, now)| then != now) {
            None => Ok(found),
            Some(((what, then), (_, now))) => Err(TrainError::OtherRun {
                path: folder.to_owned(),
                difference: format!("its {what} {then}, now {now}"),
            }),
        }
    }
}
