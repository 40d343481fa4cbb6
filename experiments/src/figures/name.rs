//! The figures of the paper, by number, and others by name.

use serde::{Deserialize, Serialize};

use crate::presets::Protocol;

/// A figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FigureName {
    /// Figure 1: the error of every block's prediction.
    LayerErrors,
    /// Figure 3: the same over denoising steps.
    LayerErrorsOverSteps,
    /// Figure 4: samples with and without adaptive computation.
    Samples,
    /// Figure 5: distance over operations and over seconds for all methods.
    TradeOff,
    /// Figure 6: uncertainty maps over steps.
    UncertaintyMaps,
    /// Where samples leave.
    ExitDepth,
    /// Estimated against actual errors.
    Reliability,
    /// Time against blocks.
    TimeOverBlocks,
}

/// What is said of the paper's figure 2.
pub const FIGURE_2: &str = "The paper's figure 2 is the drawing of the method itself: blocks, the estimator \
     behind each, and the exit. There is nothing to measure in it; section 3 of the paper, \
     https://arxiv.org/abs/2309.17074, shows it. Figures 1, 3, 4, 5 and 6 are measured here.";

/// What the command line asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureArgument {
    /// A figure.
    One(FigureName),
    /// The paper's figure 2, which is a diagram.
    Diagram,
    /// All of them.
    All,
}

impl FigureName {
    /// All figures: the paper's in their order, then the others.
    pub const ALL: [Self; 8] = [
        Self::LayerErrors,
        Self::LayerErrorsOverSteps,
        Self::Samples,
        Self::TradeOff,
        Self::UncertaintyMaps,
        Self::ExitDepth,
        Self::Reliability,
        Self::TimeOverBlocks,
    ];

    /// The name on the command line: the paper's number where it has one.
    fn argument(self) -> &'static str {
        match self {
            Self::LayerErrors => "1",
            Self::LayerErrorsOverSteps => "3",
            Self::Samples => "4",
            Self::TradeOff => "5",
            Self::UncertaintyMaps => "6",
            Self::ExitDepth => "exits",
            Self::Reliability => "reliability",
            Self::TimeOverBlocks => "time",
        }
    }

    /// The names of its files with samples drawn in a protocol.
    pub fn files(self, protocol: Option<&Protocol>) -> Vec<String> {
        let stems = self.file_names().iter();
        stems
            .map(|stem| Protocol::file_name(protocol, stem))
            .collect()
    }

    /// The names of its files with samples drawn as the preset says; figure 5 has two pictures.
    pub fn file_names(self) -> &'static [&'static str] {
        match self {
            Self::LayerErrors => &["layer_errors"],
            Self::LayerErrorsOverSteps => &["layer_errors_over_steps"],
            Self::Samples => &["samples"],
            Self::TradeOff => &["trade_off_operations", "trade_off_seconds"],
            Self::UncertaintyMaps => &["uncertainty_maps"],
            Self::ExitDepth => &["exit_depth"],
            Self::Reliability => &["reliability"],
            Self::TimeOverBlocks => &["time_over_blocks"],
        }
    }
}

impl FigureArgument {
    /// Reads a number or a name.
    ///
    /// # Errors
    /// Where there is no such figure, with those that there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let named = |name: &&FigureName| name.argument() == text;
        match (text, FigureName::ALL.iter().find(named)) {
            ("all", _) => Ok(Self::All),
            ("2", _) => Ok(Self::Diagram),
            (_, Some(&name)) => Ok(Self::One(name)),
            (_, None) => {
                let names = FigureName::ALL.map(FigureName::argument);
                Err(format!("known are {} and all", names.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_papers_numbers() {
        let parsed = |text| FigureArgument::parse(text);
        assert_eq!(
            parsed("1"),
            Ok(FigureArgument::One(FigureName::LayerErrors))
        );
        assert_eq!(
            parsed("6"),
            Ok(FigureArgument::One(FigureName::UncertaintyMaps))
        );
        assert_eq!(parsed("2"), Ok(FigureArgument::Diagram));
        assert_eq!(parsed("all"), Ok(FigureArgument::All));
        assert_eq!(
            parsed("7"),
            Err("known are 1, 3, 4, 5, 6, exits, reliability, time and all".to_owned())
        );
    }
}
