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
use crate::preset::{Preset, SamplingPreset};
use crate::study::Study;
use crate::surroundings::Surroundings;

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
        let phase = if variant == BACKBONE {
            "backbone"
        } else {
            "joint"
        };
        if variant == BACKBONE {
            // The first phase of the training that led to the checkpoint.
            let run = self
                .checkpoint
                .as_deref()
                .and_then(Path::parent)
                .and_then(Path::parent);
            places.extend(run.map(|run| run.join("backbone/weights.safetensors")));
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

    fn command(&self, variant: &str, preset: &Preset) -> String {
        let out = self.folder.join(variant);
        let preset = match variant {
            BACKBONE => preset.name.clone(),
            variant => format!("{}-{variant}", preset.name),
        };
        format!(
            "{} train --preset {preset} --out {}",
            self.program,
            out.display()
        )
    }
}

/// A network on the device, and what tells it from others.
pub struct Network<'a, B: Kernels> {
    /// The network.
    pub study: Study<'a, B>,
    /// What it was made from.
    pub key: NetworkKey,
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
        checkpoint: Checkpoint,
        surroundings: Surroundings,
        variants: Variants,
        device: B::Device,
        stop: &'a AtomicBool,
    ) -> Result<Self> {
        let key = NetworkKey::of(&checkpoint, None)?;
        let study = surroundings.study(checkpoint, &device, stop)?;
        Ok(Self {
            surroundings,
            variants,
            device,
            stop,
            main: Network { study, key },
            others: BTreeMap::new(),
        })
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
        checkpoint.preset.sampling = SamplingPreset {
            ..self.main.study.preset.sampling.clone()
        };
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
        })
    }

    /// Forgets the variants, whose memory the next table may need for its own.
    pub fn forget_variants(&mut self) {
        self.others.clear();
    }
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
    }
}
