//! The events of a feed.

use axum::body::Bytes;
use serde::Serialize;

/// Which of the two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// The full network.
    Full,
    /// The network with the method that was asked for.
    Method,
}

/// What is told while samples are drawn.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Others are drawing.
    Queued {
        /// How many come first.
        ahead: usize,
    },
    /// Something is done first.
    Stage {
        /// What.
        what: String,
        /// Evaluations of the network for one sample so far.
        done: u64,
        /// How many there will be, as far as that is known.
        expected: u64,
    },
    /// Drawing begins.
    Started {
        /// The method with its setting.
        label: String,
        /// Blocks of the network.
        blocks: usize,
        /// Evaluations of the network for each sample, of the full network and of the method.
        steps: [usize; 2],
        /// The share of blocks that the method's exits skipped where they were calibrated.
        calibrated: Option<f64>,
    },
    /// The network was asked once for every sample.
    Step {
        /// Which network.
        lane: Lane,
        /// The evaluations before.
        step: usize,
        /// The time as the network is told it.
        timestep: f64,
        /// Blocks run for each sample.
        blocks: Vec<u32>,
        /// For each sample that left with a forecast of the blocks that it skipped, how many it ran before
        /// those and how many after.
        forecasts: Vec<Option<(usize, usize)>>,
        /// For each sample what its exit was decided by, after every block where it was asked for.
        signals: Vec<Vec<f32>>,
        /// Seconds of this network so far.
        seconds: f64,
        /// The images that the network sees, side by side: PNG in base64.
        images: String,
    },
    /// A network has finished.
    Drawn {
        /// Which network.
        lane: Lane,
        /// Seconds of the whole batch.
        seconds: f64,
        /// Mean blocks of an evaluation of one sample.
        blocks_mean: f64,
        /// The share of blocks that was not run.
        block_reduction: f64,
        /// Operations of one image, in 10^9.
        gflops: f64,
        /// The images, side by side: PNG in base64.
        images: String,
    },
    /// What every block says of a step of the method.
    Inside {
        /// The evaluations before.
        step: usize,
        /// For each block, for each sample, the estimated uncertainty.
        uncertainty: Vec<Vec<f32>>,
        /// For each block, for each sample, how wrong it is.
        errors: Vec<Vec<f32>>,
        /// The uncertainty of each pixel where each sample left, side by side: PNG in base64, from 0 in
        /// black to `brightest` in white.
        maps: String,
        /// The uncertainty that is white.
        brightest: f32,
    },
    /// What every block would make of one sample in one step.
    Cells {
        /// The images that the blocks see, side by side: PNG in base64.
        images: String,
        /// Their uncertainty, side by side: PNG in base64.
        maps: String,
        /// The uncertainty that is white.
        brightest: f32,
        /// The estimated uncertainty of each block.
        uncertainty: Vec<f32>,
        /// How wrong each block is.
        errors: Vec<f32>,
    },
    /// Everything was told.
    Done {},
    /// It cannot be done.
    Fault {
        /// Why, in a sentence for the visitor.
        message: String,
    },
}

impl Event {
    /// The event as it goes over the wire.
    pub fn encode(&self) -> Bytes {
        // Numbers and text can always be written.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("data: {json}\n\n").into()
    }
}

/// Numbers of a map with as many digits as anybody reads.
pub fn rounded(values: &[f32]) -> Vec<f32> {
    let round = |value: &f32| (value * 1e4).round() / 1e4;
    values.iter().map(round).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_lines_of_json() {
        let event = Event::Fault {
            message: "two\nlines".into(),
        };
        let text = String::from_utf8(event.encode().to_vec()).unwrap();
        assert_eq!(
            text,
            "data: {\"event\":\"fault\",\"message\":\"two\\nlines\"}\n\n"
        );
        assert_eq!(rounded(&[0.123_46, 0.1, 2e-5]), [0.1235, 0.1, 0.0]);
    }
}
