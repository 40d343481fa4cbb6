//! What an evaluation of a method costs.

use std::collections::BTreeMap;

use crate::{ComputeCost, Evaluation, MetricsError};

/// The operations of a method's evaluations, told from the number of blocks that they run.
#[derive(Clone, Debug, PartialEq)]
pub struct CostModel {
    network: ComputeCost,
    others: BTreeMap<u32, f64>,
}

impl CostModel {
    /// The same, where evaluations of `blocks` blocks take `flops` operations, since they do not run
    /// the first blocks of the network.
    pub fn with_evaluation(mut self, blocks: u32, flops: f64) -> Self {
        self.others.insert(blocks, flops);
        self
    }

    /// Blocks of the network.
    pub fn blocks(&self) -> usize {
        self.network.block_flops.len()
    }

    /// Operations of one evaluation.
    ///
    /// # Errors
    /// Where it ran more blocks than the network has.
    pub fn flops(&self, evaluation: Evaluation) -> Result<f64, MetricsError> {
        match self.others.get(&evaluation.blocks) {
            Some(&flops) => Ok(flops),
            None => self.network.flops(evaluation),
        }
    }
}

/// A network whose evaluations run its first blocks.
impl From<ComputeCost> for CostModel {
    fn from(network: ComputeCost) -> Self {
        Self {
            network,
            others: BTreeMap::new(),
        }
    }
}
