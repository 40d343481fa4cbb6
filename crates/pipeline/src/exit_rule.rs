//! By what rule samples leave.

use serde::{Deserialize, Serialize};

/// When a sample leaves the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum ExitRule {
    /// At the first block whose uncertainty is under one threshold for all timesteps: the paper's
    Threshold,
    /// At the first block whose uncertainty exceeds the last block's at that timestep by little
    #[default]
    Excess,
    /// After a depth that depends on the timestep alone, the nearest to the exits of `excess`: reads
    /// nothing back from the device
    Schedule,
    /// Within bounds and by a threshold of each timestep, chosen from recorded errors so that the
    /// samples suffer least from the blocks that are skipped
    Allocated,
    /// As `allocated`, but by how far the samples as a whole are from the images of the data set, not by
    /// how far each moves: needs features and statistics to measure that by, and draws dozens of sets of
    /// samples for it, in each run anew. May skip more blocks than were asked for, where that costs nothing
    Distance,
    /// As `distance`, but after depths that depend on the timestep, with or without a forecast of the blocks that
    /// are skipped, made of what they added when the sample last ran to the end; each sample chooses for
    /// itself where that is better on samples that nothing was chosen by
    Forecast,
}

impl ExitRule {
    /// Whether exits are calibrated by the distance of samples from a reference.
    pub fn measures_distances(self) -> bool {
        matches!(self, Self::Distance | Self::Forecast)
    }

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Threshold => "threshold",
            Self::Excess => "excess",
            Self::Schedule => "schedule",
            Self::Allocated => "allocated",
            Self::Distance => "distance",
            Self::Forecast => "forecast",
        }
    }
}
