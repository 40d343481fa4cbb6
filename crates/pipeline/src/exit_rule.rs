//! By what rule samples leave.

use serde::{Deserialize, Serialize};

/// When a sample leaves the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case", try_from = "String")]
pub enum ExitRule {
    /// At the first block whose uncertainty is under one threshold for all timesteps: the paper's
    Threshold,
    /// After a depth that depends on the timestep alone, the nearest to the exits of `allocated`: reads
    /// nothing back from the device
    Schedule,
    /// Within bounds and by a threshold of each timestep, chosen from recorded errors so that the
    /// samples suffer least from the blocks that are skipped
    #[default]
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
    const ALL: [Self; 5] = [
        Self::Threshold,
        Self::Schedule,
        Self::Allocated,
        Self::Distance,
        Self::Forecast,
    ];

    /// Whether exits are calibrated by the distance of samples from a reference.
    pub fn measures_distances(self) -> bool {
        matches!(self, Self::Distance | Self::Forecast)
    }

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Threshold => "threshold",
            Self::Schedule => "schedule",
            Self::Allocated => "allocated",
            Self::Distance => "distance",
            Self::Forecast => "forecast",
        }
    }
}

impl TryFrom<String> for ExitRule {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|rule| rule.name() == name);
        known.ok_or_else(|| {
            if name == "excess" {
                return "there is no exit rule `excess` any more: use `allocated`, whose samples are \
                        better for as many blocks"
                    .to_owned();
            }
            let names = Self::ALL.map(Self::name).join(", ");
            format!("`{name}` is no exit rule; there are {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_name_a_rule_that_is_gone_learn_what_to_use() {
        for rule in ExitRule::ALL {
            let json = serde_json::to_string(&rule).unwrap();
            assert_eq!(json, format!("\"{}\"", rule.name()));
            assert_eq!(serde_json::from_str::<ExitRule>(&json).unwrap(), rule);
        }
        for (name, told) in [
            ("excess", "use `allocated`"),
            ("exces", "threshold, schedule"),
        ] {
            let error = serde_json::from_str::<ExitRule>(&format!("\"{name}\"")).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}
