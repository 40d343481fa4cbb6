//! The networks of a table: the checkpoint itself and variants that were trained otherwise.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use adadiff_model::kernels::Kernels;
use adadiff_sampler::SolverConfig;
use anyhow::Result;

use super::key::NetworkKey;
use super::plan::BACKBONE;
use crate::checkpoint::Checkpoint;
use crate::methods::{Companion, Method};
use crate::preset::Preset;
use crate::study::Study;
use crate::surroundings::Surroundings;

/// Where the bundled checkpoint lies, seen from the repository's root.
const BUNDLED: &str = "experiments/assets/fashion_mnist/weights.safetensors";

/// Where variants are looked for.
#[derive(Clone, Debug)]
pub struct Variants {
    /// The program's name, for the command that trains a variant.
    pub program: &'static str,
    /// The checkpoint itself, if it is not the bundled one.
    pub checkpoint: Option<PathBuf>,
    /// The folder of the variants.
    pub folder: PathBuf,
    /// Files that were named, by variant.
    pub files: Vec<(String, PathBuf)>,
}

impl Variants {
    /// The weights of a variant.
    ///
    /// # Errors
    /// A sentence that says what is missing and which command makes it.
    pub fn find(&self, variant: &str, preset: &Preset) -> Result<PathBuf, String> {
        let places = self.places(variant);
        match places.iter().find(|path| path.exists()) {
            Some(path) => Ok(path.clone()),
            None => {
                let missing = places.last().map_or(Path::new(variant), PathBuf::as_path);
                Err(format!(
                    "not measured: checkpoint {} missing, train it with `{}`",
                    missing.display(),
                    self.command(variant, preset)
                ))
            }
        }
    }

    /// The places of a variant, the one that its command writes last.
    fn places(&self, variant: &str) -> Vec<PathBuf> {
        let named = self.files.iter().filter(|(name, _)| name == variant);
        let mut places: Vec<PathBuf> = named.map(|(_, path)| path.clone()).collect();
        if !places.is_empty() {
            return places;
        }
        let phase = if is_first_phase(variant) {
            "backbone"
        } else {
            "joint"
        };
        if variant == BACKBONE {
            places.extend(self.first_phase());
        }
        places.push(self.folder.join(format!("{variant}.safetensors")));
        places.push(
            self.folder
                .join(variant)
                .join(phase)
                .join("weights.safetensors"),
        );
        places
    }

    /// The first phase of the training that led to the checkpoint.
    fn first_phase(&self) -> Option<PathBuf> {
        let run = self.checkpoint.as_deref()?.parent()?.parent()?;
        Some(run.join("backbone/weights.safetensors"))
    }

    fn command(&self, variant: &str, preset: &Preset) -> String {
        let out = self.folder.join(variant);
        let preset = match variant {
            BACKBONE => preset.name.clone(),
            variant => format!("{}-{variant}", preset.name),
        };
        let from = if is_first_phase(variant) {
            " --backbone-only".to_owned()
        } else if variant == Companion::LearnedExit.variant() {
            // It learns the exits of the network as it is.
            let weights = self.checkpoint.as_deref().unwrap_or(Path::new(BUNDLED));
            format!(" --backbone {}", weights.display())
        } else {
            // Networks that differ in the second phase alone are compared from the same first one.
            match self.first_phase().filter(|path| path.exists()) {
                Some(path) => format!(" --backbone {}", path.display()),
                None => String::new(),
            }
        };
        format!(
            "{} train --preset {preset}{from} --out {}",
            self.program,
            out.display()
        )
    }
}

/// Whether a variant ends with the first phase of training.
fn is_first_phase(variant: &str) -> bool {
    variant == BACKBONE || variant == Companion::Shallow.variant()
}

/// A network on the device, and what tells it from others.
pub struct Network<'a, B: Kernels> {
    /// The network.
    pub study: Study<'a, B>,
    /// What it was made from.
    pub key: NetworkKey,
    /// The SHA-256 of the weights of the second networks that are there.
    pub companions: Vec<(Companion, String)>,
}

impl<B: Kernels> Network<'_, B> {
    /// The SHA-256 of the second network that a method needs, if it needs one that is there.
    pub fn companion_sha256(&self, method: Method) -> Option<&str> {
        let needed = method.companion()?;
        let mut companions = self.companions.iter();
        let (_, sha256) = companions.find(|(companion, _)| *companion == needed)?;
        Some(sha256)
    }
}

/// The networks of one table, each with every solver and number of steps that the table asks for.
pub struct Networks<'a, B: Kernels> {
    surroundings: Surroundings,
    variants: Variants,
    device: B::Device,
    stop: &'a AtomicBool,
    main: Network<'a, B>,
    others: BTreeMap<String, Network<'a, B>>,
}

impl<'a, B: Kernels> Networks<'a, B> {
    /// Loads the checkpoint.
    ///
    /// # Errors
    /// Where a file is damaged, or latents have no decoder.
    pub fn new(
        mut checkpoint: Checkpoint,
        surroundings: Surroundings,
        variants: Variants,
        device: B::Device,
        stop: &'a AtomicBool,
    ) -> Result<Self> {
        for companion in Companion::ALL {
            let known = checkpoint
                .companions
                .iter()
                .any(|(known, _)| *known == companion);
            let found = variants.find(companion.variant(), &checkpoint.preset);
            if let (false, Ok(path)) = (known, found) {
                let second = Checkpoint::read(&path)?;
                checkpoint.companions.push((companion, second));
            }
        }
        let main = network(checkpoint, None, &surroundings, &device, stop)?;
        Ok(Self {
            surroundings,
            variants,
            device,
            stop,
            main,
            others: BTreeMap::new(),
        })
    }

