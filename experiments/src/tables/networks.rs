//! The networks of a table: the checkpoint itself and variants that were trained otherwise.

use std::collections::BTreeMap;
use std::slice;

use adadiff_model::kernels::Kernels;
use adadiff_sampler::SolverConfig;
use anyhow::{Result, bail};

use super::prepared_row::Missing;
use super::variants::Variants;
use crate::checkpoint::LoadedCheckpoint;
use crate::checkpoint::components::ComponentFiles;
use crate::checkpoint::{BaselineNetwork, Checkpoint};
use crate::methods::Method;
use crate::results::NetworkKeys;

/// A network on the device, and what tells it from others.
pub struct TableNetwork<B: Kernels> {
    pub loaded: LoadedCheckpoint<B>,
    /// The same without images, for thresholds and times.
    pub undecoded: LoadedCheckpoint<B>,
    /// What it was made from.
    pub keys: NetworkKeys,
    /// The SHA-256 of the weights of the second networks that are there.
    pub baselines: Vec<(BaselineNetwork, String)>,
}

impl<B: Kernels> TableNetwork<B> {
    /// The SHA-256 of the second network that a method needs, if it needs one that is there.
    pub fn baseline_sha256(&self, method: Method) -> Option<&str> {
        let needed = method.baseline()?;
        let mut baselines = self.baselines.iter();
        let (_, sha256) = baselines.find(|(baseline, _)| *baseline == needed)?;
        Some(sha256)
    }
}

/// The networks of one table, each with every solver and number of steps that the table asks for.
pub struct TableNetworks<B: Kernels> {
    component_files: ComponentFiles,
    variants: Variants,
    device: B::Device,
    main: TableNetwork<B>,
    others: BTreeMap<String, TableNetwork<B>>,
}

impl<B: Kernels> TableNetworks<B> {
    /// Loads the checkpoint.
    ///
    /// # Errors
    /// Where a file is damaged, or latents have no decoder.
    pub fn new(
        mut checkpoint: Checkpoint,
        component_files: ComponentFiles,
        variants: Variants,
        device: B::Device,
    ) -> Result<Self> {
        for baseline in BaselineNetwork::ALL {
            let known = checkpoint
                .baselines
                .iter()
                .any(|(known, _)| *known == baseline);
            let found = variants.find(baseline.variant(), &checkpoint.preset);
            if let (false, Ok(path)) = (known, found) {
                let second = Checkpoint::read(&path, None, slice::from_ref(&checkpoint.preset))?;
                checkpoint.baselines.push((baseline, second));
            }
        }
        let main = network(checkpoint, None, &component_files, &device)?;
        Ok(Self {
            component_files,
            variants,
            device,
            main,
            others: BTreeMap::new(),
        })
    }

    /// Requires the second network that a method needs, if it needs one.
    ///
    /// # Errors
    /// [`Missing`] where it is not there.
    pub fn ensure_companion(&self, network: &TableNetwork<B>, method: Method) -> Result<()> {
        let needed = match method.baseline() {
            Some(needed) if network.baseline_sha256(method).is_none() => needed.variant(),
            _ => return Ok(()),
        };
        let found = self.variants.find(needed, self.main.loaded.preset());
        bail!(Missing(found.err().unwrap_or_else(|| {
            format!("not measured: the network '{needed}' was not there at the start")
        })))
    }

    /// The checkpoint itself.
    pub fn main(&self) -> &TableNetwork<B> {
        &self.main
    }

    /// Loads a variant that is there.
    ///
    /// # Errors
    /// [`Missing`] where it is not there, or another one where a file is damaged.
    pub fn load(&mut self, variant: Option<&str>) -> Result<()> {
        let variant = match variant {
            Some(variant) if !self.others.contains_key(variant) => variant,
            _ => return Ok(()),
        };
        let preset = self.main.loaded.preset();
        let path = self.variants.find(variant, preset).map_err(Missing)?;
        let mut checkpoint = Checkpoint::read(&path, None, slice::from_ref(preset))?;
        // A variant is another network, sampled from in the same way.
        checkpoint.preset.sampling = self.main.loaded.preset().sampling.clone();
        let (component_files, device) = (&self.component_files, &self.device);
        let network = network(checkpoint, Some(variant), component_files, device)?;
        self.others.insert(variant.to_owned(), network);
        Ok(())
    }

    /// A network with a solver in a number of steps; nothing where it was not loaded.
    pub fn with(
        &self,
        variant: Option<&str>,
        solver: SolverConfig,
        steps: usize,
    ) -> Option<TableNetwork<B>> {
        let network = match variant {
            None => &self.main,
            Some(variant) => self.others.get(variant)?,
        };
        let loaded = network.loaded.with_solver(solver, steps);
        Some(TableNetwork {
            undecoded: loaded.without_decoder(),
            loaded,
            keys: network.keys.clone(),
            baselines: network.baselines.clone(),
        })
    }

    /// Forgets the variants, whose memory the next table may need for its own.
    pub fn forget_variants(&mut self) {
        self.others.clear();
    }
}

/// Puts a checkpoint on the device.
fn network<B: Kernels>(
    checkpoint: Checkpoint,
    variant: Option<&str>,
    component_files: &ComponentFiles,
    device: &B::Device,
) -> Result<TableNetwork<B>> {
    let keys = NetworkKeys::new(&checkpoint, variant)?;
    let baselines = checkpoint.baselines.iter();
    let baselines = baselines
        .map(|(baseline, second)| (*baseline, second.sha256.clone()))
        .collect();
    let loaded = component_files.load(checkpoint, device)?;
    Ok(TableNetwork {
        undecoded: loaded.without_decoder(),
        loaded,
        keys,
        baselines,
    })
}
