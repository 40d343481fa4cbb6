//! The tables of the paper, by name.

use std::fmt;

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::presets::Preset;

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum TableName {
    /// The main comparison, of networks without a condition
    Unconditional,
    /// The main comparison, of networks that are conditioned on classes or text
    Conditional,
    /// What uncertainty-aware layer-wise losses do to the full network
    Ual,
    /// Networks that were trained without some part of the method
    Ablations,
    /// Exits together with other solvers and numbers of steps
    Solvers,
    /// Other accelerations at equal measured time
    Methods,
    /// What choosing by sample is worth beside depths over time, and would be with true errors
    #[value(name = "by-sample")]
    BySample,
    /// Every method at several settings of its knob: the points of figure 5
    #[value(name = "trade-off")]
    TradeOff,
}

impl TableName {
    const ALL: [Self; 8] = [
        Self::Unconditional,
        Self::Conditional,
        Self::Ual,
        Self::Ablations,
        Self::Solvers,
        Self::Methods,
        Self::BySample,
        Self::TradeOff,
    ];

    /// The tables of a preset: one of the two main comparisons and all others.
    pub fn for_preset(preset: &Preset) -> Vec<Self> {
        let other = match Self::main(preset) {
            Self::Conditional => Self::Unconditional,
            _ => Self::Conditional,
        };
        let suits = |name: &Self| *name != other;
        Self::ALL.into_iter().filter(suits).collect()
    }

    /// The main comparison of a preset.
    fn main(preset: &Preset) -> Self {
        let network = &preset.model.backbone;
        if network.classes.is_some() || network.text.is_some() {
            Self::Conditional
        } else {
            Self::Unconditional
        }
    }

    /// Checks that the table is one of the preset's.
    ///
    /// # Errors
    /// Says which table to ask for in its place.
    pub fn check(self, preset: &Preset) -> Result<()> {
        if Self::for_preset(preset).contains(&self) {
            return Ok(());
        }
        let main = Self::main(preset);
        let condition = match main {
            Self::Conditional => "is conditioned",
            _ => "has no condition",
        };
        bail!(
            "the network of {} {condition}: its main comparison is `table {main}`",
            preset.name
        )
    }

    /// The name of its files.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Unconditional => "unconditional",
            Self::Conditional => "conditional",
            Self::Ual => "ual",
            Self::Ablations => "ablations",
            Self::Solvers => "solvers",
            Self::Methods => "methods",
            Self::BySample => "by_sample",
            Self::TradeOff => "trade_off",
        }
    }

    /// The heading over it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Unconditional => "Unconditional generation",
            Self::Conditional => "Conditional generation",
            Self::Ual => "Effect of UAL on the full network",
            Self::Ablations => "Ablations",
            Self::Solvers => "Solvers and steps",
            Self::Methods => "Other methods at equal measured time",
            Self::BySample => "What choosing by sample is worth",
            Self::TradeOff => "Every method at several settings",
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file_name().replace('_', "-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::{CIFAR10, COCO, IMAGENET};

    #[test]
    fn the_main_comparison_is_of_the_kind_of_the_network() {
        for (experiment, main) in [
            (CIFAR10, TableName::Unconditional),
            (IMAGENET, TableName::Conditional),
            (COCO, TableName::Conditional),
        ] {
            let preset = experiment.preset(None).unwrap();
            let names = TableName::for_preset(&preset);
            assert_eq!((names.len(), names[0]), (7, main));
            assert!(main.check(&preset).is_ok());
        }
        let error = TableName::Conditional.check(&CIFAR10.preset(None).unwrap());
        assert_eq!(
            error.unwrap_err().to_string(),
            "the network of cifar10 has no condition: its main comparison is `table unconditional`"
        );
    }
}