    /// What is missing where a method needs a second network that is not there.
    pub fn missing_companion(&self, network: &Network<'_, B>, method: Method) -> Option<String> {
        let needed = method.companion()?;
        if network.companion_sha256(method).is_some() {
            return None;
        }
        let preset = &self.main.study.preset;
        let found = self.variants.find(needed.variant(), preset);
        Some(found.err().unwrap_or_else(|| {
            format!(
                "not measured: the network '{}' was not there at the start",
                needed.variant()
            )
        }))
    }

    /// The checkpoint itself.
    pub fn main(&self) -> &Network<'a, B> {
        &self.main
    }

    /// Loads a variant that is there.
    ///
    /// # Errors
    /// The outer one where a file is damaged; the inner one tells what is missing.
    pub fn load(&mut self, variant: Option<&str>) -> Result<Result<(), String>> {
        let Some(variant) = variant else {
            return Ok(Ok(()));
        };
        if self.others.contains_key(variant) {
            return Ok(Ok(()));
        }
        let path = match self.variants.find(variant, &self.main.study.preset) {
            Ok(path) => path,
            Err(missing) => return Ok(Err(missing)),
        };
        let mut checkpoint = Checkpoint::read(&path)?;
        // A variant is another network, sampled from in the same way.
        checkpoint.preset.sampling = self.main.study.preset.sampling.clone();
        let key = NetworkKey::of(&checkpoint, Some(variant))?;
        let study = self
            .surroundings
            .study(checkpoint, &self.device, self.stop)?;
        self.others
            .insert(variant.to_owned(), Network { study, key });
        Ok(Ok(()))
    }

    /// A network with a solver in a number of steps; nothing where it was not loaded.
    pub fn with(
        &self,
        variant: Option<&str>,
        solver: SolverConfig,
        steps: usize,
    ) -> Option<Network<'a, B>> {
        let network = match variant {
            None => &self.main,
            Some(variant) => self.others.get(variant)?,
        };
        Some(Network {
            study: network.study.with_solver(solver, steps),
            key: network.key.clone(),
            companions: network.companions.clone(),
        })
    }

    /// Forgets the variants, whose memory the next table may need for its own.
    pub fn forget_variants(&mut self) {
        self.others.clear();
    }
}

/// Puts a checkpoint on the device.
fn network<'a, B: Kernels>(
    checkpoint: Checkpoint,
    variant: Option<&str>,
    surroundings: &Surroundings,
    device: &B::Device,
    stop: &'a AtomicBool,
) -> Result<Network<'a, B>> {
    let companions = checkpoint.companions.iter();
    Ok(Network {
        key: NetworkKey::of(&checkpoint, variant)?,
        companions: companions
            .map(|(companion, second)| (*companion, second.sha256()))
            .collect(),
        study: surroundings.study(checkpoint, device, stop)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_variant_comes_with_its_command() {
        let folder = tempfile::tempdir().unwrap();
        let variants = Variants {
            program: "cifar10",
            checkpoint: None,
            folder: folder.path().to_owned(),
            files: vec![("no-timestep".to_owned(), "named.safetensors".into())],
        };
        let preset = Preset::fashion_mnist().unwrap();
        let missing = variants.find("no-ual", &preset).unwrap_err();
        let out = folder.path().join("no-ual");
        assert_eq!(
            missing,
            format!(
                "not measured: checkpoint {0}/joint/weights.safetensors missing, train it with \
                 `cifar10 train --preset fashion_mnist-no-ual --out {0}`",
                out.display()
            )
        );
        let missing = variants.find("no-timestep", &preset).unwrap_err();
        assert!(
            missing.contains("checkpoint named.safetensors missing"),
            "{missing}"
        );

        std::fs::create_dir_all(out.join("joint")).unwrap();
        std::fs::write(out.join("joint/weights.safetensors"), "").unwrap();
        let found = variants.find("no-ual", &preset).unwrap();
        assert_eq!(found, out.join("joint/weights.safetensors"));
    }

    #[test]
    fn the_first_phase_lies_beside_the_second() {
        let run = tempfile::tempdir().unwrap();
        for phase in ["backbone", "joint"] {
            std::fs::create_dir(run.path().join(phase)).unwrap();
        }
        let weights = run.path().join("backbone/weights.safetensors");
        std::fs::write(&weights, "").unwrap();
        let variants = Variants {
            program: "cifar10",
            checkpoint: Some(run.path().join("joint/weights.safetensors")),
            folder: "variants".into(),
            files: Vec::new(),
        };
        let preset = Preset::fashion_mnist().unwrap();
        assert_eq!(variants.find(BACKBONE, &preset).unwrap(), weights);
        let missing = variants.find("no-ual", &preset).unwrap_err();
        let from = format!(
            "--preset fashion_mnist-no-ual --backbone {} --out",
            weights.display()
        );
        assert!(missing.contains(&from), "{missing}");
    }
}
